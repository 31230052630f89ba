"""From Textual's update to the fewest bytes: a memory of what the terminal shows, and only the cells that differ.

A row of the dashboard that changes usually changes in three digits. Textual would send the row; over ssh, and for an
idle screen that must write nothing (M30), the cells are what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

Cell = tuple[str, Style | None]
"""A character and its style; the right half of a wide character is an empty text with the same style."""

GAP = 4
"""Unchanged cells between two changed ones that are cheaper to send again than to jump over."""

_UNKNOWN: Cell = ("\0", None)


def cells(strip: Iterable[tuple[str, Style | None]]) -> list[Cell]:
    """The cells of segments, one entry a column."""
    row: list[Cell] = []
    for text, style in strip:
        if text.isascii():
            row.extend([(character, style) for character in text])
            continue
        for character in text:
            width = get_character_cell_size(character)
            if width == 0 and row:
                row[-1] = (row[-1][0] + character, row[-1][1])
            elif width:
                row.append((character, style))
                row.extend([("", style)] * (width - 1))
    return row


class Painter:
    """Knows what the terminal shows, cell by cell, and turns updates into escape sequences for the difference."""

    def __init__(self, color_system: ColorSystem | None) -> None:
        self._color_system = color_system
        self._rows: list[list[Cell]] = []
        self._width = 0
        self._codes: dict[Style | None, str] = {None: ""}

    def forget(self) -> None:
        """The terminal may show anything now: what comes next is sent whole."""
        self._rows = [[_UNKNOWN] * self._width for _ in self._rows]

    def resize(self, width: int, height: int) -> None:
        """Another size: terminals reflow what they show, so nothing is known of it."""
        if width != self._width or height != len(self._rows):
            self._width = width
            self._rows = [[_UNKNOWN] * width for _ in range(height)]

    def paint(self, update: CompositorUpdate) -> str:
        """The bytes that bring the terminal to `update`; "" when it shows that already."""
        out: list[str] = []
        code = ""
        for y, x, strip in _strips(update):
            if 0 <= y < len(self._rows):
                code = self._paint_row(y, x, cells((s.text, s.style) for s in strip if not s.control), out, code)
        if code:
            out.append("\x1b[0m")
        return "".join(out)

    def _paint_row(self, y: int, x: int, new: list[Cell], out: list[str], code: str) -> str:
        """Append what differs; `code` is the style that the terminal writes in, before and after."""
        row = self._rows[y]
        new = new[: max(0, self._width - x)]
        if row[x : x + len(new)] == new:
            return code
        style: Style | str | None = ""
        for start, end in _runs(row, new, x):
            out.append(f"\x1b[{y + 1};{x + start + 1}H")
            for character, cell_style in new[start:end]:
                if cell_style is not style:
                    style = cell_style
                    if (wanted := self._code(cell_style)) != code:
                        out.append("\x1b[0m" + wanted)
                        code = wanted
                out.append(character)
        row[x : x + len(new)] = new
        return code

    def _code(self, style: Style | None) -> str:
        code = self._codes.get(style)
        if code is None:
            assert style is not None
            code = style.render("\0", color_system=self._color_system).partition("\0")[0]
            self._codes[style] = code
        return code


def _runs(row: list[Cell], new: list[Cell], x: int) -> Iterator[tuple[int, int]]:
    """Spans of `new` that differ from what the row shows from column `x`; small gaps are joined."""
    start = last = -1
    for index, cell in enumerate(new):
        if row[x + index] == cell:
            continue
        if start >= 0 and index - last > GAP:
            yield _whole(row, new, x, start, last + 1)
            start = -1
        if start < 0:
            start = index
        last = index
    if start >= 0:
        yield _whole(row, new, x, start, last + 1)


def _whole(row: list[Cell], new: list[Cell], x: int, start: int, end: int) -> tuple[int, int]:
    """Never begin or end inside a wide character, of the new row or of the one it replaces."""
    while start > 0 and (new[start][0] == "" or row[x + start][0] == ""):
        start -= 1
    while end < len(new) and (new[end][0] == "" or row[x + end][0] == ""):
        end += 1
    return start, end


def _strips(update: CompositorUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The rows of an update: y, x, and what stands there."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield y, update.region.x, Strip.join(list(strips))
    elif isinstance(update, ChopsUpdate):
        for y, x1, x2 in update.spans:
            for x, strip in update.chops[y].items():
                if strip is not None and x < x2 and x + strip.cell_length > x1:
                    yield y, x, strip
