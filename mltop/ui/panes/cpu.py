"""The CPU pane: one line, or a frame with the history and every core."""

from __future__ import annotations

from math import ceil

from mltop.model.snapshot import Cpu, Reading, Snapshot, Status
from mltop.ui.format import celsius, fixed, percent, right, span_of
from mltop.ui.graph import bar, graph, heat, points
from mltop.ui.line import Line, Pen, Role, gathered, width_of
from mltop.ui.panes.frame import EDGES, MARGIN, framed, has_frame, message, titled
from mltop.ui.panes.level import Levels, is_old, role_of, stale, why_not
from mltop.ui.view import View

BAR_EACH = 32
"""M5: up to so many cores have a bar each, above a heat cell."""
HEAT_ROWS = 4
LEAST_BAR = 11
"""Columns that a core's number, bar, percent and the gap to the next one need."""


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    snapshot = view.snapshot
    if snapshot is None or (snapshot.cpu.usage_percent is None and not snapshot.cpu.count):
        text = "waiting for the first sample" if snapshot is None else why_not(snapshot.cpu)
        lines = [message("CPU", text, Role.DIM, width)]
        return framed([lines[0][1:]], width, height, titled("CPU"), []) if has_frame(width, height) else lines[:height]
    if not has_frame(width, height):
        return _compact(view, snapshot, width)[:height]
    cpu = snapshot.cpu
    title = titled("CPU", f"{cpu.count} cores" if cpu.count else "", (cpu.model or "") if width >= 50 else "")
    note = _note(cpu)
    return framed(
        _tall(view, snapshot, width - MARGIN, height - EDGES), width, height, title, note, view.focus == "cpu"
    )


def _note(cpu: Cpu) -> Line:
    texts = [celsius(cpu.temperature_c)] if cpu.temperature_c is not None else []
    texts += [f"{cpu.frequency_mhz / 1000:.1f}GHz"] if cpu.frequency_mhz is not None else []
    return [(" ".join(texts), Role.DIM)] if texts else []


def facts(view: View, snapshot: Snapshot, width: int) -> list[Line]:
    """Load, pressure, what waits: most telling first."""
    cpu = snapshot.cpu
    findings = Levels(view.findings).of("")
    text = Role.STALE if is_old(view, cpu) else Role.TEXT
    parts: list[Line] = []
    if (told := told_age(view, cpu)) is not None:
        parts.append(told)
    loads = cpu.load if width >= 40 else cpu.load[:1]
    load = " ".join(fixed(value, 1 if value < 100 else 0) for value in loads) or "-"
    count = f" /{cpu.count}" if cpu.count else ""
    parts.append([("load ", Role.LABEL), (load, role_of(findings, text, "cpu.load")), (count, Role.DIM)])
    parts.append([("psi ", Role.LABEL), (fixed(cpu.psi_some_avg10), role_of(findings, text, "cpu.psi"))])
    if cpu.throttled:
        parts.append([("throttled", role_of(findings, Role.WARNING, "cpu.thermal"))])
    if snapshot.processes.blocked:
        parts.append([(f"{snapshot.processes.blocked} blocked (D)", role_of(findings, text, "proc."))])
    if cpu.iowait_percent is not None:
        parts.append([("iowait ", Role.LABEL), (percent(cpu.iowait_percent), role_of(findings, text, "cpu.iowait"))])
    return parts


def told_age(view: View, reading: Reading) -> Line | None:
    """Why values are missing or how old they are, in words; `None` when all is well."""
    if is_old(view, reading):
        return [(stale(view, reading), Role.STALE)]
    return None if reading.status is Status.OK else [(why_not(reading), Role.STALE)]


def _more(cpu: Cpu) -> list[Line]:
    note = _note(cpu)
    return [note] if note else []


def usage(view: View, snapshot: Snapshot, width: int) -> Line:
    """The bar and its number."""
    cpu = snapshot.cpu
    role = Role.STALE if is_old(view, cpu) else role_of(Levels(view.findings).of(""), Role.CPU, "cpu.usage")
    number = right(percent(cpu.usage_percent), 5)
    return [
        *bar(cpu.usage_percent, width, role, view.graphs),
        (number, Role.STALE if role is Role.STALE else Role.TEXT),
    ]


