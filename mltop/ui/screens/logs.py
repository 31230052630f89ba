"""Logs: the runs of a job or of all, and what the run under the cursor wrote, live (J42)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltop.model.job import Run, RunState
from mltop.ui.answers import Runs, read
from mltop.ui.aside import aside, begin
from mltop.ui.command import bindings
from mltop.ui.commands import LOGS
from mltop.ui.jobs_line import BAD
from mltop.ui.line import Line, Role
from mltop.ui.log_page import LogPage, Want, read_page
from mltop.ui.screens.browse import TabScreen
from mltop.ui.screens.job_rows import counted
from mltop.ui.screens.log_rows import LogView, log_lines, run_line, runs_head
from mltop.ui.widgets.line_pane import PaneClicked, PaneScrolled

if TYPE_CHECKING:
    from textual.widgets import Input

RUNS_S = 3.0
TAIL_S = 0.25
READ_S = 15.0
"""What a read or a search may take before it is given up."""
BESIDE_FROM = 120
"""Width from which runs and log stand side by side."""
RUNS_WIDTH = 54
WIDE_FROM = 160
"""Width from which a run has room for why it failed."""
WIDE_RUNS_WIDTH = 84
MOST_RUNS = "200"
WHEEL_ROWS = 3


class LogsScreen(TabScreen, inherit_bindings=False):
    """Runs at the left or the top, the log beside or below them."""

    BINDINGS = bindings(LOGS)
    commands = LOGS
    name_of_mode = "logs"

    def __init__(self) -> None:
        super().__init__()
        self.job: str | None = None
        """Only the runs of this job."""
        self.runs: tuple[Run, ...] | None = None
        self.trouble = ""
        self.cursor: str | None = None
        """The run chosen; `None` is the latest, whichever that is."""
        self.offset_y = 0
        self.has_log_focus = False
        self.log_view = LogView()
        self.search_line: Input | None = None
        self._reading: str | None = None
        """The log that is being read now."""
        self._wanted: Want | None = None
        """What to read next."""
        self._room = (1, 1)
        self._log_at = (0, 0)

    # -- runs --------------------------------------------------------------------------------------------------

    def show_job(self, job: str) -> None:
        """Show the latest run of a job."""
        self.job, self.cursor, self.runs = job, None, None
        self.log_view = LogView()
        self.has_log_focus = False
        if self.is_shown:
            self.action_look()

    def shown(self) -> None:
        """Read runs and log as long as somebody looks."""
        self._clocks = [self.set_interval(RUNS_S, self.action_look), self.set_interval(TAIL_S, self._tail)]
        self.action_look()

    def hidden(self) -> None:
        """Nobody looks."""
        for timer in self._clocks:
            timer.stop()
        self.workers.cancel_group(self, "look")

    def action_look(self) -> None:
        """Ask for the runs."""
        begin(self, self._look, "look", exclusive=True)

    async def _look(self) -> None:
        chosen = (self.job,) if self.job is not None else ()
        question = ("jobs", "history", *chosen, "-n", MOST_RUNS, "--json")
        found, self.trouble = read(await self.dashboard.ask(question), Runs)
        if found is not None:
            self.runs = found.runs
        self._open()
        self.redraw()

    @property
    def run_shown(self) -> Run | None:
        """The run under the cursor."""
        runs = self.runs or ()
        return next((run for run in runs if run.id == self.cursor), runs[0] if runs else None)

    def _open(self) -> None:
        """Read the log of the run under the cursor, unless it is the one shown."""
        run = self.run_shown
        if run is None or run.id == self.log_view.run_id:
            return
        self.log_view = LogView(run_id=run.id, is_following=True, is_wrapped=self.log_view.is_wrapped)
        self._want(Want("end", self._room[1]))

    # -- the log -----------------------------------------------------------------------------------------------

    def _tail(self) -> None:
        """What was written since; of a run that has ended, only what is not yet read."""
        run = self.run_shown
        if run is None or self._reading is not None or self._wanted is not None:
            return
        is_running = run.state is RunState.RUNNING
        if is_running or self.log_view.state is not run.state or self.log_view.rows != self._room[1]:
            self.log_view.state = run.state
            self._again()

    def _again(self) -> None:
        """The same place of the log, or its end, as it is now."""
        kind: Any = "end" if self.log_view.is_following else "at"
        self._want(Want(kind, self._room[1], self.log_view.page.top))

    def _want(self, want: Want) -> None:
        """Read; while something is being read, the last wish waits."""
        self._wanted = want
        if self._reading is None:
            begin(self, self._read, "read")

    async def _read(self) -> None:
        while self._wanted is not None:
            want, self._wanted = self._wanted, None
            run, view = self.run_shown, self.log_view
            if run is None or run.log_path is None:
                return
            path = Path(run.log_path)
            self._reading = run.id
            try:
                page = await aside(lambda path=path, want=want: read_page(path, want), READ_S)  # type: ignore[misc]
            except TimeoutError:
                page = LogPage(view.page.lines, trouble=f"no answer in {READ_S:.0f} s ({path})")
            finally:
                self._reading = None
            view.take(page, want)
            self.redraw()

    def _move_log(self, want: Want) -> None:
        self.log_view.said = "searching …" if want.kind in ("find", "error") else ""
        self.log_view.is_following = False
        self._want(want)
        self.redraw()

    # -- drawing -----------------------------------------------------------------------------------------------

    def summary(self) -> Line:
        """Whose runs."""
        runs = self.runs or ()
        bad = sum(run.state in BAD for run in runs)
        line: Line = [(f"{bad} failed", Role.CRITICAL), ("  ", Role.TEXT)] if bad else []
        what = counted(len(runs), "run") if self.runs is not None else "looking …"
        if len(runs) == int(MOST_RUNS):
            what = f"last {what}"
        return [*line, (f"{self.job} · " if self.job else "", Role.TITLE), (what, Role.DIM)]

    def lines(self, width: int, height: int) -> list[Line]:
        """Tabs, both sides, the footer."""
        top = self.tabs(width)
        free = max(1, height - len(top) - 1)
        body = self._beside if width >= BESIDE_FROM else self._stacked
        return [*top, *body(width, free, len(top)), self.footer(width, height - 1)]

    def _beside(self, width: int, rows: int, y: int) -> list[Line]:
        from mltop.ui.line import cut, width_of

        side = WIDE_RUNS_WIDTH if width >= WIDE_FROM else RUNS_WIDTH
        left = self._runs(side, rows)
        self._log_at = (side + 1, y)
        right = log_lines(self.log_view, self.run_shown, width - side - 2, rows, has_focus=self.has_log_focus)
        self._room = (rows - 1, max(1, rows - 1))
        lines = []
        for row in range(rows):
            line = cut(left[row] if row < len(left) else [], side)
            pad = " " * (side - width_of(line))
            lines.append([*line, (pad, Role.TEXT), ("│ ", Role.FRAME), *(right[row] if row < len(right) else [])])
        return lines

    def _stacked(self, width: int, rows: int, y: int) -> list[Line]:
        count = len(self.runs or ())
        upper = min(max(2, count + 1), max(4, rows // 3))
        above = self._runs(width, upper)
        above += [[]] * (upper - len(above))
        self._log_at = (0, y + upper)
        self._room = (upper - 1, max(1, rows - upper - 1))
        below = log_lines(self.log_view, self.run_shown, width, rows - upper, has_focus=self.has_log_focus)
        return [*above, *below, *[[] for _ in range(rows - upper - len(below))]]

    def _runs(self, width: int, rows: int) -> list[Line]:
        """The head and the runs that fit, the one under the cursor among them."""
        runs = self.runs or ()
        if not runs:
            none = f"No run of {self.job} was seen." if self.job else "No run was seen."
            text = self.trouble or (none if self.runs is not None else "Looking …")
            hint = "" if self.trouble or self.runs is None else "3 shows the jobs, and t runs one."
            said = [[(f"   {text}", Role.CRITICAL if self.trouble else Role.DIM)], [(f"   {hint}", Role.DIM)]]
            return [[], *said][:rows]
        at = self._at(runs)
        room = max(1, rows - 1)
        self.offset_y = max(0, at - room + 1, min(self.offset_y, at, len(runs) - room))
        shown = runs[self.offset_y : self.offset_y + room]
        lines = [runs_head(width, has_job=self.job is None)]
        for index, run in enumerate(shown, self.offset_y):
            lines.append(
                run_line(run, width, has_job=self.job is None, is_here=index == at, is_lit=not self.has_log_focus)
            )
        return lines

    def _at(self, runs: tuple[Run, ...]) -> int:
        return next((index for index, run in enumerate(runs) if run.id == self.cursor), 0)

    # -- moving ------------------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Through the runs, or through the log."""
        if self.has_log_focus:
            want = self.log_view.moved(rows, self._room[1])
            self._move_log(want) if want is not None else self.redraw()
            return
        runs = self.runs or ()
        if runs:
            at = max(0, min(len(runs) - 1, self._at(runs) + rows))
            self.cursor = runs[at].id if at else None
            self._open()
            self.redraw()

    def action_page(self, pages: int) -> None:
        """By pages."""
        self.action_move(pages * max(1, self._room[1 if self.has_log_focus else 0] - 1))

    def action_edge(self, side: int) -> None:
        """To the beginning or the end."""
        if not self.has_log_focus:
            self.action_move(side * 1_000_000)
        else:
            self._move_log(self.log_view.to_edge(side, self._room[1]))

    def action_other_pane(self) -> None:
        """Runs, or the log."""
        self.has_log_focus = not self.has_log_focus and bool(self.runs)
        self.redraw()

    def action_open(self) -> None:
        """Into the log."""
        self.has_log_focus = bool(self.runs)
        self.redraw()

    def action_back(self) -> None:
        """One level back."""
        if self.search_line is not None:
            self._close_search()
        elif self.dashboard.note:
            self.dashboard.tell("")
        elif self.log_view.needle:
            self.log_view.needle, self.log_view.hit = "", None
        elif self.has_log_focus:
            self.has_log_focus = False
        elif self.job is not None:
            self.job, self.cursor, self.runs = None, None, None
            self.action_look()
        self.redraw()

    def action_follow(self) -> None:
        """Stay at the end, or stay here."""
        self.log_view.is_following = not self.log_view.is_following
        self._again()
        self.redraw()

    def action_wrap(self) -> None:
        """Long lines on several rows, or cut."""
        self.log_view.is_wrapped = not self.log_view.is_wrapped
        self.log_view.shift = 0
        self.redraw()

    def action_sideways(self, step: int) -> None:
        """Right and left of the edge."""
        self.log_view.shift = max(0, self.log_view.shift + step * 20)
        self.redraw()

    # -- searching ---------------------------------------------------------------------------------------------

    async def action_search(self) -> None:
        """Open the line for the text."""
        if self.search_line is not None:
            return
        from textual.widgets import Input

        line: Any = Input(self.log_view.needle, placeholder="text to find in the log", id="filter", compact=True)
        line.cursor_blink = False
        self.search_line = line
        await self.mount(line)
        line.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Find it, from what is shown on."""
        event.stop()
        self.log_view.needle, self.log_view.hit = event.value, None
        self._close_search()
        if self.log_view.needle:
            self.action_find(1)

    def _close_search(self) -> None:
        if self.search_line is not None:
            line, self.search_line = self.search_line, None
            line.remove()
            self.set_focus(None)

    def action_find(self, step: int) -> None:
        """The next or the previous line that holds it."""
        if not self.log_view.needle:
            self.dashboard.tell("/ finds a text first")
            return
        self.has_log_focus = True
        page = self.log_view.page
        self._move_log(Want("find", self._room[1], page.top, step, self.log_view.needle, self.log_view.hit))

    def action_first_error(self) -> None:
        """The first line that speaks of an error."""
        self.has_log_focus = bool(self.runs)
        self._move_log(Want("error", self._room[1]))

    # -- the mouse ---------------------------------------------------------------------------------------------

    async def on_pane_clicked(self, message: PaneClicked) -> None:
        """A run is chosen, the log takes the focus, a key is pressed."""
        if await self.click(message.x, message.y):
            return
        x, y = self._log_at
        self.has_log_focus = message.x >= x and message.y >= y and bool(self.runs)
        runs = self.runs or ()
        index = message.y - 3 + self.offset_y
        if not self.has_log_focus and 0 <= index < len(runs):
            self.cursor = runs[index].id if index else None
            self._open()
        self.redraw()

    def on_pane_scrolled(self, message: PaneScrolled) -> None:
        """The wheel moves the side that has the focus."""
        self.action_move(message.step * WHEEL_ROWS)
