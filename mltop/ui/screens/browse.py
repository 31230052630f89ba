"""What the numbered lists share: tabs at the top, rows under a cursor, what is below them, keys at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from mltop.ui.command import Command, shown
from mltop.ui.commands import APP, SCREENS
from mltop.ui.format import cells, fold
from mltop.ui.graph import ascii_only
from mltop.ui.line import Line, Pen, Role, marked, spread
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.widgets.line_pane import LinePane, PaneClicked, PaneScrolled

if TYPE_CHECKING:
    from textual.widgets import Input


WHEEL_ROWS = 3
HEAD_ROWS = 3
"""The tabs, a rule, the heads of the columns."""
MOST_NOTE = 8
"""Lines that a long note takes."""
LEAST_ROWS = 4
"""Rows that a list keeps before anything is shown below it."""

Item = TypeVar("Item")


class TabScreen(OnDashboard, Screen[None], inherit_bindings=False):
    """A numbered screen that draws itself by line."""

    commands: ClassVar[tuple[Command, ...]] = ()
    name_of_mode: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__()
        self._pane = LinePane(self.name_of_mode)
        self._spots: list[tuple[int, int, int, str]] = []
        """Row, first and last column, and the key that a click there presses."""
        self.is_shown = False
        """Whether it is the screen that is on: a hidden one asks nothing."""

    def compose(self) -> ComposeResult:
        """One pane for all of it."""
        yield self._pane

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that must not act from here are not there."""
        del parameters
        return self.dashboard.is_possible(action, self.commands)

    # -- drawing -----------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draw the screen as it is now."""
        width, height = self._pane.size
        if not width or not height or not self.is_shown:
            return
        self._spots = []
        lines = self.lines(width, height)[:height]
        note = self._long_note(width)[-height:]
        lines = [*lines[: len(lines) - len(note)], *note]
        self._pane.update(ascii_only(lines) if self.view.graphs == "ascii" else lines)

    def lines(self, width: int, height: int) -> list[Line]:
        """All rows of the screen."""
        raise NotImplementedError

    def summary(self) -> Line:
        """What stands at the right of the tabs."""
        return []

    def tabs(self, width: int) -> list[Line]:
        """The numbered screens, this one standing out, over a rule."""
        pen = Pen(1)
        for entry in SCREENS:
            is_here = entry.name == self.name_of_mode
            self._spots.append((0, pen.at, pen.at + len(entry.title) + 1, str(entry.number)))
            pen.put(str(entry.number), Role.KEY).put(" ")
            pen.put(entry.title, Role.TITLE if is_here else Role.DIM).put("   ")
        line: Line = []
        at = 1
        for entry in SCREENS:
            size = len(entry.title) + 2
            is_here = entry.name == self.name_of_mode
            line += [("─" * (at - cells("".join(text for text, _ in line))), Role.FRAME)]
            line += [(("━" if is_here else "─") * size, Role.KEY if is_here else Role.FRAME)]
            at += size + 3
        line += [("─" * (width - cells("".join(text for text, _ in line))), Role.FRAME)]
        return [spread(pen.line, [*self.summary(), (" ", Role.TEXT)], width), line]

    def footer(self, width: int, row: int) -> Line:
        """The note of the moment, else the keys that fit, this screen's first."""
        if self.dashboard.note:
            return [(" ", Role.TEXT), (self.dashboard.note, Role.TITLE)]
        app = [one for one in APP if one.id in ("app.quit", "app.help")]
        pen = Pen(1)
        for command in self.dashboard.possible((*app[:2], *self.commands)):
            key = shown(command.keys[0])
            size = len(key) + 1 + cells(command.footer)
            if command.footer and pen.at + size <= width:
                self._spots.append((row, pen.at, pen.at + size - 1, command.keys[0]))
                pen.put(key, Role.KEY).put(f" {command.footer}  ", Role.DIM)
        return pen.line

    def _long_note(self, width: int) -> list[Line]:
        """A note that the footer has no room for, over the last rows."""
        parts = fold(self.dashboard.note, max(8, width - 2))
        if len(parts) < 2:
            return []
        return [[("─" * width, Role.FRAME)], *([(f" {part}", Role.TITLE)] for part in parts[:MOST_NOTE])]

    # -- being shown -------------------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        """It is on."""
        self.is_shown = True
        self.shown()
        self.redraw()

    def on_screen_suspend(self) -> None:
        """It is off, or under another."""
        self.is_shown = False
        self.hidden()

    def shown(self) -> None:
        """Begin to look."""

    def hidden(self) -> None:
        """Look no more."""

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.call_after_refresh(self.redraw)

    # -- the mouse ---------------------------------------------------------------------------------------------

    async def click(self, x: int, y: int) -> bool:
        """Press the key that stands there; `False` where there is none."""
        for row, first, last, key in self._spots:
            if row == y and first <= x <= last:
                await self.dashboard.press(shown(key))
                return True
        return False


