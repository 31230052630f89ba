"""How a job looks: its row in the list, and what stands below the list about the one under the cursor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from mltop.model.job import Drift, Job, Origin, Run, RunState
from mltop.system.text import clean
from mltop.ui.format import UNKNOWN, cells, clip, clip_left, duration, left, right
from mltop.ui.jobs_line import BAD, MARKS, is_missing, is_own
from mltop.ui.line import Line, Pen, Role

NEXT, LAST, TOOK, EXIT, RUNS = 14, 10, 4, 4, 10
"""Cells of the columns that do not grow."""
FROM_SOURCE, FROM_STATE, FROM_COMMAND = 104, 124, 150
"""Widths of the screen from which there are more columns."""
_ROLES = {RunState.OK: Role.OK, RunState.RUNNING: Role.KEY, RunState.SKIPPED: Role.DIM, RunState.ABORTED: Role.WARNING}
_DRIFTS = {
    Drift.MISSING: "not in the scheduler yet: p shows what apply would do",
    Drift.CHANGED: "the scheduler has an earlier version: p shows what apply would do",
    Drift.DRIFTED: "edited by hand in the scheduler: p shows it, mltop jobs apply --mine or --theirs decides",
    Drift.ORPHANED: "in the scheduler and no longer in the config: p shows what apply would do",
}
NOT_SET_UP = "not set up"

STANDARD: tuple[tuple[str, str, str, str], ...] = (
    ("models-backup", "backup", "0 2 * * *", "The models, every night, verified and kept for 30 days."),
    ("temp-cleanup", "cleanup", "0 */6 * * *", "Old temporary files and caches, every six hours."),
    ("health-check", "check", "0 * * * *", "A verdict on the box, every hour."),
    ("gpu-metrics", "metrics", "*/5 * * * *", "What every GPU does, every five minutes, as CSV."),
    ("logs", "rotate", "@daily", "Training logs rotated by size and age, every day."),
)
"""The jobs of a kept box: id, kind, schedule, what it does."""


def standard_jobs() -> list[Job]:
    """What `mltop init` would write, for who has no config yet."""
    return [
        Job(id=id, kind=kind, schedule=(schedule,), enabled=False, state=NOT_SET_UP, description=text)
        for id, kind, schedule, text in STANDARD
    ]


class Columns:
    """The widths at a width of the screen."""

    def __init__(self, width: int, jobs: Sequence[Job]) -> None:
        self.has_source = width >= FROM_SOURCE
        self.has_state = width >= FROM_STATE
        self.has_command = width >= FROM_COMMAND
        longest = max((cells(job.id) for job in jobs), default=0)
        spelled = max((cells(schedule_of(job)) for job in jobs), default=0)
        fixed = 3 + NEXT + LAST + TOOK + EXIT + RUNS + 8
        room = width - fixed - (21 if self.has_source else 0) - (15 if self.has_state else 0)
        room = min(room, 76) if self.has_command else room
        self.schedule = max(9, min(max(11, spelled), room - min(longest, room // 2)))
        self.name = max(8, min(max(16, longest), room - self.schedule))
        self.command = max(0, width - fixed - self.name - self.schedule - 38) if self.has_command else 0

    def head(self) -> Line:
        """The names of the columns."""
        text = f"   {left('JOB', self.name)} {left('SCHEDULE', self.schedule)} {left('NEXT', NEXT)} "
        text += f"{right('LAST', LAST)} {right('TOOK', TOOK)} {right('EXIT', EXIT)}  {left('RUNS', RUNS)} "
        text += left(" STATE", 15) if self.has_state else ""
        text += left(" SOURCE", 21) if self.has_source else ""
        text += " COMMAND" if self.has_command else ""
        return [(text, Role.LABEL)]

    def row(self, job: Job, now: datetime) -> Line:
        """One job."""
        mark, role = mark_of(job)
        quiet = Role.DIM if not job.enabled or job.state == NOT_SET_UP or not is_own(job) else Role.TEXT
        run = job.last_run
        pen = Pen().put(f" {mark} ", role)
        pen.put(left(job.id, self.name) + " ", quiet if quiet is Role.DIM else Role.TITLE)
        pen.put(left(schedule_of(job), self.schedule) + " ", quiet)
        pen.put(left(next_of(job, now), NEXT) + " ", quiet)
        pen.put(right(last_of(job, now), LAST) + " ", quiet if run else Role.DIM)
        pen.put(right(duration(run.duration_s) if run and run.duration_s is not None else "", TOOK) + " ", quiet)
        pen.put(right(exit_of(run), EXIT) + "  ", role if run and run.state in BAD else quiet)
        _streak(pen, job)
        if self.has_state:
            pen.put(left(f" {state_of(job)}", 15), role if role is not Role.TEXT else quiet)
        if self.has_source:
            pen.put(" ").put(left(clip_left(source_of(job), 20), 20), Role.DIM)
        if self.has_command:
            pen.put(" ").put(clip(job.command or "", self.command), Role.DIM)
        return pen.line


def _streak(pen: Pen, job: Job) -> None:
    """The last ten runs, the latest at the right."""
    states = job.streak[-RUNS:]
    pen.put(" " * (RUNS - len(states)))
    for state in states:
        pen.put(MARKS[state], _ROLES.get(state, Role.CRITICAL))
    pen.put(" ")


def mark_of(job: Job) -> tuple[str, Role]:
    """One cell for how the job stands."""
    run = job.last_run
    if run is not None and run.state is RunState.RUNNING:
        return MARKS[run.state], Role.KEY
    if job.state == NOT_SET_UP:
        return "·", Role.DIM
    if job.drift in (Drift.DRIFTED, Drift.ORPHANED, Drift.CHANGED) or job.state == "not scheduled":
        return "!", Role.WARNING
    if not job.enabled:
        return "=", Role.DIM
    if is_missing(job) and (run is None or run.state not in BAD):
        return "!", Role.WARNING
    return (MARKS[run.state], _ROLES.get(run.state, Role.CRITICAL)) if run is not None else ("·", Role.DIM)


def state_of(job: Job) -> str:
    """How the job stands, in a word or two."""
    if job.last_run is not None and job.last_run.state is RunState.RUNNING:
        return "running"
    if job.state == NOT_SET_UP or job.state == "not scheduled":
        return job.state
    if job.drift is not None and job.drift is not Drift.IN_SYNC:
        return str(job.drift)
    if not job.enabled:
        return "suspended"
    return job.state or ""


def schedule_of(job: Job) -> str:
    """As it was written."""
    return "; ".join(job.schedule) or "by hand"


def source_of(job: Job) -> str:
    """Where it stands: the file's name, without its folders."""
    return (job.source or str(job.origin)).rpartition("/")[2]


