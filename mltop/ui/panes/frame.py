"""The thin rounded frame round a pane, with titles in its top edge."""

from __future__ import annotations

from mltop.ui.format import cells, clip
from mltop.ui.line import Line, Pen, Role, cut, width_of

MARGIN = 4
"""Columns that a frame and its inner margin take."""
EDGES = 2
"""Rows that a frame takes."""
FROM_ROWS = 4
"""Rows from which the small panes stand in a frame; the layout gives fewer or at least so many."""
FROM_COLUMNS = 28


def has_frame(width: int, height: int) -> bool:
    """Whether one of the small panes (CPU, memory, disks, network) stands in a frame at that size."""
    return height >= FROM_ROWS and width >= FROM_COLUMNS


def framed(lines: list[Line], width: int, height: int, title: Line, note: Line, focused: bool = False) -> list[Line]:
    """`height` lines: the top edge with a title at its left and a note at its right, the lines, the bottom edge."""
    edge = Role.TITLE if focused else Role.FRAME
    inner = width - MARGIN
    result = [_top(width, title, note, edge)]
    for line in lines[: height - EDGES]:
        line = cut(line, inner)
        result.append([("│ ", edge), *line, (" " * (inner - width_of(line) + 1) + "│", edge)])
    while len(result) < height - 1:
        result.append([("│", edge), (" " * (width - 2), Role.TEXT), ("│", edge)])
    result.append([("╰" + "─" * (width - 2) + "╯", edge)])
    return result


def _top(width: int, title: Line, note: Line, edge: Role) -> Line:
    pen = Pen().put("╭─", edge)
    if title:
        pen.put(" ").add(cut(title, width - 6)).put(" ")
    left = width - 2 - pen.at
    size = width_of(note) + 2
    if note and size + 1 <= left:
        pen.put("─" * (left - size), edge).put(" ").add(note).put(" ")
    elif note and left > 12:
        pen.put("─", edge).put(" ").add(cut(note, left - 3)).put(" ")
    return pen.put("─" * (width - 1 - pen.at) + "╮", edge).line


def titled(name: str, *details: str) -> Line:
    """A pane's title and what stands beside it."""
    line: Line = [(name, Role.TITLE)]
    for detail in details:
        if detail:
            line.append((f" · {detail}", Role.DIM))
    return line


def message(label: str, text: str, role: Role, width: int) -> Line:
    """One line in place of a pane's values."""
    return (
        [(f" {label:<4} ", Role.LABEL), (clip(text, max(1, width - 6)), role)]
        if width > cells(label) + 6
        else [(clip(text, width), role)]
    )
