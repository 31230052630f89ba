"""A pane that is nothing but lines: it repaints the rows that changed, and only those."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mltop.ui.line import Line, Role
from mltop.ui.theme import styles


class PaneClicked(Message):
    """A pane was clicked, at a column and row of its own."""

    def __init__(self, pane: str, x: int, y: int, *, is_double: bool) -> None:
        super().__init__()
        self.pane = pane
        self.x = x
        self.y = y
        self.is_double = is_double


class PaneScrolled(Message):
    """The wheel was turned over a pane: 1 is down, -1 is up."""

    def __init__(self, pane: str, step: int) -> None:
        super().__init__()
        self.pane = pane
        self.step = step


class LinePane(Widget):
    """Shows the lines it was given last."""

    DEFAULT_CSS = """
    LinePane { width: 1fr; height: 1fr; }
    """
    ALLOW_SELECT = False

    def __init__(self, pane: str) -> None:
        super().__init__(id=f"pane-{pane}")
        self.pane = pane
        self.lines: list[Line] = []
        self._strips: dict[int, Strip] = {}
        self._strips_of: tuple[str, bool, int] | None = None

    def update(self, lines: list[Line]) -> None:
        """Show `lines`; rows that are equal to what is shown are left alone."""
        old, self.lines = self.lines, lines
        changed = [
            y for y in range(max(len(old), len(lines))) if y >= len(old) or y >= len(lines) or old[y] != lines[y]
        ]
        for y in changed:
            self._strips.pop(y, None)
        if changed and self.is_mounted:
            width = self.size.width
            self.refresh(*(Region(0, y, width, 1) for y in changed if y < self.size.height))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of `crop`; the theme's styles are put in directly, past Textual's style cache and filters."""
        key = (self.app.theme, self.app.no_color, self.size.width)
        if key != self._strips_of:
            self._strips_of = key
            self._strips.clear()
        rows = [self._row(y) for y in crop.line_range]
        if crop.x == 0 and crop.width == self.size.width:
            return rows
        return [row.crop(crop.x, crop.right) for row in rows]

    def render_line(self, y: int) -> Strip:
        """One row."""
        return self.render_lines(Region(0, y, self.size.width, 1))[0]

    def _row(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None:
            roles = styles(self.app.theme, self.app.no_color)
            line = self.lines[y] if y < len(self.lines) else []
            strip = self._strips[y] = strip_of(line, self.size.width, roles)
        return strip

    def on_click(self, event: events.Click) -> None:
        """Say which row."""
        self.post_message(PaneClicked(self.pane, event.x, event.y, is_double=event.chain == 2))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Say that the wheel was turned."""
        self.post_message(PaneScrolled(self.pane, 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Say that the wheel was turned."""
        self.post_message(PaneScrolled(self.pane, -1))


def strip_of(line: Line, width: int, roles: dict[Role, Style]) -> Strip:
    """A line as Textual paints it: cut or padded to `width` cells."""
    strip = Strip([Segment(text, roles[role]) for text, role in line if text])
    return strip.adjust_cell_length(width, roles[Role.TEXT])