def _compact(view: View, snapshot: Snapshot, width: int) -> list[Line]:
    size = bar_width(width)
    pen = Pen().put(" CPU  ", Role.LABEL).add(usage(view, snapshot, size)).put("  ")
    parts = facts(view, snapshot, width - pen.at) + _more(snapshot.cpu)
    lines = [pen.add(gathered(parts, width - pen.at, ("  ", Role.TEXT))).line]
    return [*lines, *([[(" ", Role.TEXT), *line] for line in cores(view, snapshot.cpu, width - 1, 2)])]


def bar_width(width: int) -> int:
    """The bar of a one-line pane; the same for CPU, memory and disks, so that they stand in one column."""
    return min(max(width // 5, 4), 30)


def _tall(view: View, snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """Usage and load in the first line; below, the history at the left and the cores at the right or under it."""
    size = max(4, min(width // 5, 24))
    pen = Pen().add(usage(view, snapshot, size)).put("  ")
    lines = [pen.add(gathered(facts(view, snapshot, width - pen.at), width - pen.at, ("  ", Role.TEXT))).line]
    room = height - 1
    if room < 1:
        return lines
    if not snapshot.cpu.per_core_percent:
        return lines + history(view, "cpu", width, room, Role.CPU)
    count = len(snapshot.cpu.per_core_percent)
    least = ceil(count / max(1, (width + 1) // LEAST_BAR))
    if count > BAR_EACH or least <= room // 2:
        body = cores(view, snapshot.cpu, width, min(room, HEAT_ROWS) if count > BAR_EACH else least)
        return lines + body + history(view, "cpu", width, room - len(body), Role.CPU)
    body = cores(view, snapshot.cpu, width - max(16, width // 3) - 2, room)
    half = width - max(width_of(line) for line in body) - 2
    graphs = history(view, "cpu", half, room, Role.CPU)
    for place in range(room):
        pen = Pen().add(graphs[place]).to(half + 2)
        lines.append(pen.add(body[place]).line if place < len(body) else pen.line)
    return lines


def history(view: View, key: str, width: int, rows: int, role: Role, top: float = 100.0) -> list[Line]:
    """A graph of some rows, its span named at its left top where there is room."""
    if rows < 1 or width < 1:
        return []
    values = view.history.values(key, view.zoom_s, points(width, view.graphs), view.history.latest or 0.0)
    lines: list[Line] = [[(text, role)] for text in graph(values, rows, view.graphs, top)]
    label = span_of(view.zoom_s)
    if rows > 1 and width > 20 and not any(lines[0][0][0][: len(label)].strip()):
        lines[0] = [(label, Role.DIM), (lines[0][0][0][len(label) :], role)]
    return lines


def cores(view: View, cpu: Cpu, width: int, rows: int) -> list[Line]:
    """Every core: a bar with its number, an upright bar, or (above 32) a cell whose height is its load."""
    values = cpu.per_core_percent
    role = Role.STALE if is_old(view, cpu) else Role.CPU
    if not values or rows < 1 or width < 1:
        return []
    if len(values) > BAR_EACH or len(values) > width:
        return _heat(view, values, width, min(rows, HEAT_ROWS), role)
    across = ceil(len(values) / rows)
    each = (width + 1) // across - 1
    if each >= LEAST_BAR - 1:
        return _bars(view, values, each, ceil(len(values) / across), role)
    gap = " " if 2 * len(values) - 1 <= width else ""
    upright = graph(values, min(rows, HEAT_ROWS), "ascii" if view.graphs == "ascii" else "block")
    return [[(gap.join(text), role)] for text in upright]


def _bars(view: View, values: tuple[float, ...], each: int, rows: int, role: Role) -> list[Line]:
    lines = []
    for row in range(rows):
        pen = Pen()
        for place in range(row, len(values), rows):
            pen.put(" " if pen.at else "").put(right(str(place), 2), Role.DIM).put(" ")
            pen.add(bar(values[place], min(each - 8, 20), role, view.graphs)).put(right(percent(values[place]), 5))
        lines.append(pen.line)
    return lines


def _heat(view: View, values: tuple[float, ...], width: int, rows: int, role: Role) -> list[Line]:
    """At most `rows` rows, one cell a core; where that is too narrow a cell is the busiest of its cores."""
    each = ceil(len(values) / (width * rows))
    cells = [max(values[i : i + each]) for i in range(0, len(values), each)] if each > 1 else list(values)
    across = ceil(len(cells) / ceil(len(cells) / width))
    text = heat(cells, view.graphs)
    return [[(text[start : start + across], role)] for start in range(0, len(text), across)]
