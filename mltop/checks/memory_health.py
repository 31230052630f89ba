"""Memory that failed: processes that were killed for want of it, and errors of the modules."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement
from mltop.checks.fact import ago, facts, unread
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import Edac, KernelEvent, KernelEvents, MemoryController, OomKills

KILL_S = 1800.0
"""For so long a kill is told: Netdata, awesome-prometheus-alerts."""
CORRECTED_S = 3600.0
"""For so long corrected errors are."""
_REPLACE = "have the module replaced"


def health(case: Case) -> Iterator[Judgement]:
    """`mem.oom` and `mem.edac`."""
    here = facts(case)
    if here.oom is not None:
        yield _kills(case, here.oom, here.kernel_log)
    if here.edac is not None:
        yield from _errors(case, here.edac, here.kernel_log)


def _kills(case: Case, oom: OomKills, log: KernelEvents | None) -> Judgement:
    """By the count's growth, and by the log, which knows who it was and needs no earlier run.

    A container's own count is all that concerns it: the log is its host's.
    """
    killed = [] if oom.is_of_group or log is None else _recent(log, "oom", KILL_S)
    if oom.kills is None and not killed:
        return unread("mem.oom", oom, name="memory")
    growth = None if oom.kills is None else case.growth("mem.oom", "", oom.kills, over_s=KILL_S)
    count = max(len(killed), 0 if growth is None else int(growth.amount))
    if not count:
        return judgement("mem.oom", Level.OK, f"no process killed ({oom.kills} since the boot)", name="memory", value=0)
    critical = [one for one in killed if one.unit is not None and one.unit in _units(case)]
    who = critical[-1:] or killed[-1:]
    summary = f"{count} killed for want of memory" + "".join(f", last {one.subject} {ago(one.age_s)}" for one in who)
    summary += "".join(f", of {one.unit}" for one in critical[-1:])
    data = {"killed": [one.subject for one in killed[-10:]], "since_boot": oom.kills}
    return judgement(
        "mem.oom",
        Level.CRITICAL if critical else Level.WARNING,
        summary,
        "give it more memory, or a limit of its own",
        name="memory",
        reason="oom",
        value=count,
        data=data,
    )


def _units(case: Case) -> set[str]:
    """The units that are watched, as systemd names them."""
    services = () if case.surroundings is None else case.surroundings.services
    names = {one.name for one in services if one.check in ("svc.unit", "docker")}
    return names | {f"{name}.service" for name in names}


def _recent(log: KernelEvents, kind: str, seconds: float) -> list[KernelEvent]:
    return [one for one in log.events if one.kind == kind and one.age_s <= seconds]


def _errors(case: Case, edac: Edac, log: KernelEvents | None) -> Iterator[Judgement]:
    """By the controllers' counts; where none counts, by what the log tells."""
    for controller in edac.controllers:
        yield _controller(case, controller)
    if edac.controllers:
        return
    failed = [] if log is None else _recent(log, "memory-uncorrected", 86400.0)
    mended = [] if log is None else _recent(log, "memory-corrected", CORRECTED_S)
    if not failed and not mended:
        yield unread("mem.edac", edac, name="memory")
        return
    last = (failed or mended)[-1]
    level, words = (Level.CRITICAL, "uncorrected") if failed else (Level.WARNING, "machine check")
    summary, data = f"{words} error reported {ago(last.age_s)}", {"last": last.text}
    yield judgement("mem.edac", level, summary, _REPLACE, name="memory", reason="errors", data=data)


def _controller(case: Case, one: MemoryController) -> Judgement:
    if one.corrected is None or one.uncorrected is None:
        words = "not read: its counts make no sense"
        return judgement("mem.edac", Level.UNKNOWN, words, target=one.name, reason="error")
    growth = case.growth("mem.edac", one.name, one.corrected, over_s=CORRECTED_S)
    new = 0 if growth is None else int(growth.amount)
    level = Level.CRITICAL if one.uncorrected else Level.WARNING if new else Level.OK
    words = f"{one.uncorrected} uncorrected errors" if one.uncorrected else f"{new} corrected errors within the hour"
    summary = words if level else f"no new errors ({one.corrected} corrected since the boot)"
    data = {"corrected": one.corrected, "uncorrected": one.uncorrected}
    value = one.uncorrected or new
    return judgement("mem.edac", level, summary, _REPLACE, target=one.name, reason="errors", value=value, data=data)
