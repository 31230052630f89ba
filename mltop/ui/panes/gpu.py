"""The GPU pane: as many lines a GPU as there is room for, two a row or `+n more` where there is none."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status
from mltop.ui.format import span_of, wrap
from mltop.ui.line import Line, Pen, Role, cut, marked
from mltop.ui.panes import gpu_row, gpu_state
from mltop.ui.panes.frame import EDGES, MARGIN, framed, message, titled
from mltop.ui.panes.gpu_row import GpuRow
from mltop.ui.panes.header import models_line
from mltop.ui.panes.level import WORDS, Levels
from mltop.ui.view import View

TWO_A_ROW = 76
"""The narrowest pane that holds two GPUs side by side."""
PAIRED_FROM = 8
"""More GPUs than this may stand two a row inside a frame."""
FRAME_WIDTH = 80
REASON_LINES = 3
MOST_LINES = 5
"""A GPU's block is not higher than this: above, processes are worth more."""


def gpu_rows(view: View) -> list[GpuRow]:
    """All rows in the driver's order: each GPU, then its MIG instances; `view.gpu_cursor` counts these."""
    if view.snapshot is None:
        return []
    rows: list[GpuRow] = []
    for gpu in view.snapshot.gpus:
        rows.append(GpuRow(gpu))
        rows += [GpuRow(gpu, mig) for mig in gpu.mig]
    return rows


def trouble(view: View) -> Line:
    """What is wrong with the driver as a whole, in words; empty when it is well."""
    if view.snapshot is None:
        return []
    driver = view.snapshot.driver
    if driver.status is Status.OK:
        return [(driver.reason, Role.WARNING)] if driver.reason else []
    return [(_driver_words(driver), Role.DIM if driver.status is Status.ABSENT else Role.CRITICAL)]


def _driver_words(driver: Driver) -> str:
    if driver.reason:
        return driver.reason
    return "no NVIDIA GPU on this box" if driver.status is Status.ABSENT else f"driver: {WORDS[driver.status]}"


