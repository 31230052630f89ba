"""The process pane: columns by what fits, the command gets the rest."""

from __future__ import annotations

from typing import NamedTuple

from mltop.model.snapshot import Processes, Status
from mltop.ui.format import UNKNOWN, cells, clip, duration, fixed, indices, left, plain, right, size
from mltop.ui.line import Line, Pen, Role, cut, marked
from mltop.ui.panes.frame import EDGES, MARGIN, framed, titled
from mltop.ui.panes.level import WORDS, age_of, is_old, why_not
from mltop.ui.panes.process_row import OTHER_CONTAINER, Row, rows
from mltop.ui.view import View

__all__ = ["Column", "Row", "capacity", "draw", "first_visible", "row_at", "rows"]


class Column(NamedTuple):
    """A column of the list; of lower rank goes first where it is narrow."""

    name: str
    width: int
    rank: int
    sort: str = ""
    is_left: bool = False
    is_gpu: bool = False


COLUMNS = (
    Column("PID", 7, 9, "pid"),
    Column("USER", 9, 7, "user", is_left=True),
    Column("S", 1, 1),
    Column("GPU", 5, 6, is_left=True, is_gpu=True),
    Column("GPU-MEM", 8, 8, "gpu", is_gpu=True),
    Column("SM%", 4, 3, is_gpu=True),
    Column("CPU%", 5, 5, "cpu"),
    Column("RSS", 6, 4, "memory"),
    Column("AGE", 4, 2, "time"),
    Column("CONTAINER", 14, 0, is_left=True, is_gpu=True),
)
USER_COLUMNS = (
    Column("USER", 12, 9, "user", is_left=True),
    Column("GPUS", 9, 7, is_left=True),
    Column("GPU-MEM", 8, 8, "gpu"),
    Column("PROCS", 5, 6),
    Column("CPU%", 6, 5, "cpu"),
    Column("RSS", 6, 4, "memory"),
    Column("AGE", 4, 2, "time"),
)
LEAST_COMMAND = 22
WIDE = 110
MOST_TEXT = 20
"""From `WIDE` on, names are shown whole up to so many cells."""
FRAME_FROM = 12
"""Rows from which the pane stands in a frame."""


def is_framed(width: int, height: int) -> bool:
    """Whether the pane stands in a frame at that size."""
    return width >= 80 and height >= FRAME_FROM


def capacity(width: int, height: int, view: View | None = None) -> int:
    """How many rows of processes a pane of that size shows."""
    notes = len(_notes(view)) if view is not None else 0
    return max(0, height - 1 - notes - (EDGES if is_framed(width, height) else 0))


def first_visible(view: View, count: int, room: int) -> int:
    """Index of the first row to show: `offset`, moved so that the screen is used."""
    return max(0, min(view.processes.offset, count - room))


def row_at(view: View, y: int, width: int, height: int) -> int | None:
    """Which of `rows(view)` a click on line `y` of the pane hits; `None` for the head, the frame or nothing."""
    top = (1 if is_framed(width, height) else 0) + 1 + len(_notes(view))
    count = len(rows(view))
    room = capacity(width, height, view)
    place = y - top
    index = first_visible(view, count, room) + place
    return index if 0 <= place < room and index < count else None


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    if height < 1:
        return []
    if not is_framed(width, height):
        return [[(" ", Role.TEXT), *line] for line in _table(view, width - 1, height)]
    return framed(
        _table(view, width - MARGIN, height - EDGES), width, height, *_titles(view), view.focus in ("process", None)
    )


def _titles(view: View) -> tuple[Line, Line]:
    shown = view.processes
    found = view.snapshot.processes if view.snapshot else Processes()
    title = titled(
        "Users" if shown.by_user else "Processes",
        f"{found.total}" if found.total is not None else "",
        f"{found.running} running" if found.running else "",
        f"{found.blocked} blocked (D)" if found.blocked else "",
        f"{found.zombies} zombie{'s' if found.zombies > 1 else ''}" if found.zombies else "",
    )
    note = [f"filter {shown.filter}"] if shown.filter else []
    note += ["tree"] if shown.tree and not shown.by_user else []
    note += [f"{len(shown.tagged)} tagged"] if shown.tagged else []
    return title, [(" · ".join(note), Role.KEY)] if note else []


def _notes(view: View) -> list[Line]:
    """Why rows may be missing, in words: a refused list is never "none" (M20)."""
    snapshot = view.snapshot
    if snapshot is None:
        return []
    notes: list[Line] = []
    refused = [gpu.index for gpu in snapshot.gpus if gpu.processes_status is Status.NO_PERMISSION]
    if refused:
        which = indices(tuple(index for index in refused if index is not None))
        notes.append([(f"GPU {which}: processes not permitted; run as root to see them", Role.WARNING)])
    if snapshot.processes.status is not Status.OK or is_old(view, snapshot.processes):
        age = age_of(view, snapshot.processes)
        reason = snapshot.processes.reason or WORDS[snapshot.processes.status] or "stale"
        notes.append([(f"processes: {reason}" + (f", {duration(age)} old" if age else ""), Role.STALE)])
    elif snapshot.processes.reason:
        notes.append([(f"processes: {snapshot.processes.reason}", Role.DIM)])
    return notes


