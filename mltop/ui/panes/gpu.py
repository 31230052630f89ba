"""The GPU pane: as many lines a GPU as there is room for, two a row or `+n more` where there is none."""

from __future__ import annotations

from math import ceil

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status
from mltop.ui.format import span_of
from mltop.ui.line import Line, Pen, Role, cut, marked
from mltop.ui.panes import gpu_row, gpu_state
from mltop.ui.panes.frame import EDGES, MARGIN, framed, message, titled
from mltop.ui.panes.gpu_row import GpuRow
from mltop.ui.panes.header import models_line
from mltop.ui.panes.level import WORDS, Levels
from mltop.ui.view import View

TWO_A_ROW = 76
"""The narrowest pane that holds two GPUs side by side."""
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


def need(view: View, lines: int = 1) -> int:
    """Rows that all GPUs take at so many lines each, with the head and the driver's trouble; 1 with no GPU."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.gpus:
        return 1
    return 1 + (1 if trouble(view) else 0) + len(snapshot.gpus) * lines + _instances(snapshot)


def need_paired(view: View) -> int:
    """Rows that all GPUs take two a row; as `need` where they cannot stand so."""
    snapshot = view.snapshot
    if snapshot is None or len(snapshot.gpus) < 2 or _instances(snapshot):
        return need(view)
    return 1 + (1 if trouble(view) else 0) + ceil(len(snapshot.gpus) / 2)


def _instances(snapshot: Snapshot) -> int:
    return sum(len(gpu.mig) for gpu in snapshot.gpus)


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane; framed where there is room for all GPUs and a frame."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.gpus:
        return [_none(view, width)][:height]
    if width >= 80 and height >= min(need(view), need_paired(view) if len(snapshot.gpus) > 8 else 999) + EDGES:
        lines = _table(view, snapshot, width - MARGIN, height - EDGES)
        title = titled("GPUs", models_line(snapshot))
        note: Line = [(f"driver {snapshot.driver.version}", Role.DIM)] if snapshot.driver.version else []
        return framed(lines, width, height, title, note, view.focus == "gpu")
    return [[(" ", Role.TEXT), *line] for line in _table(view, snapshot, width - 1, height)]


def _none(view: View, width: int) -> Line:
    if view.snapshot is None:
        return message("GPU", "waiting for the first sample", Role.DIM, width)
    line = trouble(view) or [("no GPU listed by the driver", Role.DIM)]
    return message("GPU", line[0][0], line[0][1], width)


def _table(view: View, snapshot: Snapshot, width: int, height: int) -> list[Line]:
    rows = gpu_rows(view)
    notes = [trouble(view)] if trouble(view) else []
    room = height - len(notes) - 1
    if room < 1:
        return [cut(line, width) for line in (notes or [_row_line(rows[0], view, width)])][:height]
    gpus = len(snapshot.gpus)
    if len(rows) <= room:
        body = _blocks(rows, view, width, min(MOST_LINES, (room - len(rows)) // gpus + 1))
    elif len(rows) == gpus and width >= TWO_A_ROW and ceil(gpus / 2) <= room:
        return [cut(line, width) for line in [*notes, _paired_head(width), *_paired(rows, view, width)]]
    else:
        body = _some(rows, view, width, room)
    at = gpu_row.columns(snapshot.gpus, width)
    return [cut(line, width) for line in [*notes, gpu_row.heads(at, span_of(view.zoom_s)), *body]]


def _row_line(item: GpuRow, view: View, width: int) -> Line:
    return gpu_row.cell(item.gpu, Levels(view.findings).gpu(item.gpu), view, width)


def _blocks(rows: list[GpuRow], view: View, width: int, lines: int) -> list[Line]:
    at = gpu_row.columns(view.snapshot.gpus if view.snapshot else (), width)
    levels = Levels(view.findings)
    cursor = view.gpu_cursor if view.focus == "gpu" else -1
    result: list[Line] = []
    for place, item in enumerate(rows):
        block = gpu_row.block(item, at, levels.gpu(item.gpu), view, width, lines if item.mig is None else 1)
        result += [marked(block[0], Role.CURSOR, width), *block[1:]] if place == cursor else block
    return result


def _paired_head(width: int) -> Line:
    text = "GPU TEMP UTIL, MEMORY, STATE OR POWER"
    return Pen().put(text, Role.LABEL).line if width else []


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


def _some(rows: list[GpuRow], view: View, width: int, room: int) -> list[Line]:
    """The rows most worth seeing, in their order, then how many more there are."""
    levels = Levels(view.findings)
    cursor = view.gpu_cursor if view.focus == "gpu" else -1
    ranks = sorted(range(len(rows)), key=lambda i: (i != cursor, -_weight(rows[i], levels.gpu(rows[i].gpu)), i))
    chosen = sorted(ranks[: max(0, room - 1)])
    at = gpu_row.columns(view.snapshot.gpus if view.snapshot else (), width)
    lines = []
    for place in chosen:
        line = gpu_row.row(rows[place], at, levels.gpu(rows[place].gpu), view, width)
        lines.append(marked(line, Role.CURSOR, width) if place == cursor else line)
    return [*lines, [(f"+{len(rows) - len(chosen)} more", Role.DIM)]]


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
