"""Jobs, runs and plans as text: plain lines that fit a terminal, nothing but spaces between columns."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mltop.config.job import JobConfig
from mltop.jobs.history.statistics import Statistics
from mltop.jobs.plan.plan import Plan, Step
from mltop.jobs.schedule.schedule import local_zone, shown
from mltop.model.job import Drift, Job, Run, RunState

_MARKS = {
    RunState.OK: "+",
    RunState.FAILED: "x",
    RunState.TIMEOUT: "t",
    RunState.SKIPPED: "-",
    RunState.RUNNING: ">",
    RunState.STUCK: "!",
    RunState.LOST: "?",
    RunState.ABORTED: "a",
}
_WIDEST = 40


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need; the last is cut to the terminal, where there is one."""
    all_rows = [tuple(head), *(tuple(row) for row in rows)]
    widths = [min(_WIDEST, max(len(row[column]) for row in all_rows)) for column in range(len(head) - 1)]
    width = shutil.get_terminal_size((0, 0)).columns if _is_terminal() else 0
    lines = []
    for row in all_rows:
        cells = [cell[:size].ljust(size) for cell, size in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[-1]]).rstrip()
        lines.append(line[:width] if width else line)
    return "\n".join(lines) + "\n"


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return False


def jobs(listed: Sequence[Job]) -> str:
    """The list: own jobs first, as they come."""
    if not listed:
        return "no jobs (mltop init writes the standard ones)\n"
    rows = [
        (
            _state(job),
            job.id,
            ", ".join(job.schedule) or "by hand",
            f"in {ahead(job.next_runs[0])}" if job.next_runs else "-",
            _last(job.last_run),
            "".join(_MARKS[state] for state in job.streak) or "-",
            job.source or "-",
            job.command or "",
        )
        for job in listed
    ]
    return table(("STATE", "NAME", "SCHEDULE", "NEXT", "LAST", "RUNS", "SOURCE", "COMMAND"), rows)


def _state(job: Job) -> str:
    state = job.state or "-"
    return state if job.drift in (None, Drift.IN_SYNC) or job.state == "orphaned" else f"{state}, {job.drift}"


def ahead(text: str) -> str:
    """How far off a time is: `3 h`, to the unit that matters."""
    return f"{_span(_time(text).timestamp() - datetime.now(UTC).timestamp())}"


def _last(run: Run | None) -> str:
    """`3 h ago, 12 s`."""
    if run is None or run.started_at is None:
        return "-"
    ago = f"{_span(datetime.now(UTC).timestamp() - _time(run.started_at).timestamp())} ago"
    return f"{ago}, {_span(run.duration_s)}" if run.duration_s is not None else ago


