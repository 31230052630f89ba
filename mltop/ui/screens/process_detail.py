"""All about one process: what the snapshot says of it, and what it holds on which GPU."""

from __future__ import annotations

from mltop.model.identity import gpu_label
from mltop.model.snapshot import Gpu, GpuProcess, Process, Snapshot
from mltop.ui.format import UNKNOWN, duration, fixed, percent, size
from mltop.ui.line import Line, Role
from mltop.ui.screens.page import PageScreen, wrapped

LABEL_WIDTH = 14
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting in the kernel, cannot be interrupted",
    "Z": "zombie: ended, not yet collected by its parent",
    "T": "stopped",
    "t": "stopped by a debugger",
    "I": "idle kernel thread",
}


class ProcessScreen(PageScreen):
    """Follows a process by pid; when it ends, its last values stay and the title says so."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.pid = pid
        self._last: tuple[Process | None, list[tuple[Gpu, GpuProcess]]] = (None, [])
        self._has_ended = False

    def title_line(self) -> Line:
        """Which process."""
        ended: Line = [("   not listed any more", Role.WARNING)] if self._has_ended else []
        return [(" ", Role.TEXT), (f"Process {self.pid}", Role.TITLE), *ended]

    def content(self, width: int) -> list[Line]:
        """Names and values, then a row for each GPU."""
        self._follow()
        process, held = self._last
        if process is None and not held:
            return [[("   Nothing is known of it.", Role.DIM)]]
        return [*_facts(process, held, width), [], *_gpus(held)]

    def _follow(self) -> None:
        snapshot = self.view.snapshot
        found = find(snapshot, self.pid) if snapshot else (None, [])
        self._has_ended = found[0] is None and not found[1]
        if not self._has_ended:
            self._last = found


def find(snapshot: Snapshot, pid: int) -> tuple[Process | None, list[tuple[Gpu, GpuProcess]]]:
    """The process, and its entries on GPUs; only those whose pid is of this namespace (D16)."""
    process = next((each for each in snapshot.processes.top if each.pid == pid), None)
    held = [
        (gpu, entry)
        for gpu in snapshot.gpus
        for entry in gpu.processes
        if entry.pid == pid and entry.status != "absent"
    ]
    return process, held


def _facts(process: Process | None, held: list[tuple[Gpu, GpuProcess]], width: int) -> list[Line]:
    entry = held[0][1] if held else GpuProcess()
    shown = process or entry
    lines = wrapped(shown.command or shown.name or UNKNOWN, width - LABEL_WIDTH - 4)
    result: list[Line] = [_fact("command" if not index else "", line[0][0]) for index, line in enumerate(lines)]
    result.append(_fact("name", shown.name or UNKNOWN))
    result.append(_fact("user", shown.user or UNKNOWN))
    if entry.container:
        result.append(_fact("container", entry.container))
    if process is not None:
        result.append(_fact("parent", UNKNOWN if process.ppid is None else str(process.ppid)))
        result.append(_fact("state", _STATES.get(process.state or "", process.state or UNKNOWN)))
    result.append(_fact("CPU", f"{percent(shown.cpu_percent)} of one CPU"))
    result.append(_fact("memory", f"{size(shown.rss_bytes)} resident"))
    result.append(_fact("running", f"{duration(shown.running_s)}, since {shown.started_at or UNKNOWN}"))
    return result


def _gpus(held: list[tuple[Gpu, GpuProcess]]) -> list[Line]:
    lines: list[Line] = []
    for gpu, entry in held:
        use = f"{size(entry.gpu_memory_bytes)} of memory, {fixed(entry.sm_percent, 0)} % of its SMs"
        lines.append(_fact(gpu_label(gpu), use + ("" if entry.status == "ok" else f" ({entry.status})")))
    return lines


def _fact(label: str, text: str) -> Line:
    return [(f"   {label:<{LABEL_WIDTH}}", Role.LABEL), (text, Role.TEXT)]
