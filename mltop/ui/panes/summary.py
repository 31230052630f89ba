"""A small terminal's text: alerts, the worst GPU, CPU, memory, the fullest disk; most needed first (M4)."""

from __future__ import annotations

from mltop.model.snapshot import Gpu, Snapshot
from mltop.ui.format import celsius, fixed, pair, percent, plain, size, watts
from mltop.ui.line import Line, Pen, Role, cut, gathered
from mltop.ui.panes import gpu_row, gpu_state
from mltop.ui.panes.cpu import usage as cpu_usage
from mltop.ui.panes.disk import notes, weight
from mltop.ui.panes.gpu import gpu_weight, trouble
from mltop.ui.panes.header import alert
from mltop.ui.panes.level import Levels
from mltop.ui.panes.memory import usage as memory_usage
from mltop.ui.view import View

SEPARATOR = (" · ", Role.DIM)


def draw(view: View, width: int, height: int) -> list[Line]:
    """Lines of text, the most needed first."""
    snapshot = view.snapshot
    if snapshot is None:
        return [[(view.trouble or "waiting for the first sample", Role.DIM)]][:height]
    lines = [_gpu(view, snapshot), _cpu(view, snapshot, width), _memory(view, snapshot, width), _disk(view, snapshot)]
    alerts = [alert(finding) for finding in view.findings]
    room = height - len(lines)
    if alerts and len(alerts) > room > 0:
        alerts = [*alerts[: room - 1], [(f"+{len(alerts) - room + 1} more alerts", Role.DIM)]]
    elif alerts and room <= 0 and height >= 2:
        lines = [alerts[0], *lines]
        alerts = []
    lines += alerts[: max(room, 0)]
    lines += _others(view, snapshot, max(0, height - len(lines)))
    indent = 1 if width >= 36 else 0
    return [Pen(indent).add(cut(line, width - indent)).line for line in lines[:height]]


def _worst(view: View, snapshot: Snapshot) -> Gpu:
    levels = Levels(view.findings)
    return max(
        snapshot.gpus,
        key=lambda gpu: (gpu_weight(gpu, levels.gpu(gpu)), gpu.temperature_c or 0, gpu.utilization_percent or 0),
    )


def _gpu(view: View, snapshot: Snapshot) -> Line:
    if not snapshot.gpus:
        line = trouble(view)
        return [("GPU  ", Role.LABEL), *(line or [("none", Role.DIM)])]
    return _gpu_line(view, _worst(view, snapshot))


def _gpu_line(view: View, gpu: Gpu) -> Line:
    findings = Levels(view.findings).gpu(gpu)
    pen = Pen().put("GPU ", Role.LABEL).put(gpu_row.label(gpu), Role.TITLE).put("  ")
    if gpu_state.is_lost(gpu):
        return pen.add(gpu_state.sentence(gpu, findings, view)).line
    pen.put(" ".join([celsius(gpu.temperature_c), percent(gpu.utilization_percent)])).put("  ")
    found = gpu_state.words(gpu, findings, view)
    pen.put(pair(gpu.memory_used_bytes, gpu.memory_total_bytes)).put("  ")
    return pen.add(gpu_state.line(found, 30)).line if found else pen.put(watts(gpu.power_w)).line


def _cpu(view: View, snapshot: Snapshot, width: int) -> Line:
    cpu = snapshot.cpu
    pen = Pen().put("CPU  ", Role.LABEL).add(cpu_usage(view, snapshot, max(3, width // 4)))
    load = f"{fixed(cpu.load[0])}/{cpu.count}" if cpu.load else "-"
    parts: list[Line] = [[("load ", Role.LABEL), (load, Role.TEXT)]]
    parts.append([("psi ", Role.LABEL), (fixed(cpu.psi_some_avg10), Role.TEXT)])
    return pen.put("  ").add(gathered(parts, max(0, width - pen.at), ("  ", Role.TEXT))).line


def _memory(view: View, snapshot: Snapshot, width: int) -> Line:
    memory = snapshot.memory
    pen = Pen().put("MEM  ", Role.LABEL).add(memory_usage(view, memory, max(3, width // 4))).put("  ")
    parts: list[Line] = [[(pair(memory.used_bytes, memory.total_bytes), Role.TEXT)]]
    parts.append([("swap ", Role.LABEL), (size(memory.swap_used_bytes), Role.TEXT)])
    return pen.add(gathered(parts, max(0, width - pen.at), ("  ", Role.TEXT))).line


def _disk(view: View, snapshot: Snapshot) -> Line:
    levels = Levels(view.findings)
    if not snapshot.disks:
        return [("DISK ", Role.LABEL), ("no mounts", Role.DIM)]

    def rank(place: int) -> tuple[float, ...]:
        level, stuck, *_ = weight(snapshot.disks[place], levels.of(snapshot.disks[place].mount))
        return (level, stuck, snapshot.disks[place].used_percent or 0.0)

    disk = snapshot.disks[max(range(len(snapshot.disks)), key=rank)]
    pen = Pen().put("DISK ", Role.LABEL).put(plain(disk.mount), Role.TITLE).put(f" {percent(disk.used_percent)}")
    pen.put(f" {size(disk.available_bytes)} free")
    for part in notes(view, disk, levels.of(disk.mount)):
        pen.put(" ").add(part)
    return pen.line


def _others(view: View, snapshot: Snapshot, room: int) -> list[Line]:
    """The other GPUs, as many as there is room for."""
    if not snapshot.gpus or room < 1:
        return []
    worst = _worst(view, snapshot)
    others = [gpu for gpu in snapshot.gpus if gpu is not worst]
    if len(others) > room:
        hidden = len(others) - room + 1
        return [_gpu_line(view, gpu) for gpu in others[: room - 1]] + [[(f"+{hidden} more GPUs", Role.DIM)]]
    return [_gpu_line(view, gpu) for gpu in others]