class BrowseScreen(TabScreen, Generic[Item], inherit_bindings=False):
    """A list: its cursor stays on its item, wherever that goes."""

    def __init__(self) -> None:
        super().__init__()
        self.cursor: str | None = None
        self.offset_y = 0
        self.filter = ""
        self.filter_line: Input | None = None
        self._room = 1
        self._head = HEAD_ROWS

    # -- what a list is ----------------------------------------------------------------------------------------

    def items(self) -> list[Item]:
        """The items in their order, those that the filter leaves."""
        raise NotImplementedError

    def key(self, item: Item) -> str:
        """What an item is known by."""
        raise NotImplementedError

    def head(self, width: int) -> Line:
        """The names of the columns."""
        raise NotImplementedError

    def row(self, item: Item, width: int) -> Line:
        """One item."""
        raise NotImplementedError

    def nothing(self, width: int) -> list[Line]:
        """In place of rows where there are none."""
        raise NotImplementedError

    def above(self, width: int) -> list[Line]:
        """Between the tabs and the list."""
        del width
        return []

    def below(self, item: Item | None, width: int, height: int) -> list[Line]:
        """Under the rows, at most `height` lines."""
        del item, width, height
        return []

    @property
    def current(self) -> Item | None:
        """The item under the cursor."""
        items = self.items()
        return next((item for item in items if self.key(item) == self.cursor), items[0] if items else None)

    # -- drawing -----------------------------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> list[Line]:
        """Tabs, heads, rows, what is below, the footer."""
        items = self.items()
        top = [*self.tabs(width), *self.above(width)]
        self._head = len(top) + 1
        free = max(0, height - self._head - 1)
        below = self.below(self.current, width, max(0, free - min(len(items), max(LEAST_ROWS, free // 2))))
        self._room = max(1, free - len(below))
        rows = self._rows(items, width) if items else self.nothing(width)[: self._room]
        room = min(self._room, len(rows) + 1) if below else self._room
        rows += [[] for _ in range(room - len(rows))]
        lines = [*top, self.head(width) if items else [], *rows, *below]
        return [*lines, *[[] for _ in range(height - 1 - len(lines))], self.footer(width, height - 1)]

    def _rows(self, items: list[Item], width: int) -> list[Line]:
        at = self._at(items)
        self.offset_y = max(0, min(self.offset_y, at, len(items) - self._room))
        self.offset_y = max(self.offset_y, at - self._room + 1)
        lines = []
        for index, item in enumerate(items[self.offset_y : self.offset_y + self._room], self.offset_y):
            line = self.row(item, width)
            lines.append(marked(line, Role.CURSOR, width) if index == at else line)
        return lines

    def _at(self, items: list[Item]) -> int:
        keys = [self.key(item) for item in items]
        return keys.index(self.cursor) if self.cursor in keys else 0

    # -- moving ------------------------------------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        items = self.items()
        if items:
            self.cursor = self.key(items[max(0, min(len(items) - 1, self._at(items) + rows))])
            self.redraw()

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self.action_move(pages * max(1, self._room - 1))

    def action_edge(self, side: int) -> None:
        """Move the cursor to the first or the last row."""
        self.action_move(side * 1_000_000)

    def action_open(self) -> None:
        """Open the item under the cursor."""

    def action_back(self) -> None:
        """One level back: the filter line, the note, the filter."""
        if self.filter_line is not None:
            self._close_filter()
        elif self.dashboard.note:
            self.dashboard.tell("")
        else:
            self.filter = ""
        self.redraw()

    # -- the filter --------------------------------------------------------------------------------------------

    async def action_filter(self) -> None:
        """Open the line for the filter."""
        if self.filter_line is not None:
            return
        from textual.widgets import Input

        line: Any = Input(self.filter, placeholder="text to look for", id="filter", compact=True)
        line.cursor_blink = False
        self.filter_line = line
        await self.mount(line)
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the text is typed."""
        event.stop()
        self.filter = event.value.strip()
        self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, close the line."""
        event.stop()
        self._close_filter()

    def _close_filter(self) -> None:
        if self.filter_line is not None:
            line, self.filter_line = self.filter_line, None
            line.remove()
            self.set_focus(None)

    # -- the mouse ---------------------------------------------------------------------------------------------

    async def on_pane_clicked(self, message: PaneClicked) -> None:
        """A row takes the cursor, a double click opens it, a key is pressed."""
        if await self.click(message.x, message.y):
            return
        items = self.items()
        index = message.y - self._head + self.offset_y
        if self._head <= message.y < self._head + self._room and index < len(items):
            self.cursor = self.key(items[index])
            self.redraw()
            if message.is_double:
                self.action_open()

    def on_pane_scrolled(self, message: PaneScrolled) -> None:
        """The wheel moves the cursor."""
        self.action_move(message.step * WHEEL_ROWS)


def holds(text: str, *parts: str | None) -> bool:
    """Whether one of the parts holds the filter's text, whatever its case."""
    wanted = text.casefold()
    return not wanted or any(wanted in part.casefold() for part in parts if part)
