"""Bars, graphs and heat cells as text. The scale is the caller's and fixed; a gap is empty, a measured 0 is not."""

from __future__ import annotations

from collections.abc import Sequence

from mltop.ui.line import Line, Role
from mltop.ui.view import Graphs

_LEFT = " ▏▎▍▌▋▊▉"
_LOWER = "▁▂▃▄▅▆▇█"
_ASCII = ".:-=+*#@"
_LEFT_DOTS = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT_DOTS = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
"""The braille dots of a cell's columns, 0 to 4 high from the bottom up."""
_REACH = 2048
_CLAMPED = (0,) * _REACH + (0, 1, 2, 3, 4) + (4,) * _REACH
"""Dots in a cell by dots above its foot, from `-_REACH` on."""
_CELLS = tuple(tuple(chr(0x2800 | a | b) if a | b else " " for b in _RIGHT_DOTS) for a in _LEFT_DOTS)


def bar(value: float | None, width: int, role: Role, graphs: Graphs, top: float = 100.0) -> Line:
    """`value` of `top` as a bar of `width` cells; unknown is an empty track.

    Lines in steps of half a cell: bars one above the other stay apart, which blocks (in eighths) do not.
    """
    if width <= 0:
        return []
    share = 0.0 if value is None else min(max(value / top, 0.0), 1.0)
    if graphs == "ascii":
        return _ascii_bar(share, width, role)
    is_block = graphs == "block"
    if role is Role.STALE:  # another texture: dimming alone is not seen on every terminal
        filled = ("░" if is_block else "╍") * round(share * width)
    elif is_block:
        filled = _stepped(share * width, width, "█", _LEFT)
    else:
        filled = _stepped(share * width, width, "━", " ╸")
    rest = ("·" if is_block else "─") * (width - len(filled))
    return [(text, kind) for text, kind in ((filled, role), (rest, Role.TRACK)) if text]


def _stepped(cells: float, width: int, full: str, parts: str) -> str:
    """So many cells full, the last one in part; full to the end and empty only where that is the value."""
    steps = len(parts)
    count = round(cells * steps)
    if 0 < cells < width:
        count = min(max(count, 1), width * steps - 1)
    whole, part = divmod(count, steps)
    return full * whole + (parts[part] if part else "")


def _ascii_bar(share: float, width: int, role: Role) -> Line:
    if width < 3:
        return [("#" * round(share * width) + "." * (width - round(share * width)), role)]
    room = width - 2
    filled = max(round(share * room), 1 if share > 0 else 0)
    mark = "-" if role is Role.STALE else "#"
    return [("[", Role.TRACK), (mark * filled + " " * (room - filled), role), ("]", Role.TRACK)]


def points(width: int, graphs: Graphs) -> int:
    """How many values a graph of `width` cells shows."""
    return width * 2 if graphs == "braille" else width


def graph(values: Sequence[float | None], rows: int, graphs: Graphs, top: float = 100.0) -> list[str]:
    """Rows of text from the top down, one or two values a cell; the scale is 0 to `top`."""
    if graphs == "braille":
        return _braille(values, rows, top)
    marks = _ASCII if graphs == "ascii" else _LOWER
    heights = [None if value is None else _height(value, top, rows * 8) for value in values]
    return ["".join([_block(height, row, marks) for height in heights]) for row in range(rows - 1, -1, -1)]


def _height(value: float, top: float, steps: int) -> int:
    """How many steps high: at least one, so that a measured 0 is no gap."""
    return min(max(round(value / top * steps), 1), steps)


def _block(height: int | None, row: int, marks: str) -> str:
    if height is None or height <= row * 8:
        return " "
    return marks[min(height - row * 8, 8) - 1]


def _braille(values: Sequence[float | None], rows: int, top: float) -> list[str]:
    steps = rows * 4
    scale = steps / top
    # A hot path: no calls of min and max for every value.
    heights = [
        0 if value is None else steps if value >= top else (int(value * scale + 0.5) or 1) if value > 0 else 1
        for value in values
    ]
    if len(heights) % 2:
        heights.insert(0, 0)
    pairs = list(zip(heights[::2], heights[1::2], strict=True))
    if rows == 1:
        return ["".join([_CELLS[a][b] for a, b in pairs])]
    text = []
    for base in range(steps - 4, -1, -4):
        shift = _REACH - base
        text.append("".join([_CELLS[_CLAMPED[a + shift]][_CLAMPED[b + shift]] for a, b in pairs]))
    return text


def heat(values: Sequence[float], graphs: Graphs) -> str:
    """One cell a value, 0 to 100 %: an eighth block, or the tens as a digit."""
    if graphs == "ascii":
        return "".join([str(min(max(int(value // 10), 0), 9)) for value in values])
    return "".join([_LOWER[min(max(int(value * 0.08), 0), 7)] for value in values])


_PLAIN = str.maketrans(
    {
        "━": "=", "╸": "-", "╍": "-",
        "·": "|", "…": "~", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "|", "└": "`",
        "▲": "^", "▼": "v", "↑": "^", "↓": "v", "°": " ", "–": "-", "—": "-", "✓": "+", "✗": "x",
        "●": "*", "→": ">", "▸": ">",
    }
)  # fmt: skip
"""What the panes draw with, in ASCII of the same width."""


def ascii_only(lines: list[Line]) -> list[Line]:
    """The lines with every cell below 128; foreign characters become `?`, of their own width."""
    return [[(text if text.isascii() else _ascii(text), role) for text, role in line] for line in lines]


def _ascii(text: str) -> str:
    from mltop.ui.format import cells

    text = text.translate(_PLAIN)
    return text if text.isascii() else "".join([c if c.isascii() else "?" * cells(c) for c in text])