def need(view: View, width: int, lines: int = 1) -> int:
    """Rows that all GPUs take at so many lines each, with the head and the driver's trouble; the reason with no GPU."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.gpus:
        return len(_none(view, width))
    return 1 + (1 if trouble(view) else 0) + len(snapshot.gpus) * lines + _instances(snapshot)


def need_paired(view: View, width: int) -> int:
    """Rows that all GPUs take two a row; as `need` where they cannot stand so."""
    snapshot = view.snapshot
    if snapshot is None or len(snapshot.gpus) < 2 or _instances(snapshot):
        return need(view, width)
    return 1 + (1 if trouble(view) else 0) + ceil(len(snapshot.gpus) / 2)


def _instances(snapshot: Snapshot) -> int:
    return sum(len(gpu.mig) for gpu in snapshot.gpus)


class Plan(NamedTuple):
    """How the pane shows its rows at a size."""

    is_framed: bool
    width: int
    """Of the table, inside the frame."""
    lines: int
    """Lines a GPU takes."""
    is_paired: bool
    shown: list[int]
    """Indices into `gpu_rows`, in their order."""
    hidden: int


def plan(view: View, snapshot: Snapshot, width: int, height: int) -> Plan:
    """A frame where all GPUs and a frame have room; many lines a GPU, two GPUs a line, or only the worst ones."""
    rows = gpu_rows(view)
    gpus = len(snapshot.gpus)
    least = need(view, width)
    least = min(least, need_paired(view, width)) if gpus > PAIRED_FROM else least
    is_framed = width >= FRAME_WIDTH and height >= least + EDGES
    width, height = (width - MARGIN, height - EDGES) if is_framed else (width - 1, height)
    room = height - 1 - bool(trouble(view))
    everything = list(range(len(rows)))
    if len(rows) <= room:
        lines = min(MOST_LINES, (room - len(rows)) // gpus + 1)
        return Plan(is_framed, width, lines, False, everything, 0)
    if len(rows) == gpus and width >= TWO_A_ROW and ceil(gpus / 2) <= room:
        return Plan(is_framed, width, 1, True, everything, 0)
    shown = _worst(rows, view, max(room - 1, 0))
    return Plan(is_framed, width, 1, False, shown, len(rows) - len(shown))


def _worst(rows: list[GpuRow], view: View, room: int) -> list[int]:
    """The rows most worth seeing: the one under the cursor, trouble, GPUs, MIG instances."""
    levels = Levels(view.findings)
    cursor = view.gpu_cursor if view.focus == "gpu" else -1

    def rank(place: int) -> tuple[bool, int, int]:
        return place != cursor, -_weight(rows[place], levels.gpu(rows[place].gpu)), place

    return sorted(sorted(range(len(rows)), key=rank)[:room])


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.gpus:
        return _none(view, width)[:height]
    chosen = plan(view, snapshot, width, height)
    lines = [cut(line, chosen.width) for line in _table(view, snapshot, chosen)]
    if not chosen.is_framed:
        return [[(" ", Role.TEXT), *line] for line in lines[:height]]
    note: Line = [(f"driver {snapshot.driver.version}", Role.DIM)] if snapshot.driver.version else []
    return framed(lines, width, height, titled("GPUs", models_line(snapshot)), note, view.focus == "gpu")


def row_at(view: View, y: int, width: int, height: int, x: int = 0) -> int | None:
    """Which of `gpu_rows(view)` a click at a cell of the pane hits; `None` for none."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.gpus:
        return None
    chosen = plan(view, snapshot, width, height)
    line = y - chosen.is_framed - bool(trouble(view)) - 1
    if line < 0:
        return None
    if chosen.is_paired:
        half = ceil(len(chosen.shown) / 2)
        place = line + (half if x >= width // 2 else 0)
        return place if line < half and place < len(chosen.shown) else None
    rows = gpu_rows(view)
    for index in chosen.shown:
        line -= chosen.lines if rows[index].mig is None else 1
        if line < 0:
            return index
    return None


def _none(view: View, width: int) -> list[Line]:
    """Why there is no GPU, with the remedy, in as few lines as it takes."""
    if view.snapshot is None:
        return [message("GPU", "waiting for the first sample", Role.DIM, width)]
    line = trouble(view) or [("no GPU listed by the driver", Role.DIM)]
    first, *others = wrap(line[0][0], max(1, width - 6), REASON_LINES)
    return [message("GPU", first, line[0][1], width), *[[("      ", Role.TEXT), (text, line[0][1])] for text in others]]


def _table(view: View, snapshot: Snapshot, chosen: Plan) -> list[Line]:
    notes = [trouble(view)] if trouble(view) else []
    if chosen.is_paired:
        return [*notes, _paired_head(chosen.width), *_paired(gpu_rows(view), view, chosen.width)]
    at = gpu_row.columns(snapshot.gpus, chosen.width)
    lines = [*notes, gpu_row.heads(at, span_of(view.zoom_s)), *_blocks(view, at, chosen)]
    if chosen.hidden:
        lines.append([(f"+{chosen.hidden} more", Role.DIM)])
    return lines


def _blocks(view: View, at: gpu_row.Columns, chosen: Plan) -> list[Line]:
    rows = gpu_rows(view)
    levels = Levels(view.findings)
    cursor = view.gpu_cursor if view.focus == "gpu" else -1
    result: list[Line] = []
    for place in chosen.shown:
        item = rows[place]
        lines = chosen.lines if item.mig is None else 1
        block = gpu_row.block(item, at, levels.gpu(item.gpu), view, chosen.width, lines)
        if place == cursor:
            block[0] = marked(cut(block[0], chosen.width), Role.CURSOR, chosen.width)
        result += block
    return result


def _paired_head(width: int) -> Line:
    half = (width - 2) // 2
    return Pen().add(gpu_row.cell_heads(half)).to(half + 2).add(gpu_row.cell_heads(half)).line


def _paired(rows: list[GpuRow], view: View, width: int) -> list[Line]:
    """Two columns, the first half of the GPUs at the left."""
    half = (width - 2) // 2
    levels = Levels(view.findings)
    count = ceil(len(rows) / 2)
    cells = [gpu_row.cell(item.gpu, levels.gpu(item.gpu), view, half) for item in rows]
    if view.focus == "gpu" and 0 <= view.gpu_cursor < len(cells):
        cells[view.gpu_cursor] = marked(cells[view.gpu_cursor], Role.CURSOR, half)
    lines = []
    for place in range(count):
        pen = Pen().add(cells[place])
        if place + count < len(cells):
            pen.to(half + 2).add(cells[place + count])
        lines.append(pen.line)
    return lines


def _weight(item: GpuRow, findings: dict[str, Finding]) -> int:
    """How much a row is worth seeing: trouble before GPUs before MIG instances."""
    if item.mig is not None:
        return 0
    return 1 + gpu_weight(item.gpu, findings)


def gpu_weight(gpu: Gpu, findings: dict[str, Finding]) -> int:
    """How much trouble a GPU is in: 0 for none."""
    level = max((finding.level for finding in findings.values()), default=Level.OK)
    if gpu_state.is_lost(gpu):
        return 10
    return int(level) * 2 + (1 if gpu.status is not Status.OK else 0)
