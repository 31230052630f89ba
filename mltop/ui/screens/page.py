"""A page over the monitor: a title, lines that scroll, and the keys of the page."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from mltop.ui.command import Command, bindings, shown
from mltop.ui.commands import PAGE
from mltop.ui.format import fold
from mltop.ui.graph import ascii_only
from mltop.ui.line import Line, Role
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.widgets.line_pane import LinePane

WHEEL_LINES = 3


class PageScreen(OnDashboard, Screen[None]):
    """Shows what `content` draws; as long as it is on top it is drawn again with each snapshot."""

    BINDINGS = bindings(PAGE)
    heading: ClassVar[str] = ""
    commands: ClassVar[tuple[Command, ...]] = ()
    """What it can do beside what every page can."""

    def __init__(self) -> None:
        super().__init__()
        self.offset_y = 0
        self._pane = LinePane("page")

    def compose(self) -> ComposeResult:
        """One pane for all of it."""
        yield self._pane

    def content(self, width: int) -> list[Line]:
        """The page's lines, each at most `width` cells."""
        raise NotImplementedError

    def title_line(self) -> Line:
        """What stands at the top."""
        return [(" ", Role.TEXT), (self.heading, Role.TITLE)]

    def redraw(self) -> None:
        """Draw the page for the view as it is now."""
        width, height = self.size
        if not width or not height:
            return
        is_ascii = self.view.graphs == "ascii"
        lines = ascii_only(self.content(width)) if is_ascii else self.content(width)
        room = self._room
        self.offset_y = max(0, min(self.offset_y, len(lines) - room))
        shown_lines = lines[self.offset_y : self.offset_y + room]
        shown_lines += [[]] * (room - len(shown_lines))
        rest = len(lines) - self.offset_y - room
        title = self.title_line()
        head = [*(ascii_only([title]) if is_ascii else [title]), []] if height > 4 else []
        self._pane.update([*head, *shown_lines, self._keys(rest)][-height:])

    @property
    def _room(self) -> int:
        height: int = self.size.height
        return max(0, height - (3 if height > 4 else 1))

    def _keys(self, rest: int) -> Line:
        if self.dashboard.note:
            return [(" ", Role.TEXT), (self.dashboard.note, Role.TITLE)]
        line: Line = [(" ", Role.TEXT)]
        for command in self.dashboard.possible((*PAGE, *self.commands)):
            if command.footer:
                line += [(shown(command.keys[0]), Role.KEY), (f" {command.footer}  ", Role.DIM)]
        line += [("q", Role.KEY), (" Quit", Role.DIM)]
        if rest > 0:
            line.append((f"   {rest} more below", Role.DIM))
        return line

    def on_mount(self) -> None:
        """First drawing; the screen below tells the sampler what is shown now."""
        self.dashboard.redraw()

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.redraw()

    def _go_to(self, y: int) -> None:
        self.offset_y = max(0, y)
        self.redraw()

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self._go_to(self.offset_y + lines)

    def action_scroll_page(self, pages: int) -> None:
        """Move by pages."""
        self._go_to(self.offset_y + pages * max(1, self._room - 1))

    def action_scroll_edge(self, side: int) -> None:
        """To the first or the last line."""
        self._go_to(0 if side < 0 else 1_000_000)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self._go_to(self.offset_y + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self._go_to(self.offset_y - WHEEL_LINES)


def wrapped(text: str, width: int, role: Role = Role.TEXT) -> list[Line]:
    """Text in lines of at most `width` cells."""
    return [[(part, role)] for part in fold(" ".join(text.split()), max(8, width))]