def _span(seconds: float) -> str:
    for size, unit in ((172800, "d"), (7200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'d': 86400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s" if seconds >= 1 or seconds <= 0 else f"{seconds:.1f} s"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def local(text: str | None) -> str:
    """A moment for people, in the box's zone with its distance from UTC."""
    return shown(_time(text).astimezone(local_zone())) if text else "-"


def detail(job: Job, rendered: Sequence[str], variables: dict[str, str], config: JobConfig | None = None) -> str:
    """All of one job, a line each; `config` is that of mltop's own."""
    pairs = [
        ("job", f"{job.id} ({job.kind or job.origin})"),
        ("description", job.description),
        ("state", _state(job)),
        ("schedule", ", ".join(job.schedule) or "by hand"),
        ("source", job.source),
        ("command", job.command),
        *(_limit_pairs(config) if config is not None else ()),
        *(("next" if place == 0 else "", f"{local(time)}, {_away(time)}") for place, time in enumerate(job.next_runs)),
        *_run_pairs(job.last_run),
        *(("rendered" if place == 0 else "", line) for place, line in enumerate(rendered)),
        *(
            ("variables" if place == 0 else "", f"{key}={value}")
            for place, (key, value) in enumerate(variables.items())
        ),
    ]
    return "".join(f"{name:<12} {value}\n" for name, value in pairs if value)


def _limit_pairs(config: JobConfig) -> list[tuple[str, str | None]]:
    from mltop.jobs.moment import duration
    from mltop.jobs.runner.retry import described

    limit = "none" if config.timeout_s is None else duration(config.timeout_s)
    return [("timeout", limit), ("retries", described(config)), ("overlap", config.on_overlap)]


def _run_pairs(run: Run | None) -> list[tuple[str, str | None]]:
    if run is None:
        return [("last run", "never seen")]
    code = f" ({run.exit_code})" if run.exit_code is not None else ""
    return [
        ("last run", f"{local(run.started_at)}: {run.state}{code}{f', {run.reason}' if run.reason else ''}"),
        ("", _away(run.started_at) if run.started_at else None),
        ("took", _span(run.duration_s) if run.duration_s is not None else None),
        ("log", f"{run.log_path}{_log_size(run.log_bytes)}" if run.log_path else None),
    ]


def _away(text: str) -> str:
    """`3 hours ago`, `11 hours from now`."""
    import humanize

    return str(humanize.naturaltime(_time(text), when=datetime.now(UTC)))


def _log_size(count: int | None) -> str:
    if count is None:
        return ""
    import humanize

    return f" ({humanize.naturalsize(count, binary=True)})"


def runs(found: Sequence[Run], told: Statistics | None = None) -> str:
    """The history, newest first; of one job, with how it does below it."""
    if not found:
        return "no runs\n"
    slow = frozenset(told.slow_runs if told is not None else ())
    rows = [
        (
            str(run.state),
            run.job,
            local(run.started_at),
            _span(run.duration_s) if run.duration_s is not None else "-",
            str(run.exit_code if run.exit_code is not None else f"signal {run.signal}" if run.signal else "-"),
            run.trigger or "-",
            run.id,
            "; ".join(filter(None, ("slow" if run.id in slow else "", run.reason or run.last_error_line))),
        )
        for run in found
    ]
    below = f"\n{statistics(told)}\n" if told is not None else ""
    return table(("STATE", "JOB", "STARTED", "TOOK", "EXIT", "TRIGGER", "RUN", "WHY"), rows) + below


def statistics(told: Statistics) -> str:
    """`97.5 % of 40 ended well; half within 2 s, 95 % within 5 s, the slowest 60 s (ID); 12 % slower than before`."""
    counted = told.ok + told.failed
    parts = [f"{told.success_percent:g} % of {counted} ended well" if counted else "none has ended yet"]
    if told.p50_s is not None and told.p95_s is not None and told.slowest_s is not None:
        spans = f"half within {_span(told.p50_s)}, 95 % within {_span(told.p95_s)}"
        parts.append(f"{spans}, the slowest {_span(told.slowest_s)} ({told.slowest_run})")
    if told.trend_percent:
        how = "slower" if told.trend_percent > 0 else "faster"
        parts.append(f"{abs(told.trend_percent):g} % {how} than before")
    return "; ".join(parts)


def plan(made: Plan) -> str:
    """How each job stands, and the diff."""
    steps = [step for step in made.steps if step.drift is not Drift.IN_SYNC or step.is_fault or step.note]
    lines = [f"{_standing(step):<10} {step.id}{_where(step)}\n" for step in steps]
    count = sum(1 for step in made.steps if step.drift is Drift.IN_SYNC and step.backend)
    if count:
        lines.append(f"{'in-sync':<10} {count} job{'s' if count != 1 else ''}\n")
    return "".join(lines) + ("\n" + made.diff() if made.changes else "nothing to do\n")


def _standing(step: Step) -> str:
    if step.is_fault:
        return "fault"
    if step.drift is Drift.IN_SYNC or step.drift is None:
        return "-"
    return str(step.drift)


def _where(step: Step) -> str:
    from mltop.jobs.runner.retry import in_words

    retries = in_words(step.retry_waits_s)
    where = (f" ({step.backend})" if step.backend else "") + (f", retries {retries}" if retries else "")
    return f"{where}: {step.note}" if step.note else where
