"""One GPU on a whole screen: every number of the snapshot in words, its graphs, its processes (M7)."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, GpuProcess, Status
from mltop.ui.format import celsius, duration, fixed, left, pair, percent, plain, rate, right, size, span_of, watts
from mltop.ui.graph import ascii_only, graph, points
from mltop.ui.line import Line, Pen, Role, cut
from mltop.ui.panes import gpu_row, gpu_state
from mltop.ui.panes.header import alert
from mltop.ui.panes.level import Levels, age_of, is_old, role_of, why_not
from mltop.ui.panes.process_row import OTHER_CONTAINER
from mltop.ui.view import View

LABEL = 22
TWO_COLUMNS = 92
FIRST_COLUMN = 56
"""The first column takes no more, so that the uuid beside it is whole at 120 columns."""
GRAPH_ROWS = 4
NOT_KNOWN = "not known"

Fact = tuple[str, str, Role]
"""A number's name, the number in words, its role."""


def gpu_detail(view: View, key: str, width: int, height: int) -> list[Line]:
    """The GPU whose identity (uuid, else bus id) is `key`: at most `height` lines."""
    gpus = view.snapshot.gpus if view.snapshot else ()
    gpu = next((gpu for gpu in gpus if key in (gpu_identity(gpu), gpu.uuid, gpu.pci_bus_id)), None)
    if gpu is None:
        return [[(" This GPU is not listed any more.", Role.DIM)]][:height]
    lines = [*_state(view, gpu, width), *_facts(view, gpu, width), *_graphs(view, gpu, width)]
    lines += [*_instances(view, gpu, width), *_processes(view, gpu, width)]
    lines = [cut(Pen(1).add(line).line, width) for line in lines][:height]
    return ascii_only(lines) if view.graphs == "ascii" else lines


def _state(view: View, gpu: Gpu, width: int) -> list[Line]:
    """The verdict: what is found, what to do, and why values are missing or old."""
    findings = Levels(view.findings).gpu(gpu)
    lines: list[Line] = []
    if gpu_state.is_lost(gpu):
        lines.append(gpu_state.sentence(gpu, findings, view))
    elif gpu.status is not Status.OK or is_old(view, gpu):
        age = age_of(view, gpu)
        told = f"values are {duration(age)} old: " if age else ""
        lines.append([(told + why_not(gpu), Role.STALE)])
    elif gpu.reason:
        lines.append([(gpu.reason, Role.DIM)])
    lines += [alert(finding) for finding in sorted(findings.values(), key=lambda finding: -finding.level)]
    if not lines:
        found = gpu_state.words(gpu, findings, view)
        lines.append(gpu_state.line(found, width - 2) if found else [("OK", Role.OK)])
    return [*lines, []]