def chosen(view: View, width: int, found: list[Row]) -> list[Column]:
    """The columns that fit, in their order, leaving room for the command."""
    has_gpu = bool(view.snapshot and view.snapshot.gpus) or any(row.gpus or row.gpu_memory_bytes for row in found)
    columns = [c for c in (USER_COLUMNS if view.processes.by_user else COLUMNS) if has_gpu or not c.is_gpu]
    if not any(row.container for row in found):
        columns = [column for column in columns if column.name != "CONTAINER"]
    room = width - LEAST_COMMAND
    kept = []
    for column in sorted(columns, key=lambda column: -column.rank):
        if column.width + 1 <= room:
            kept.append(column)
            room -= column.width + 1
    kept = [column for column in columns if column in kept]
    return [_widened(column, found) for column in kept] if width >= WIDE else kept


def _widened(column: Column, found: list[Row]) -> Column:
    """A column of text as wide as its longest, within reason."""
    if not column.is_left:
        return column
    longest = max((cells(_value(column.name, row)) for row in found), default=0)
    return column._replace(width=min(max(column.width, longest), MOST_TEXT))


def _table(view: View, width: int, height: int) -> list[Line]:
    notes = _notes(view)
    found = rows(view)
    columns = chosen(view, width, found)
    lines = [_head(view, columns, width), *[cut(note, width) for note in notes]]
    room = max(0, height - len(lines))
    if not found:
        lines.append([(clip(_nothing(view), width), Role.DIM)])
        return lines[:height]
    start = first_visible(view, len(found), room)
    for row in found[start : start + room]:
        line = _row(row, columns, width, row.id in view.processes.tagged)
        lines.append(_styled(line, row, view, width))
    return lines[:height]


def _nothing(view: View) -> str:
    if view.snapshot is None:
        return "waiting for the first sample"
    if view.processes.filter:
        return f"no process matches {view.processes.filter}"
    processes = view.snapshot.processes
    return "no processes" if processes.status is Status.OK else why_not(processes)


def _head(view: View, columns: list[Column], width: int) -> Line:
    pen = Pen()
    mark = "▲" if view.processes.invert else "▼"
    sort = view.processes.sort
    if sort == "gpu" and all(column.sort != sort for column in columns):
        sort = "cpu"  # no GPU: that order falls through to it
    for column in columns:
        is_sorted = column.sort == sort and column.sort != ""
        text = (mark if is_sorted else "") + column.name
        text = left(text, column.width) if column.is_left else right(text, column.width)
        pen.put(text, Role.TITLE if is_sorted else Role.LABEL).put(" ")
    last = "PROGRAMS" if view.processes.by_user else "COMMAND"
    is_sorted = sort == "command"
    pen.put((mark if is_sorted else "") + last, Role.TITLE if is_sorted else Role.LABEL)
    return cut(pen.line, width)


def _cpu(row: Row) -> str:
    return fixed(row.cpu_percent, 0 if (row.cpu_percent or 0.0) >= 9.95 else 1)


def _value(name: str, row: Row) -> str:
    if name == "PID":
        return UNKNOWN if row.pid is None else str(row.pid)
    if name == "GPU-MEM":
        return size(row.gpu_memory_bytes) if row.gpus or row.gpu_memory_bytes is not None else ""
    if name == "CPU%":
        return _cpu(row)
    if name == "RSS":
        return size(row.rss_bytes)
    if name == "USER":
        return plain(row.user or UNKNOWN)
    if name in ("GPU", "GPUS"):
        return indices(row.gpus) if row.gpus else ""
    if name == "SM%":
        return fixed(row.sm_percent, 0) if row.gpus else ""
    if name == "AGE":
        return duration(row.running_s)
    if name == "PROCS":
        return str(row.count)
    return plain((row.state if name == "S" else row.container) or "")


def command(row: Row) -> str:
    """The command column's text."""
    text = plain(row.command or row.name or "")
    if row.status is Status.ABSENT:
        return OTHER_CONTAINER + (f": {text}" if text else "")
    return f"(GPU lost) {text}" if row.status is Status.LOST else text or UNKNOWN


def _row(row: Row, columns: list[Column], width: int, is_tagged: bool = False) -> Line:
    texts = []
    for column in columns:
        value = _value(column.name, row)
        texts.append(left(value, column.width) if column.is_left else right(value, column.width))
    before = " ".join(texts) + " "
    if is_tagged and columns:
        before = before[: columns[0].width] + "*" + before[columns[0].width + 1 :]
    rest = max(0, width - sum(column.width + 1 for column in columns))
    line: Line = [(before, Role.TEXT)]
    if row.depth:
        depth = clip(row.depth, max(0, rest - 8), "")
        line.append((depth, Role.FRAME))
        rest -= len(depth)
    line.append((clip(command(row), rest), Role.TEXT))
    return line


def _styled(line: Line, row: Row, view: View, width: int) -> Line:
    shown = view.processes
    if row.id in shown.tagged:
        line = [(text, Role.TAGGED) for text, _ in line]
    elif row.status is not Status.OK:
        line = [(text, Role.STALE) for text, _ in line]
    if row.id == shown.cursor and view.focus in ("process", None):
        return marked(line, Role.CURSOR, width)
    return line