def exit_of(run: Run | None) -> str:
    """The code, or the signal."""
    if run is None or run.state is RunState.RUNNING:
        return ""
    if run.signal is not None:
        return f"s{run.signal}"
    return UNKNOWN if run.exit_code is None else str(run.exit_code)


def next_of(job: Job, now: datetime) -> str:
    """`02:00 in 12h`; for another day its date."""
    if is_missing(job):
        return "not scheduled"
    moment = moment_of(job.next_runs[0]) if job.next_runs else None
    if moment is None:
        return UNKNOWN
    ahead = max(0.0, (moment - now).total_seconds())
    here = moment.astimezone()
    day = f"{here:%H:%M}" if ahead < 86400 else f"{here:%b %d}"
    return f"{day} in {duration(ahead)}"


def last_of(job: Job, now: datetime) -> str:
    """`12h ago`: an observed run, or that none was seen (J2)."""
    run = job.last_run
    if run is not None and run.state is RunState.RUNNING:
        return "running"
    moment = moment_of(run.started_at) if run is not None and run.started_at else None
    if moment is None:
        return "" if job.state == NOT_SET_UP else "never seen" if run is None else UNKNOWN
    return f"{duration(max(0.0, (now - moment).total_seconds()))} ago"


def moment_of(text: str) -> datetime | None:
    """An RFC 3339 time."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def detail(job: Job, width: int, now: datetime) -> list[Line]:
    """What there is to know of one job, the most needed first."""
    _, role = mark_of(job)
    lines: list[Line] = [[("─" * width, Role.FRAME)]]
    lines.append([(f" {job.id}", Role.TITLE), (f"  {job.kind or job.origin}", Role.DIM), (f"  {state_of(job)}", role)])
    run = job.last_run
    pairs = [
        ("", job.description),
        ("runs", None if job.state == NOT_SET_UP else job.command),
        ("last", _last_words(run, now)),
        ("error", run.last_error_line if run is not None and run.state in BAD else None),
        ("plan", _DRIFTS.get(job.drift) if job.drift is not None else None),
        ("next", _next_words(job)),
        ("source", job.source),
    ]
    for name, text in pairs:
        if text:
            colour = Role.WARNING if name == "plan" else Role.CRITICAL if name == "error" else Role.TEXT
            lines.append([(f" {name:<6} ", Role.LABEL), (clip(text, width - 9), colour)])
    return lines


def _next_words(job: Job) -> str | None:
    """Its next times; of one that nothing will start, what they would be."""
    times = "   ".join(local(time) for time in job.next_runs[:3])
    return f"{times}, once it is in the scheduler" if times and is_missing(job) else times or None


def _last_words(run: Run | None, now: datetime) -> str | None:
    """`failed, exit 3, 4h ago by schedule, took 12s: why`."""
    if run is None:
        return None
    moment = moment_of(run.started_at or "")
    parts = [str(run.state)]
    if exit_of(run) not in ("", "0", UNKNOWN):
        parts.append(f"exit {exit_of(run)}")
    if moment is not None:
        parts.append(f"{local(run.started_at or '')} ({duration((now - moment).total_seconds())} ago)")
    if run.trigger:
        parts.append(f"by {'hand' if run.trigger == 'manual' else run.trigger}")
    if run.duration_s is not None:
        parts.append(f"took {duration(run.duration_s)}")
    return ", ".join(parts) + (f": {run.reason}" if run.reason else "")


def local(text: str) -> str:
    """A moment here: `Wed Nov 25 02:00`."""
    moment = moment_of(text)
    return f"{moment.astimezone():%a %b %d %H:%M}" if moment is not None else UNKNOWN


def utc_now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def scope_of(jobs: Sequence[Job]) -> str:
    """`system`, or `user NAME`, as the own jobs have it; "" where there are none."""
    own = next((job for job in jobs if is_own(job)), None)
    if own is None or own.scope == "system":
        return own.scope if own is not None else ""
    uid = os.geteuid()  # 0 is root everywhere; another's name may take a server to find
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or ("root" if uid == 0 else str(uid))
    return f"user {clean(name, 32)}"


def counted(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def can_be_edited(job: Job) -> bool:
    """Own jobs, and lines of one's own crontab."""
    return is_own(job) or job.origin is Origin.CRONTAB