def _facts(view: View, gpu: Gpu, width: int) -> list[Line]:
    """Names and numbers, in two columns where there is room."""
    first, second = list(_now(view, gpu)), list(_health(view, gpu))
    role = Role.STALE if is_old(view, gpu) else None
    if width < TWO_COLUMNS:
        return [_fact(fact, role) for fact in [*first, *second]] + [[]]
    half = min(width // 2, FIRST_COLUMN)
    lines = []
    for place in range(max(len(first), len(second))):
        pen = Pen()
        if place < len(first):
            pen.add(cut(_fact(first[place], role), half - 2))
        if place < len(second):
            pen.to(half).add(_fact(second[place], role))
        lines.append(pen.line)
    return [*lines, []]


def _fact(fact: Fact, role: Role | None) -> Line:
    name, value, own = fact
    if value == NOT_KNOWN:
        own = Role.DIM
    return [(left(name, LABEL), Role.LABEL), (value, role if role and own is Role.TEXT else own)]


def _known(value: object, text: str) -> str:
    return NOT_KNOWN if value is None else text


def _word(value: bool | None, yes: str = "yes", no: str = "no") -> str:
    return NOT_KNOWN if value is None else yes if value else no


def _now(view: View, gpu: Gpu) -> Iterator[Fact]:
    """What changes with the work."""
    found = Levels(view.findings).gpu(gpu)
    text = Role.TEXT
    yield "Temperature", _known(gpu.temperature_c, celsius(gpu.temperature_c)), role_of(found, text, "gpu.temp")
    hot = gpu.temperature_memory_c
    yield "  memory", _known(hot, celsius(hot)), role_of(found, text, "gpu.temp_mem")
    yield "  slows down at", _known(gpu.temperature_slowdown_c, celsius(gpu.temperature_slowdown_c)), text
    yield "  shuts down at", _known(gpu.temperature_shutdown_c, celsius(gpu.temperature_shutdown_c)), text
    yield "Utilisation", _known(gpu.utilization_percent, percent(gpu.utilization_percent)), text
    yield "  memory controller", _known(gpu.memory_utilization_percent, percent(gpu.memory_utilization_percent)), text
    used = pair(gpu.memory_used_bytes, gpu.memory_total_bytes)
    name = "Memory, unified" if gpu.memory_is_unified else "Memory"
    yield name, _known(gpu.memory_used_bytes, used), role_of(found, text, "gpu.mem")
    yield "  reserved", _known(gpu.memory_reserved_bytes, size(gpu.memory_reserved_bytes)), text
    orphan = gpu.unattributed_bytes
    yield "  unattributed", _known(orphan, size(orphan)), role_of(found, text, "gpu.mem_orphan")
    yield "Power", _known(gpu.power_w, watts(gpu.power_w, gpu.power_limit_w)), text
    yield "SM clock", _known(gpu.clock_sm_mhz, f"{gpu.clock_sm_mhz} MHz"), text
    yield "Memory clock", _known(gpu.clock_memory_mhz, f"{gpu.clock_memory_mhz} MHz"), text
    yield "Clocks held by", _clock_events(gpu), role_of(found, text, "gpu.throttle")
    yield "Performance state", gpu.performance_state or NOT_KNOWN, text
    yield "Fan", _known(gpu.fan_percent, percent(gpu.fan_percent)), text
    idle = "no" if gpu.idle_held_s is None else f"for {duration(gpu.idle_held_s)}"
    yield "Held while idle", idle, text


def _clock_events(gpu: Gpu) -> str:
    names = [gpu_state.CLOCK_EVENTS.get(name, name.replace("-", " ")) for name in gpu.clock_event_reasons]
    return ", ".join(names) or "nothing"


def _health(view: View, gpu: Gpu) -> Iterator[Fact]:
    """What the card is and how it keeps."""
    found = Levels(view.findings).gpu(gpu)
    text = Role.TEXT
    ecc = role_of(found, text, "gpu.ecc_uncorrected")
    yield "Uuid", plain(gpu.uuid or NOT_KNOWN), text
    yield "Bus id", plain(gpu.pci_bus_id or NOT_KNOWN), text
    yield "ECC uncorrected", _known(gpu.ecc_uncorrected_volatile, f"{gpu.ecc_uncorrected_volatile} since the load"), ecc
    yield "  in its life", _known(gpu.ecc_uncorrected_aggregate, str(gpu.ecc_uncorrected_aggregate)), ecc
    corrected = gpu.ecc_corrected_volatile
    yield "ECC corrected", _known(corrected, f"{corrected} since the load"), role_of(found, text, "gpu.ecc_corrected")
    remap = role_of(found, text, "gpu.row_remap")
    yield "Row remap pending", _word(gpu.remap_pending), remap if gpu.remap_pending else text
    yield "Row remap failed", _word(gpu.remap_failed), remap if gpu.remap_failed else text
    pages = gpu.retired_pages
    yield "Retired pages", _known(pages, str(pages)), role_of(found, text, "gpu.retired_pages")
    link = f"gen{gpu.pcie_generation} of gen{gpu.pcie_generation_max or '?'}"
    yield "PCIe", _known(gpu.pcie_generation, link), role_of(found, text, "gpu.pcie_gen")
    lanes = f"x{gpu.pcie_width} of x{gpu.pcie_width_max or '?'}"
    yield "  lanes", _known(gpu.pcie_width, lanes), role_of(found, text, "gpu.pcie_width")
    moved = f"in {rate(gpu.pcie_receive_bytes_per_s)}  out {rate(gpu.pcie_transmit_bytes_per_s)}"
    yield "  traffic", _known(gpu.pcie_receive_bytes_per_s, moved), text
    links = f"{gpu.nvlinks_active} of {gpu.nvlinks_total} up"
    yield "NVLinks", _known(gpu.nvlinks_total, links), role_of(found, text, "gpu.nvlink")
    yield "Persistence mode", _word(gpu.persistence_mode, "on", "off"), role_of(found, text, "gpu.persistence")
    yield "MIG mode", _word(gpu.mig_mode, "on", "off"), text
    xid = "none seen" if gpu.xid_last is None else f"{gpu.xid_last}, {duration(gpu.xid_last_age_s)} ago"
    yield "Last Xid", xid, role_of(found, text, "gpu.xid")


def _graphs(view: View, gpu: Gpu, width: int) -> list[Line]:
    """Four histories, two beside each other where there is room; all from 0, each to its named top."""
    key = f"gpu:{gpu_identity(gpu)}:"
    span = span_of(view.zoom_s)
    top = gpu.power_limit_w or 1000.0
    series = (
        (f"Utilisation, {span}, to 100%", "utilization", 100.0, Role.GPU),
        (f"Memory, {span}, to 100%", "memory", 100.0, Role.MEMORY),
        (f"Temperature, {span}, to 100C", "temperature", 100.0, Role.CPU),
        (f"Power, {span}, to {top:.0f}W", "power", top, Role.DISK),
    )
    across = 2 if width >= TWO_COLUMNS else 1
    each = (width - 2) // across - (2 if across == 2 else 0)
    drawn = [_graph(view, title, key + name, limit, role, each) for title, name, limit, role in series]
    lines: list[Line] = []
    for start in range(0, len(drawn), across):
        for row in zip(*drawn[start : start + across], strict=True):
            pen = Pen()
            for place, part in enumerate(row):
                pen.to(place * (width // 2)).add(part)
            lines.append(pen.line)
    return [*lines, []]


def _graph(view: View, title: str, key: str, top: float, role: Role, width: int) -> list[Line]:
    now = view.history.latest or 0.0
    values = view.history.values(key, view.zoom_s, points(width, view.graphs), now)
    return [[(title, Role.LABEL)], *[[(text, role)] for text in graph(values, GRAPH_ROWS, view.graphs, top)]]


def _instances(view: View, gpu: Gpu, width: int) -> list[Line]:
    if not gpu.mig:
        return []
    at = gpu_row.columns((gpu,), min(width - 1, 100))
    rows = [gpu_row.block(gpu_row.GpuRow(gpu, mig), at, {}, view, width, 1)[0] for mig in gpu.mig]
    return [[("MIG instances", Role.LABEL)], *rows, []]


def _processes(view: View, gpu: Gpu, width: int) -> list[Line]:
    if gpu.processes_status is Status.NO_PERMISSION:
        return [[("Processes: not permitted; run as root to see them", Role.WARNING)]]
    if not gpu.processes:
        known = gpu.processes_status is Status.OK and gpu.status is Status.OK
        return [[("No processes" if known else "Processes: not known", Role.DIM)]]
    host = f"{'CPU%':>6}{'RSS':>7}{'AGE':>5}" if width >= 76 else ""
    head = f"{'PID':>7} {'USER':<10}{'GPU-MEM':>8}{'SM%':>5}{host}  COMMAND"
    ranked = sorted(gpu.processes, key=lambda process: -(process.gpu_memory_bytes or 0))
    return [[(head, Role.LABEL)], *[_process(process, bool(host)) for process in ranked]]


def _process(process: GpuProcess, with_host: bool) -> Line:
    foreign = process.status is Status.ABSENT
    text = plain(process.command or process.name or "")
    told = OTHER_CONTAINER if foreign else "GPU lost" if process.status is Status.LOST else ""
    told = " · ".join(filter(None, (told, plain(process.container or ""))))
    pen = Pen().put(right("-" if foreign or process.pid is None else str(process.pid), 7)).put(" ")
    pen.put(left(plain(process.user or "-"), 10)).put(right(size(process.gpu_memory_bytes), 8))
    pen.put(right(fixed(process.sm_percent, 0), 5))
    if with_host:
        pen.put(right(fixed(process.cpu_percent, 0), 6)).put(right(size(process.rss_bytes), 7))
        pen.put(right(duration(process.running_s), 5))
    pen.put("  ").put(f"({told}) " if told else "", Role.DIM).put(text)
    return pen.line if process.status is Status.OK else [(part, Role.STALE) for part, _ in pen.line]
