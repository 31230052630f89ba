"""Jobs: all that is scheduled in one list; every change is the work of mltop's own command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mltop.model.job import Job
from mltop.ui.answers import Jobs, read
from mltop.ui.aside import begin
from mltop.ui.command import bindings
from mltop.ui.commands import JOBS
from mltop.ui.format import clip, fold
from mltop.ui.jobs_line import BAD, is_own
from mltop.ui.line import Line, Role
from mltop.ui.screens.browse import holds
from mltop.ui.screens.job_rows import (
    NOT_SET_UP,
    Columns,
    can_be_edited,
    counted,
    detail,
    scope_of,
    standard_jobs,
    utc_now,
)  # fmt: skip
from mltop.ui.screens.orders import OrderScreen
from mltop.ui.screens.review import ReviewScreen, text_lines

EVERY_S = 5.0
MOST_TROUBLE = 8
"""Lines of what is wrong with the config."""
STANDS = "not running"
"""In a note about a scheduler that will start nothing."""


class JobsScreen(OrderScreen, inherit_bindings=False):
    """The list of jobs."""

    BINDINGS = bindings(JOBS)
    commands = JOBS
    name_of_mode = "jobs"
    now: Callable[[], datetime] = staticmethod(utc_now)

    def __init__(self) -> None:
        super().__init__()
        self.listed: Jobs | None = None
        self.trouble = ""
        self.is_all = False
        """With the system's own timers and cron jobs."""

    # -- looking -----------------------------------------------------------------------------------------------

    def shown(self) -> None:
        """Look now and every few seconds."""
        self._timer = self.set_interval(EVERY_S, self.action_look)
        self.action_look()

    def hidden(self) -> None:
        """Nobody looks: neither do we."""
        self._timer.stop()
        self.workers.cancel_group(self, "look")

    def action_look(self) -> None:
        """Ask for the list; a question that is still out stays."""
        if not any(worker.group == "look" and not worker.is_finished for worker in self.workers):
            begin(self, self._look, "look")

    async def _look(self) -> None:
        arguments = ("jobs", "list", "--json", *(("--all",) if self.is_all else ()))
        listed, self.trouble = read(await self.dashboard.ask(arguments), Jobs)
        if listed is not None:
            self.listed = listed
        self.dashboard.take_jobs(listed.jobs if listed is not None else (), self.trouble)
        self.redraw()

    def look_again(self) -> None:
        """After an order: what was asked before it does not count."""
        self.workers.cancel_group(self, "look")
        begin(self, self._look, "look")

    # -- the list ----------------------------------------------------------------------------------------------

    def items(self) -> list[Job]:
        """Own jobs first; before there are any, those that a kept box has."""
        if self.listed is None:
            return []
        jobs = list(self.listed.jobs)
        if not any(map(is_own, jobs)) and not self.trouble:
            jobs = [*standard_jobs(), *jobs]
        return [job for job in jobs if holds(self.filter, job.id, job.kind, job.state, job.source, job.command)]

    def key(self, item: Job) -> str:
        """Its id: of a foreign line, stable while its text is."""
        return item.id

    def summary(self) -> Line:
        """Whose jobs, how many, how many failed."""
        jobs = self.listed.jobs if self.listed else ()
        bad = sum(job.last_run is not None and job.last_run.state in BAD for job in jobs)
        line: Line = [(f"{bad} failed", Role.CRITICAL), ("  ", Role.TEXT)] if bad else []
        line.append((counted(len(jobs), "job") if self.listed else "looking …", Role.DIM))
        return [*line, (f" · {scope}", Role.DIM)] if (scope := scope_of(jobs)) else line

    def head(self, width: int) -> Line:
        """The columns."""
        return Columns(width, self.items()).head()

    def row(self, item: Job, width: int) -> Line:
        """One job."""
        return Columns(width, self.items()).row(item, self.now())

    def nothing(self, width: int) -> list[Line]:
        """Before the first list, or where the filter leaves nothing."""
        text = (
            "No job holds that text." if self.filter else "No jobs." if self.listed else "Looking at the schedulers …"
        )
        if self.trouble and not self.listed:
            return [[], *([(f"   {part}", Role.CRITICAL)] for part in fold(self.trouble, max(8, width - 4)))]
        return [[], [(f"   {text}", Role.DIM)]]

    def below(self, item: Job | None, width: int, height: int) -> list[Line]:
        """The job under the cursor, then what could not be looked at."""
        if self.listed is None:
            return []
        said = sorted(self.listed.notes, key=lambda note: STANDS not in note)
        notes: list[Line] = [
            [(f" {clip(note, width - 2)}", Role.WARNING if STANDS in note else Role.DIM)] for note in said
        ]
        wrong: list[str] = []
        if self.trouble:
            wrong = fold(self.trouble, max(8, width - 2))[:MOST_TROUBLE]
            notes[:0] = [[(f" {part}", Role.CRITICAL)] for part in wrong]
        if item is not None and item.state == NOT_SET_UP and self.dashboard.has_hands:
            notes.insert(
                0, [(" i", Role.KEY), (" writes a config with these jobs; it schedules nothing yet", Role.TEXT)]
            )
        lines = detail(item, width, self.now()) if item is not None else []
        room = max(0, height - min(len(notes), 2 + len(wrong)))
        kept = lines[: max(room, 0)] if room >= 3 else []
        return [*kept, *notes[: height - len(kept)]]

    # -- acting ------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """One level back; a question about what would change is dropped."""
        self.workers.cancel_group(self, "review")
        super().action_back()

    def action_open(self) -> None:
        """The runs and the log of the job."""
        job = self._chosen()
        if job is not None:
            self.dashboard.show_logs(job.id)

    def action_edit(self) -> None:
        """Schedule and command in a form."""
        job = self._chosen()
        if job is None:
            return
        if not can_be_edited(job):
            self.dashboard.tell(
                f"{job.id} stands in {job.source or job.origin}: it can be run and suspended, not edited"
            )
            return
        self._open_form(job)

    def action_new(self) -> None:
        """A form for a new job."""
        self._open_form(None)

    def _open_form(self, job: Job | None) -> None:
        from mltop.ui.screens.job_form import JobForm

        def filled(done: str | None) -> None:
            if done:
                self.dashboard.tell(done)

        self.app.push_screen(JobForm(job, self.listed.jobs if self.listed else ()), filled)

    def action_init(self) -> None:
        """Write the starter config, after a yes."""
        if self.listed is not None and any(map(is_own, self.listed.jobs)):
            self.dashboard.tell("there are jobs already: n adds one")
            return
        lines = text_lines(
            "mltop init writes a commented config with the standard jobs of a GPU box.\n\n"
            "It schedules nothing: p then shows what the scheduler would be told, and applies it.\n"
            "A job whose folder or GPU is not there is written disabled, with the line to fill in.\n\n"
        )
        for job in standard_jobs():
            name = f"  {job.id:<16}"
            lines.append(
                [(name, Role.TITLE), (f"{job.schedule[0]:<14}", Role.LABEL), (job.description or "", Role.TEXT)]
            )

        def answered(is_accepted: bool | None) -> None:
            if is_accepted:
                self._order("the config is written; p shows the plan", "init")

        self.app.push_screen(ReviewScreen("Set up the standard jobs", lines, "Write the config"), answered)

    def action_all(self) -> None:
        """With the system's own, or without."""
        self.is_all = not self.is_all
        self.look_again()
