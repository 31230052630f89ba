"""What would be changed, before it is: a diff, or the words of it; Enter does it, Esc changes nothing (J20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from mltop.ui.command import bindings, shown
from mltop.ui.commands import REVIEW
from mltop.ui.format import cells
from mltop.ui.graph import ascii_only
from mltop.ui.line import Line, Role, broken, cut
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.widgets.line_pane import LinePane, PaneScrolled

if TYPE_CHECKING:
    pass

WHEEL_LINES = 3
INDENT = 4


class ReviewScreen(OnDashboard, Screen[bool]):
    """Gives whether it shall be done. Without `accept` there is nothing to do: it is only shown."""

    BINDINGS = bindings(REVIEW)
    commands = REVIEW

    def __init__(self, heading: str, lines: list[Line], accept: str) -> None:
        super().__init__()
        self.heading = heading
        self._all = lines
        self.accept_word = accept
        self.offset_y = 0
        self._pane = LinePane("review")

    def compose(self) -> ComposeResult:
        """One pane."""
        yield self._pane

    def on_mount(self) -> None:
        """First drawing."""
        self.redraw()

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.redraw()

    def redraw(self) -> None:
        """Draw what fits."""
        width, height = self.size
        if not width or not height:
            return
        room = max(1, height - 4)
        # whole lines: what is accepted has to have been seen
        whole = [row for line in self._all for row in broken([(" ", Role.TEXT), *line], width, INDENT)]
        self.offset_y = max(0, min(self.offset_y, len(whole) - room))
        rows = [cut(row, width) for row in whole[self.offset_y : self.offset_y + room]]
        rest = len(whole) - self.offset_y - room
        rule: Line = [("─" * width, Role.FRAME)]
        lines = [[(f" {self.heading}", Role.TITLE)], rule, *rows, *[[] for _ in range(room - len(rows))], rule]
        lines.append(self._keys(rest))
        self._pane.update(ascii_only(lines) if self.dashboard.view.graphs == "ascii" else lines)

    def _keys(self, rest: int) -> Line:
        line: Line = [(" ", Role.TEXT)]
        for command in REVIEW:
            word = self.accept_word if command.id == "review.accept" else command.footer
            if not self.accept_word and command.id == "review.cancel":
                word = "Back"
            if command.footer and word:
                line += [(shown(command.keys[0]), Role.KEY), (f" {word}   ", Role.DIM)]
        return [*line, (f"{rest} more below", Role.DIM)] if rest > 0 else line

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self.offset_y += lines
        self.redraw()

    def action_scroll_page(self, pages: int) -> None:
        """Move by pages."""
        self.action_scroll(pages * max(1, self.size.height - 5))

    def on_pane_scrolled(self, message: PaneScrolled) -> None:
        """The wheel."""
        self.action_scroll(message.step * WHEEL_LINES)

    def action_accept(self) -> None:
        """Do it."""
        self.dismiss(bool(self.accept_word))

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(False)


def diff_lines(diff: str) -> list[Line]:
    """A unified diff in colours; its signs say the same."""
    lines: list[Line] = []
    for text in diff.splitlines():
        if text.startswith(("---", "+++")):
            role = Role.TITLE
        elif text.startswith("@@"):
            role = Role.LABEL
        else:
            role = {"+": Role.OK, "-": Role.CRITICAL}.get(text[:1], Role.TEXT)
        if text.startswith("---") and lines:
            lines.append([])
        lines.append([(text, role)])
    return lines


def text_lines(text: str, role: Role = Role.TEXT) -> list[Line]:
    """Plain lines, their tabs and odd characters already gone."""
    return [[(line, role)] if cells(line) else [] for line in text.splitlines()]
