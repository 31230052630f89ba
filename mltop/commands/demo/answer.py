"""What mltop's command line would answer about the demo's box; what would change something is refused.

A program of its own, as the dashboard asks a child for everything: `answer FOLDER WORD …`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from mltop.commands.demo import kept
from mltop.commands.demo.box import snapshot
from mltop.commands.demo.process import detail
from mltop.config.assignment import assignment
from mltop.config.change import AddJob, Change, RemoveJob, RemoveKey
from mltop.config.edit import preview
from mltop.config.fault import Fault
from mltop.model.job import JOBS_SCHEMA, RUNS_SCHEMA
from mltop.model.verdict import Mishap, Verdict

PLAN_SCHEMA = "mltop.plan/1"
_REFUSED = Mishap(message="the demo changes nothing", remedy="mltop init --sandbox DIR makes a small box to try on")


def main(words: Sequence[str]) -> int:
    """Answer one question: 0, or 1 where it is refused."""
    folder, asked, now = Path(words[0]), list(words[1:]), datetime.now(UTC)
    match asked:
        case ["--check", *_]:
            return _say(verdict(time.time()))
        case ["jobs", "list", *_]:
            return _say({"schema": JOBS_SCHEMA, "jobs": kept.jobs(now, folder), "notes": [], "errors": []})
        case ["jobs", "history", *rest]:
            return _say({"schema": RUNS_SCHEMA, "runs": _runs(rest, now, folder), "errors": []})
        case ["jobs", "plan", *_]:
            return _say({"schema": PLAN_SCHEMA, "diff": "", "errors": []})
        case ["jobs", "add" | "edit" | "remove" as action, id, *rest] if "--dry-run" in rest:
            return _say(_planned(folder / kept.CONFIG, action, id, rest))
        case ["process", pid, *_]:
            return _say(detail(int(pid), time.time()))
        case ["jobs", "adopt" | "undo", *_]:
            pass
        case ["run" | "jobs", *rest] if "--dry-run" in rest or "show" in rest:
            return _tell(rest, now, folder)
    _say({"schema": PLAN_SCHEMA, "errors": [_REFUSED]})
    return 1


def verdict(at: float) -> Verdict:
    """The real checks, on the demo's box."""
    from mltop.checks.judge import judgements
    from mltop.checks.profile import PROFILES
    from mltop.checks.selection import select
    from mltop.checks.verdict import results
    from mltop.checks.verdict import verdict as summed_up

    now = snapshot(at)
    selection = select()
    made = results(judgements(now), selection, now)
    return summed_up(made, selection, now, profile_name="default", profile=PROFILES["default"], duration_s=0.0)


def _runs(rest: Sequence[str], now: datetime, folder: Path) -> list[Any]:
    found = kept.runs(now, folder)
    chosen = rest[0] if rest and not rest[0].startswith("-") else None
    return [run for run in found if chosen is None or run.job == chosen][:200]


def _planned(file: Path, action: str, id: str, rest: Sequence[str]) -> dict[str, Any]:
    """The real difference that an edit would make to the demo's config."""
    try:
        diff = preview(file, _changes(action, id, rest)).diff()
    except Fault as fault:
        errors = [Mishap(message=line) for line in fault.lines]
        return {"schema": PLAN_SCHEMA, "diff": "", "errors": errors}
    return {"schema": PLAN_SCHEMA, "diff": diff, "notes": [_REFUSED.message], "errors": []}


def _changes(action: str, id: str, rest: Sequence[str]) -> list[Change]:
    if action == "remove":
        return [RemoveJob(id)]
    kind = next((job.kind for job in kept.JOBS if job.id == id), "command")
    pairs = list(pairwise(rest))
    given = [assignment(id, kind, value) for option, value in pairs if option == "--set"]
    if action == "add":
        table = {one.key[0]: one.value for one in given if not isinstance(one, RemoveKey)}
        return [AddJob(id, {"kind": kind, **table})]
    return [*given, *(RemoveKey(id, tuple(value.split("."))) for option, value in pairs if option == "--unset")]


def _tell(rest: Sequence[str], now: datetime, folder: Path) -> int:
    """One job in words."""
    job = next((one for one in kept.jobs(now, folder) if one.id in rest), None)
    if job is None:
        sys.stderr.write("mltop: no such job\n")
        return 1
    sys.stdout.write(
        f"{job.id}\ncommand   {job.command}\nschedule  {', '.join(job.schedule)}\nsource    {job.source}\n"
    )
    return 0


def _say(document: object) -> int:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
