"""A GPU as a row of columns, a short cell, or a row with graphs."""

from __future__ import annotations

from typing import NamedTuple

from mltop.model.finding import Finding
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Mig, Status
from mltop.ui.format import UNKNOWN, celsius, clip, left, pair, percent, right, watts
from mltop.ui.graph import bar, graph, points
from mltop.ui.line import Line, Pen, Role, cut
from mltop.ui.panes import gpu_facts, gpu_state
from mltop.ui.panes.level import WORDS, is_old, role_of
from mltop.ui.view import View


class GpuRow(NamedTuple):
    """What the GPU pane's cursor moves over: a GPU or one of its MIG instances."""

    gpu: Gpu
    mig: Mig | None = None


class Columns(NamedTuple):
    """Widths of the GPU table's parts; a graph of 0 is not drawn."""

    bar: int
    memory: int
    power: int
    graph: int
    state: int

    @property
    def temperature_x(self) -> int:
        """Where the temperature begins."""
        return 4

    @property
    def utilization_x(self) -> int:
        """Where the utilisation begins."""
        return 10 + (self.graph // 2 + 1 if self.graph else 0)

    @property
    def memory_x(self) -> int:
        """Where the memory begins."""
        return self.utilization_x + self.bar + 7 + (self.graph + 1 if self.graph else 0)

    @property
    def power_x(self) -> int:
        """Where the power begins."""
        return self.memory_x + self.bar + self.memory + 3 + (self.graph + 1 if self.graph else 0)

    @property
    def state_x(self) -> int:
        """Where the state begins."""
        return self.power_x + (self.power + 2 if self.power else 0)


def columns(gpus: tuple[Gpu, ...], width: int) -> Columns:
    """What fits: graphs where there is room for them, the rest to the state."""
    memory = max([len(pair(gpu.memory_total_bytes, gpu.memory_total_bytes)) for gpu in gpus] + [5])
    power = max([len(watts(gpu.power_limit_w, gpu.power_limit_w)) for gpu in gpus] + [5])
    spare = width - (20 + memory + power + 2)
    if spare < 24:
        spare += power - 5
        power = 5
    if spare >= 72:
        state = min(27 + (spare - 72) // 6, 44)
        size_bar = min(8 + (spare - 72) // 16, 16)
        return Columns(size_bar, memory, power, (spare - state - 2 * size_bar - 3) * 2 // 5, state)
    size_bar = min(max((spare - 23) // 2, 4), 16)
    return Columns(size_bar, memory, power, 0, max(0, spare - 2 * size_bar))


def heads(at: Columns, span: str) -> Line:
    """The column heads; with graphs, the span they show."""
    pen = Pen().put("GPU", Role.LABEL).to(at.temperature_x).put("TEMP", Role.LABEL)
    pen.to(at.utilization_x).put("UTIL", Role.LABEL)
    if at.graph:
        pen.to(at.utilization_x + at.bar + 6).put(span, Role.DIM)
    pen.to(at.memory_x).put("MEMORY", Role.LABEL)
    if at.graph:
        pen.to(at.memory_x + at.bar + at.memory + 2).put(span, Role.DIM)
    if at.power:
        pen.to(at.power_x).put(right("POWER", at.power), Role.LABEL)
    return pen.to(at.state_x).put("STATE", Role.LABEL).line


def label(gpu: Gpu) -> str:
    """The driver's index; `?` for a card that the driver does not list."""
    return "?" if gpu.index is None else str(gpu.index)


def memory_percent(used: int | None, total: int | None) -> float | None:
    """Used memory in percent; `None` where either is not known."""
    return None if used is None or not total else 100.0 * used / total


def block(item: GpuRow, at: Columns, findings: dict[str, Finding], view: View, width: int, lines: int) -> list[Line]:
    """One GPU in some lines, the graphs as high as they; a MIG instance in one."""
    gpu = item.gpu
    if item.mig is not None:
        return [_mig(item.mig, item.mig is gpu.mig[-1], at, view)]
    if gpu_state.is_lost(gpu):
        pen = Pen().put(right(label(gpu), 2), Role.CRITICAL).to(4).add(gpu_state.sentence(gpu, findings, view))
        where = Pen(4).put(f"{gpu.name or 'GPU'} at {gpu.pci_bus_id or 'an unknown bus id'}", Role.DIM)
        where.put(f"   was held by {gpu_facts.holders(gpu.processes)}" if gpu.processes else "", Role.DIM)
        return [cut(pen.line, width), where.line, *[Line()] * (lines - 2)][:lines]
    old = is_old(view, gpu)
    graphs = _graphs(gpu, at, view, lines)
    result = []
    for number in range(lines):
        pen = Pen()
        if number == 0:
            pen.put(right(label(gpu), 2), Role.TITLE)
            _numbers(pen, gpu, at, findings, view, old, [text[0] for text in graphs] if at.graph else [])
        elif at.graph:
            _details(pen, gpu, at, number, [text[number] for text in graphs], old)
        else:
            _below(pen, gpu, at, number, [text[number - 1] for text in graphs], old)
        result.append(pen.line)
    return result


def _graphs(gpu: Gpu, at: Columns, view: View, lines: int) -> list[list[str]]:
    """Temperature (0 to 100 C), utilisation and memory (0 to 100 %): beside the bars, or under the last two."""
    if not at.graph and lines == 1:
        return []
    rows = lines if at.graph else lines - 1
    widths = (at.graph // 2, at.graph, at.graph) if at.graph else (0, at.bar + 5, at.bar + 1 + at.memory)
    now = view.history.latest or 0.0
    key = f"gpu:{gpu_identity(gpu)}:"
    drawn = []
    for name, width in zip(("temperature", "utilization", "memory"), widths, strict=True):
        values = view.history.values(key + name, view.zoom_s, points(width, view.graphs), now)
        drawn.append(graph(values, rows, view.graphs))
    return drawn


def _numbers(
    pen: Pen, gpu: Gpu, at: Columns, findings: dict[str, Finding], view: View, old: bool, graphs: list[str]
) -> None:
    text = Role.STALE if old else Role.TEXT
    hot = role_of(findings, text, "gpu.temp")
    pen.to(at.temperature_x).put(right(celsius(gpu.temperature_c), 4), Role.STALE if old else hot)
    if graphs:
        pen.put(" ").put(graphs[0], Role.DIM if hot is text else hot)
    _utilization(pen.to(at.utilization_x), gpu, at.bar, view, old)
    if graphs:
        pen.put(" ").put(graphs[1], Role.STALE if old else Role.GPU)
    full = Role.STALE if old else role_of(findings, Role.MEMORY, "gpu.mem")
    _memory(pen.to(at.memory_x), gpu, at, view, full, text)
    if graphs:
        pen.put(" ").put(graphs[2], full)
    if at.power:
        power = watts(gpu.power_w, gpu.power_limit_w)
        pen.to(at.power_x).put(right(power if len(power) <= at.power else watts(gpu.power_w), at.power), text)
    pen.to(at.state_x).add(gpu_state.line(gpu_state.words(gpu, findings, view), at.state))


def _utilization(pen: Pen, gpu: Gpu, width: int, view: View, old: bool) -> None:
    told = "by instance" if gpu.mig_mode else gpu_state.why(gpu, "utilization")
    if gpu.utilization_percent is None and told:
        pen.put(left(told, width + 5), Role.DIM)
        return
    pen.add(bar(gpu.utilization_percent, width, Role.STALE if old else Role.GPU, view.graphs))
    pen.put(right(percent(gpu.utilization_percent), 5), Role.STALE if old else Role.TEXT)


def _memory(pen: Pen, gpu: Gpu, at: Columns, view: View, role: Role, text: Role) -> None:
    told = gpu_state.why(gpu, "memory")
    if gpu.memory_used_bytes is None and told:
        pen.put(left(told, at.bar + 1 + at.memory), Role.DIM)
        return
    share = memory_percent(gpu.memory_used_bytes, gpu.memory_total_bytes)
    pen.add(bar(share, at.bar, role, view.graphs)).put(" ")
    pen.put(right(pair(gpu.memory_used_bytes, gpu.memory_total_bytes), at.memory), text)


def _details(pen: Pen, gpu: Gpu, at: Columns, number: int, graphs: list[str], old: bool) -> None:
    """The second and later lines beside graphs: slower facts under the columns they belong to."""
    quiet = Role.STALE if old else Role.DIM
    pen.to(at.temperature_x + 5).put(graphs[0], quiet)
    pen.to(at.utilization_x).put(left(gpu_facts.under_utilization(gpu, number), at.bar + 5), quiet)
    pen.put(" ").put(graphs[1], Role.STALE if old else Role.GPU)
    pen.to(at.memory_x).put(left(gpu_facts.under_memory(gpu, number), at.bar + 1 + at.memory), quiet)
    pen.put(" ").put(graphs[2], Role.STALE if old else Role.MEMORY)
    pen.to(at.power_x).put(right(gpu_facts.under_power(gpu, number), at.power), quiet)
    pen.to(at.state_x).put(clip(gpu_facts.under_state(gpu, number), at.state), quiet)


def _below(pen: Pen, gpu: Gpu, at: Columns, number: int, graphs: list[str], old: bool) -> None:
    """The second and later lines with the graphs under the bars."""
    quiet = Role.STALE if old else Role.DIM
    pen.to(at.utilization_x).put(graphs[1], Role.STALE if old else Role.GPU)
    pen.to(at.memory_x).put(graphs[2], Role.STALE if old else Role.MEMORY)
    pen.to(at.power_x).put(right(gpu_facts.under_power(gpu, number), at.power), quiet)
    pen.to(at.state_x).put(clip(gpu_facts.under_state(gpu, number), at.state), quiet)


def _mig(mig: Mig, is_last: bool, at: Columns, view: View) -> Line:
    old = is_old(view, mig)
    text = Role.STALE if old else Role.TEXT
    pen = Pen(4).put("└ " if is_last else "├ ", Role.FRAME).put(left(f"MIG {mig.profile or ''}", at.memory_x - 7), text)
    share = memory_percent(mig.memory_used_bytes, mig.memory_total_bytes)
    pen.to(at.memory_x).add(bar(share, at.bar, Role.STALE if old else Role.MEMORY, view.graphs)).put(" ")
    pen.put(right(pair(mig.memory_used_bytes, mig.memory_total_bytes), at.memory), text)
    if mig.status is not Status.OK:
        pen.to(at.state_x).put(WORDS[mig.status], Role.STALE)
    return pen.line


def cell(gpu: Gpu, findings: dict[str, Finding], view: View, width: int) -> Line:
    """One GPU in half a row: index, temperature, utilisation, memory, then its state, else its power."""
    if gpu_state.is_lost(gpu):
        pen = Pen().put(right(label(gpu), 2), Role.CRITICAL).put(" ").add(gpu_state.sentence(gpu, findings, view))
        return cut(pen.line, width)
    old = is_old(view, gpu)
    text = Role.STALE if old else Role.TEXT
    found = gpu_state.words(gpu, findings, view)
    size_bar = cell_bar(width)
    pen = Pen().put(right(label(gpu), 2), Role.TITLE)
    pen.put(right(celsius(gpu.temperature_c), 5), Role.STALE if old else role_of(findings, text, "gpu.temp")).put(" ")
    pen.add(bar(gpu.utilization_percent, size_bar, Role.STALE if old else Role.GPU, view.graphs))
    pen.put(right(percent(gpu.utilization_percent), 5), text).put(" ")
    share = memory_percent(gpu.memory_used_bytes, gpu.memory_total_bytes)
    full = Role.STALE if old else role_of(findings, Role.MEMORY, "gpu.mem")
    pen.add(bar(share, size_bar, full, view.graphs))
    pen.put(right(_short_pair(gpu), 8), text).put(" ")
    room = width - pen.at
    return pen.add(gpu_state.line(found, room) if found else [(right(watts(gpu.power_w), min(5, room)), Role.DIM)]).line


def cell_bar(width: int) -> int:
    """The bars' width in a short cell."""
    return max(3, min(8, (width - 33) // 2))


def cell_heads(width: int) -> Line:
    """The heads over short cells."""
    size_bar = cell_bar(width)
    pen = Pen().put("GPU TEMP UTIL", Role.LABEL).to(14 + size_bar).put("MEMORY", Role.LABEL)
    return pen.to(28 + 2 * size_bar).put("STATE" if width >= 33 + 2 * size_bar else "", Role.LABEL).line


def _short_pair(gpu: Gpu) -> str:
    """Memory without decimals: `70/80G`."""
    used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
    if used is None or not total or total < 10 << 30:
        return pair(used, total) if used is not None else UNKNOWN
    return f"{used / (1 << 30):.0f}/{total / (1 << 30):.0f}G"
