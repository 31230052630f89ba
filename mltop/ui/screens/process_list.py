"""What can be done with the process list: sort, filter, tree, tags, signals, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

from mltop.ui.layout import Place
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.screens.rows import ProcessCursor, chosen

if TYPE_CHECKING:
    from textual.widgets import Input


SORTS = ("pid", "user", "gpu", "cpu", "memory", "time", "command")
"""In the order of the table's columns."""


class ProcessListScreen(OnDashboard, Screen[None], inherit_bindings=False):
    """A screen with a process list on it."""

    def __init__(self) -> None:
        super().__init__()
        self.filter_line: Input | None = None
        """The line in which the filter is typed, while it is open."""

    def redraw(self) -> None:
        """Draw the view as it is now."""
        raise NotImplementedError

    def place_of(self, pane: str) -> Place | None:
        """Where a pane is, if it is on the screen."""
        raise NotImplementedError

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        raise NotImplementedError

    def action_sort(self, step: int) -> None:
        """Sort by a column beside."""
        processes = self.view.processes
        at = SORTS.index(processes.sort) if processes.sort in SORTS else 0
        processes.sort = SORTS[(at + step) % len(SORTS)]
        self.redraw()

    def action_sort_by(self, column: str) -> None:
        """Sort by a column."""
        self.view.processes.sort = column
        self.redraw()

    def action_invert(self) -> None:
        """Turn the order round."""
        self.view.processes.invert = not self.view.processes.invert
        self.redraw()

    def action_tree(self) -> None:
        """Show or leave the tree."""
        self.view.processes.tree = not self.view.processes.tree
        self.view.processes.by_user = False
        self.redraw()

    def action_by_user(self) -> None:
        """Show or leave the sums by user."""
        self.view.processes.by_user = not self.view.processes.by_user
        self.view.processes.offset = 0
        self.redraw()

    def action_tag(self) -> None:
        """Tag the process under the cursor, or take its tag away, and go on to the next."""
        processes = self.view.processes
        if processes.cursor is not None and not processes.by_user:
            processes.tagged ^= {processes.cursor}
            self.view.focus = "process"
            self.action_move(1)

    async def action_filter(self) -> None:
        """Open the line for the filter."""
        if self.filter_line is not None:
            return
        from textual.widgets import Input

        line = Input(
            self.view.processes.filter, placeholder="text in pid, user, name or command", id="filter", compact=True
        )
        line.cursor_blink = False
        self.filter_line = line
        await self.mount(line)
        line.focus()
        self.redraw()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the text is typed."""
        event.stop()
        self.view.processes.filter = event.value.strip()
        self.view.processes.offset = 0
        self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, close the line."""
        event.stop()
        self.close_filter()

    def close_filter(self) -> None:
        """Close the line and keep the filter."""
        if self.filter_line is not None:
            line, self.filter_line = self.filter_line, None
            line.remove()
            self.set_focus(None)
            self.redraw()

    def action_signal(self) -> None:
        """Ask which signal to send to the process under the cursor or to the tagged ones."""
        if not self.dashboard.has_hands:
            self.dashboard.tell("read-only: no signals")
            return
        from mltop.ui.screens.signal import ask_signal

        processes, refusal = chosen(self.view)
        if refusal:
            self.dashboard.tell(refusal)
            return
        ask_signal(self.dashboard, processes, self._signalled)

    def _signalled(self, is_sent: bool) -> None:
        if is_sent:
            self.view.processes.tagged.clear()
        self.redraw()

    def open_process(self) -> None:
        """A process's page, or a user's processes."""
        row = ProcessCursor(self.view, self.place_of("process")).row
        if row is None:
            return
        if self.view.processes.by_user:
            self.view.processes.by_user = False
            self.view.processes.filter = row.user or ""
            self.redraw()
        elif row.pid is None:
            self.dashboard.tell("a process of another container: the row is all that is known of it")
        else:
            from mltop.ui.screens.process_detail import ProcessScreen

            self.app.push_screen(ProcessScreen(row.pid, row.started_at))
