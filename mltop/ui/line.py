"""A line of the screen before Textual sees it: spans of text, each with a role that the theme turns into a style."""

from __future__ import annotations

from enum import StrEnum

from mltop.ui.format import cells, clip


class Role(StrEnum):
    """What a span says; colour never says it alone (a word or a symbol stands beside it)."""

    TEXT = "text"
    DIM = "dim"
    """Secondary text, units, placeholders."""
    LABEL = "label"
    """Column heads and names of numbers."""
    TITLE = "title"
    FRAME = "frame"
    """Borders and rules."""
    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    STALE = "stale"
    """A value older than 3 of its cadence."""
    KEY = "key"
    """A key's name in the footer."""
    CURSOR = "cursor"
    """The row under the cursor (reverse video)."""
    TAGGED = "tagged"
    TRACK = "track"
    """The empty part of a bar."""
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    DISK = "disk"
    NETWORK = "network"


Span = tuple[str, Role]
Line = list[Span]
"""Spans from left to right; shorter than the pane's width is padded by the widget, longer is cut."""


def text_of(line: Line) -> str:
    """The line without its roles."""
    return "".join([text for text, _ in line])


def width_of(line: Line) -> int:
    """Cells that the line takes."""
    return cells("".join([text for text, _ in line]))


def cut(line: Line, width: int) -> Line:
    """The line in at most `width` cells."""
    if width_of(line) <= width:
        return line
    left, kept = width, Line()
    for text, role in line:
        size = cells(text)
        if size > left:
            if left:
                kept.append((clip(text, left), role))
            break
        kept.append((text, role))
        left -= size
    return kept


def broken(line: Line, width: int, indent: int = 1) -> list[Line]:
    """The line on as many rows as it needs, each at most `width` cells; those after the first begin with a blank."""
    rows: list[Line] = []
    while width_of(line) > width:
        first: Line = []
        room = width
        rest: Line = []
        for text, role in line:
            if rest or room <= 0:
                rest.append((text, role))
                continue
            count = len(text)
            while cells(text[:count]) > room:
                count -= 1
            first.append((text[:count], role))
            room -= cells(text[:count])
            if count < len(text):
                rest.append((text[count:], role))
        if not rest or width_of(rest) + indent >= width_of(line):
            break
        rows.append(first)
        line = [(" " * indent, Role.TEXT), *rest]
    return [*rows, line]


class Pen:
    """Writes one line from left to right and knows where it stands."""

    __slots__ = ("at", "line")

    def __init__(self, indent: int = 0) -> None:
        self.line: Line = [(" " * indent, Role.TEXT)] if indent else []
        self.at = indent
        """The next free column."""

    def put(self, text: str, role: Role = Role.TEXT) -> Pen:
        """Write text, known not to be too long."""
        if text:
            self.line.append((text, role))
            self.at += cells(text)
        return self

    def add(self, line: Line) -> Pen:
        """Write spans."""
        self.line += line
        self.at += width_of(line)
        return self

    def to(self, column: int) -> Pen:
        """Move right to a column, if it is not passed."""
        if column > self.at:
            self.line.append((" " * (column - self.at), Role.TEXT))
            self.at = column
        return self


def gathered(parts: list[Line], width: int, separator: Span) -> Line:
    """The parts that fit, in their order, joined; a first one that is too long is cut."""
    pen = Pen()
    for part in parts:
        gap = cells(separator[0]) if pen.at else 0
        size = width_of(part)
        if pen.at + gap + size <= width:
            if gap:
                pen.put(*separator)
            pen.add(part)
        elif not pen.at:
            pen.add(cut(part, width))
    return pen.line


def spread(left: Line, right: Line, width: int) -> Line:
    """`left` at the left, `right` at the right edge; `right` is never cut before `left`."""
    right = cut(right, width)
    room = width - width_of(right)
    left = cut(left, max(0, room - 2) if right else room)
    return [*left, (" " * (room - width_of(left)), Role.TEXT), *right]


def marked(line: Line, role: Role, width: int) -> Line:
    """The whole row in one role, up to the edge: a row under the cursor."""
    text = text_of(line)
    return [(text + " " * (width - cells(text)), role)]
