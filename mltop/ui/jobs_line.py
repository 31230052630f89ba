"""The dashboard's line of jobs: what failed, what runs, what ran last, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltop.model.job import Drift, Job, Origin, Run, RunState
from mltop.ui.aside import begin
from mltop.ui.format import clock

if TYPE_CHECKING:
    from textual.timer import Timer

    from mltop.ui.app import Dashboard

FIRST_S = 2.0
"""After the start, which it must not slow down."""
EVERY_S = 30.0
RARELY_S = 300.0
"""Where there are no own jobs: some may be set up while the dashboard is open."""
WRONG = "! a fault, 3 shows it"
"""Before what was known of the jobs, or alone."""
MARKS = {
    RunState.OK: "✓",
    RunState.FAILED: "✗",
    RunState.TIMEOUT: "T",
    RunState.SKIPPED: "-",
    RunState.RUNNING: ">",
    RunState.STUCK: "!",
    RunState.LOST: "?",
    RunState.ABORTED: "a",
}
"""One cell for how a run ended; a word stands beside it wherever there is room."""
BAD = frozenset({RunState.FAILED, RunState.TIMEOUT, RunState.STUCK, RunState.LOST})
_MOST_BAD = 3


class JobsLine:
    """Asks for the list of jobs now and then, and goes on asking whatever comes of it."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app
        self._timer: Timer | None = None

    def start(self) -> None:
        """Ask for the first time, a little later."""
        self._again(FIRST_S)

    def take(self, jobs: Iterable[Job], trouble: str) -> str | None:
        """The line after an answer, whoever asked; one without jobs for a fault leaves standing what was known."""
        known = (self._app.view.jobs_line or "").removeprefix(WRONG).lstrip()
        line = jobs_line(jobs) or (known if trouble else "")
        if trouble:
            line = f"{WRONG}  {line}".rstrip()
        self._again(EVERY_S if line else RARELY_S)
        return line or None

    def _again(self, after_s: float) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_timer(after_s, self._ask)

    def _ask(self) -> None:
        begin(self._app, self._look, "jobs line", exclusive=True)

    async def _look(self) -> None:
        from mltop.ui.answers import Jobs, read

        document, trouble = read(await self._app.ask(("jobs", "list", "--json")), Jobs)
        self._app.take_jobs(document.jobs if document is not None else (), trouble)


def is_own(job: Job) -> bool:
    """Whether it is a job of mltop's config."""
    return job.origin is Origin.MLTOP


def is_missing(job: Job) -> bool:
    """Whether it should run and nothing will start it: its next runs are only what they would be."""
    return job.enabled and job.drift is Drift.MISSING


def jobs_line(jobs: Iterable[Job]) -> str | None:
    """Parts with two blanks between them, each begun by its mark; `None` where there are no own jobs."""
    own = [job for job in jobs if is_own(job)]
    if not own:
        return None
    lasts = sorted((job.last_run for job in own if job.last_run is not None), key=_started, reverse=True)
    bad = [run for run in lasts if run.state in BAD]
    parts = [_part(run) for run in bad[:_MOST_BAD]]
    if len(bad) > _MOST_BAD:
        parts.append(f"{len(bad) - _MOST_BAD} more failed")
    parts += [_part(run) for run in lasts if run.state is RunState.RUNNING]
    parts += [_part(run) for run in lasts if run.state is RunState.OK][:1]
    parts += _next(own)
    return "  ".join(parts) or f"{len(own)} jobs, none scheduled"


def _started(run: Run) -> str:
    return run.started_at or ""


def _part(run: Run) -> str:
    """`✗ gpu-metrics 14:00 exit 3`."""
    word = ""
    if run.state is RunState.FAILED:
        word = f" exit {run.exit_code}" if run.exit_code is not None else " failed"
    elif run.state not in (RunState.OK,):
        word = f" {run.state}"
    return f"{MARKS[run.state]} {run.job} {clock(run.started_at or '')}{word}"


def _next(own: Sequence[Job]) -> list[str]:
    ahead = [(job.next_runs[0], job.id) for job in own if job.next_runs and not is_missing(job)]
    if not ahead and any(map(is_missing, own)):
        return ["! none scheduled"]
    return [f"next {id} {clock(time)}" for time, id in sorted(ahead)[:1]]
