"""Orders about jobs: each is a command of mltop's own, seen before it is done where it changes something."""

from __future__ import annotations

from functools import partial

from mltop.model.job import Job
from mltop.system.text import clean
from mltop.ui.answers import Plan, outcome, read, refusal
from mltop.ui.aside import begin
from mltop.ui.jobs_line import is_own
from mltop.ui.line import Line, Role
from mltop.ui.screens.browse import BrowseScreen
from mltop.ui.screens.job_rows import NOT_SET_UP
from mltop.ui.screens.review import ReviewScreen, diff_lines, text_lines

ORDER_S = 60.0
"""What an order may take: it may wait for another one's lock."""


class OrderScreen(BrowseScreen[Job], inherit_bindings=False):
    """A list of jobs that can be told what to do with them."""

    def look_again(self) -> None:
        """Ask for the list anew: what was asked before an order does not count."""
        raise NotImplementedError

    def _chosen(self) -> Job | None:
        """The job under the cursor, where there is one to act on."""
        item = self.current
        if item is not None and item.state == NOT_SET_UP:
            self.dashboard.tell(f"{item.id} is not set up: i writes a config with the standard jobs")
            return None
        return item

    def _order(self, done: str, *arguments: str) -> None:
        """Have something done, then look again."""

        async def order() -> None:
            self.dashboard.tell(f"at work: mltop {' '.join(word for word in arguments if word != '--json')} …")
            answer = await self.dashboard.ask.order(arguments, ORDER_S)
            self.dashboard.tell(outcome(answer, done))
            if self.is_shown:
                self.look_again()

        begin(self, order, "order")

    def _review(self, heading: str, accept: str, question: tuple[str, ...], order: tuple[str, ...], done: str) -> None:
        """Show what an order would change; have it done where that is accepted."""
        begin(self, partial(self._shown_first, heading, accept, question, order, done), "review", exclusive=True)

    async def _shown_first(
        self, heading: str, accept: str, question: tuple[str, ...], order: tuple[str, ...], done: str
    ) -> None:
        self.dashboard.tell("looking what would change … Esc leaves it")
        answer = await self.dashboard.ask(question, ORDER_S)
        self.dashboard.tell("")
        made, trouble = read(answer, Plan)
        if made is None or (trouble and not made.diff):
            self.dashboard.tell(trouble or refusal(answer))
            return
        lines = [*text_lines(trouble, Role.CRITICAL), *text_lines("\n".join(made.notes), Role.DIM)]
        lines += [[]] if lines else []
        lines += diff_lines(made.diff) or [[("Nothing to do: config and scheduler are in step.", Role.DIM)]]

        def answered(is_accepted: bool | None) -> None:
            if is_accepted:
                self._order(done, *order)

        await self.app.push_screen(ReviewScreen(heading, lines, accept if made.diff else ""), answered)

    def action_trigger(self) -> None:
        """Start it; it outlives the dashboard."""
        job = self._chosen()
        if job is not None:
            self._order(f"started {job.id}; l shows its log", "jobs", "run", job.id, "--json")

    def action_suspend(self) -> None:
        """Off its schedule, or back on it."""
        job = self._chosen()
        if job is not None:
            word = "disable" if job.enabled else "enable"
            done = f"{job.id} is {'suspended' if job.enabled else 'on its schedule again'}"
            self._order(f"{done}; u takes it back", "jobs", word, job.id, "--json")

    def action_delete(self) -> None:
        """Out of the config and the scheduler, after a look at the difference."""
        job = self._chosen()
        if job is None:
            return
        if not is_own(job):
            self.dashboard.tell(f"{job.id} is not mltop's: it can be suspended, not deleted")
            return
        order = ("jobs", "remove", job.id, "--apply", "--json")
        done = f"{job.id} is deleted; u takes it back"
        self._review(f"Delete {job.id}", "Delete it", (*order, "--dry-run"), order, done)

    def action_plan(self) -> None:
        """What apply would do, and apply."""
        done = "applied; u takes it back"
        self._review("Plan", "Apply", ("jobs", "plan", "--json"), ("jobs", "apply", "--json"), done)

    def action_dry_run(self) -> None:
        """What a run would do."""
        job = self._chosen()
        if job is not None:
            begin(self, partial(self._dry_run, job), "order")

    async def _dry_run(self, job: Job) -> None:
        if is_own(job):
            await self._told(f"Dry run of {job.id}: nothing is run", "run", job.id, "--dry-run")
        else:
            await self._told(job.id, "jobs", "show", job.id)

    def action_describe(self) -> None:
        """All about it, with its next runs and its line in the scheduler."""
        job = self._chosen()
        if job is not None:
            begin(self, partial(self._told, job.id, "jobs", "show", job.id), "order")

    async def _told(self, heading: str, *question: str) -> None:
        """Show what mltop says of it."""
        answer = await self.dashboard.ask(question)
        if answer.is_late or not answer.output:
            self.dashboard.tell(refusal(answer))
            return
        lines: list[Line] = [[(clean(line, 1000), Role.TEXT)] for line in answer.output.rstrip().split(b"\n")]
        await self.app.push_screen(ReviewScreen(heading, lines, ""))

    def action_adopt(self) -> None:
        """Make a job of mltop's of a foreign line or timer, after a look at the difference."""
        job = self._chosen()
        if job is None:
            return
        if is_own(job):
            self.dashboard.tell(f"{job.id} is mltop's already")
            return
        order = ("jobs", "adopt", job.id, "--json", "--yes")
        done = f"{job.id} is adopted; u takes it back"
        self._review(f"Adopt {job.id}", "Adopt it", ("jobs", "adopt", job.id, "--json", "--dry-run"), order, done)

    def action_undo(self) -> None:
        """Take the last change back, after a yes."""
        lines = text_lines("The last change that mltop made is taken back, in the config and in the scheduler.\n")

        def answered(is_accepted: bool | None) -> None:
            if is_accepted:
                self._order("the last change is taken back", "jobs", "undo", "--json")

        self.app.push_screen(ReviewScreen("Undo", lines, "Take it back"), answered)
