"""What mltop says of itself and of the box as a whole: reboots, and whether its scheduled checks still run."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.checks.memory import rfc3339
from mltop.model.finding import Level

STALE = 3
"""So many times a scheduled check has been due since it last went: it goes no more."""


def own(case: Case) -> Iterator[Judgement]:
    """`host.reboot` and `self.stale`; nothing where only the snapshot is known."""
    if case.surroundings is not None:
        yield _reboot(case)
        yield from _stale(case)


def _reboot(case: Case) -> Judgement:
    """A reboot is no fault: it is told in words and data by the first run after it, and never alerts."""
    check, name, memory, now = "host.reboot", "host", case.memory, case.snapshot.boot_id
    if memory is None:
        return skip(check, "no earlier run is known (--no-state)", name=name, reason="off")
    if memory.is_first:
        return judgement(check, Level.OK, "no earlier run to compare with", name=name)
    before = memory.last_boot_id
    if now is None or before is None:
        return skip(check, "the boot has no id here", name=name, reason="unsupported")
    data = {"boot_id": now, "previous_boot_id": before, "last_run": rfc3339(memory.last_time)}
    summary = "not rebooted since the last run"
    if now != before:
        summary = f"rebooted since the last run, {rfc3339(memory.last_time)}"
    return judgement(check, Level.OK, summary, name=name, data=data)


def _stale(case: Case) -> Iterator[Judgement]:
    """By the schedule of the config's own check jobs: where there is none, nobody knows when a run is due."""
    known = case.surroundings.jobs if case.surroundings is not None else None
    jobs = [job for job in known.jobs if job.kind == "check" and job.is_scheduled] if known is not None else []
    for job in jobs:
        is_stale = job.due_since_good >= STALE
        summary = f"due {STALE} times or more since it last went" if is_stale else "goes by its schedule"
        level = Level.WARNING if is_stale else Level.OK
        action = "see mltop jobs list: is its scheduler at work?"
        yield judgement("self.stale", level, summary, action, target=job.id, reason="stale")
    if not jobs:
        yield skip("self.stale", "no scheduled check job in the config", name="checks", reason="unsupported")
