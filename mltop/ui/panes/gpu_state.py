"""A GPU's state in words, worst first. Words come from the readings, how bad they are from the findings."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Gpu, Status
from mltop.ui.format import clip, clock_before, duration, size
from mltop.ui.line import Line, Pen, Role
from mltop.ui.panes.level import ROLES, WORDS, age_of, is_old, stale, worst
from mltop.ui.view import View

CLOCK_EVENTS = {
    "hw-thermal-slowdown": "thermal slowdown",
    "sw-thermal-slowdown": "thermal throttle",
    "hw-power-brake": "power brake",
    "hw-slowdown": "hw slowdown",
    "sw-power-cap": "power cap",
    "sync-boost": "sync boost",
    "app-clocks": "app clocks",
    "display-clocks": "display clocks",
}
"""The clock-event reasons that hold a GPU back (`gpu-idle` does not)."""
IDLE_HELD_S = 1800.0
"""M22: a GPU that holds memory idle says so from here on."""
UNATTRIBUTED_BYTES = 512 << 20
"""M22: memory that no process accounts for is shown above this."""

Word = tuple[Level, str]


def words(gpu: Gpu, findings: dict[str, Finding], view: View) -> list[Word]:
    """What is to be said of the GPU, the worst first; within a level, what breaks hardware first."""
    found = [*_status(gpu, view), *_heat(gpu, findings), *_damage(gpu, findings), *_speed(gpu, findings)]
    found += _memory(gpu, findings, view)
    found.sort(key=lambda word: -word[0])
    return found


def is_lost(gpu: Gpu) -> bool:
    """Whether the row is a sentence in place of numbers."""
    return gpu.status in (Status.LOST, Status.ABSENT)


def _status(gpu: Gpu, view: View) -> Iterator[Word]:
    age = age_of(view, gpu)
    if gpu.status is Status.TIMEOUT:
        yield Level.CRITICAL, "no answer" + (f" {duration(age)}" if age is not None else "")
    elif is_old(view, gpu):
        yield Level.UNKNOWN, stale(view, gpu)
    if gpu.status not in (Status.OK, Status.STALE, Status.TIMEOUT):
        reason = f": {gpu.reason}" if gpu.reason and gpu.status is Status.ERROR else ""
        yield Level.UNKNOWN, WORDS[gpu.status] + reason
    if gpu.memory_is_unified:
        total = sum(process.gpu_memory_bytes or 0 for process in gpu.processes)
        yield Level.OK, f"unified, {size(total)} held" if total else "unified"
    for column, value in (("temperature", gpu.temperature_c), ("power", gpu.power_w)):
        told = why(gpu, column) if value is None else ""
        if told:
            yield Level.OK, f"{column}: {told}"


def why(gpu: Gpu, column: str) -> str:
    """Why a column has no value, from a reason like `memory: no permission; power: not supported`; "" if not told."""
    for part in (gpu.reason or "").split("; ") if gpu.status is Status.OK else ():
        name, _, told = part.partition(": ")
        if name == column:
            return told
    return ""


def _heat(gpu: Gpu, findings: dict[str, Finding]) -> Iterator[Word]:
    level = worst(findings, "gpu.temp")
    if level is not Level.OK:
        yield level, "HOT"
    level = worst(findings, "gpu.temp_mem")
    if level is not Level.OK:
        yield level, f"memory HOT {gpu.temperature_memory_c}C" if gpu.temperature_memory_c else "memory HOT"


def _damage(gpu: Gpu, findings: dict[str, Finding]) -> Iterator[Word]:
    if gpu.remap_failed:
        yield max(worst(findings, "gpu.row_remap"), Level.UNKNOWN), "remap failed"
    if gpu.ecc_uncorrected_volatile:
        yield max(worst(findings, "gpu.ecc_uncorrected"), Level.UNKNOWN), f"ECC {gpu.ecc_uncorrected_volatile}"
    elif worst(findings, "gpu.ecc_corrected") is not Level.OK:
        yield worst(findings, "gpu.ecc_corrected"), f"ECC corrected {gpu.ecc_corrected_volatile}"
    if gpu.remap_pending:
        yield max(worst(findings, "gpu.row_remap"), Level.UNKNOWN), "remap pending"
    if gpu.xid_last is not None:
        ago = f" {duration(gpu.xid_last_age_s)} ago" if gpu.xid_last_age_s is not None else ""
        yield worst(findings, "gpu.xid"), f"Xid {gpu.xid_last}{ago}"
    if gpu.retired_pages:
        yield worst(findings, "gpu.retired_pages"), f"{gpu.retired_pages} pages retired"


def _speed(gpu: Gpu, findings: dict[str, Finding]) -> Iterator[Word]:
    if None not in (gpu.nvlinks_active, gpu.nvlinks_total) and gpu.nvlinks_active != gpu.nvlinks_total:
        yield worst(findings, "gpu.nvlink"), f"links {gpu.nvlinks_active}/{gpu.nvlinks_total}"
    throttle = worst(findings, "gpu.throttle")
    causes = {"hw-thermal-slowdown", "hw-power-brake"} & set(gpu.clock_event_reasons)
    for name in gpu.clock_event_reasons:
        # The driver sets hw-slowdown beside its cause: the cause says it all.
        if name != "gpu-idle" and not (name == "hw-slowdown" and causes):
            yield throttle, CLOCK_EVENTS.get(name, name.replace("-", " "))
    if gpu.memory_is_unified:
        return  # on the processor's own package: the PCIe numbers are the driver's placeholders
    narrow = worst(findings, "gpu.pcie_width")
    if gpu.pcie_width and gpu.pcie_width_max and gpu.pcie_width < gpu.pcie_width_max and (narrow or _is_busy(gpu)):
        yield narrow, f"x{gpu.pcie_width} of x{gpu.pcie_width_max}"
    slow = worst(findings, "gpu.pcie_gen")
    old = gpu.pcie_generation and gpu.pcie_generation_max and gpu.pcie_generation < gpu.pcie_generation_max
    if old and (slow or _is_busy(gpu)):
        yield slow, f"gen{gpu.pcie_generation} of gen{gpu.pcie_generation_max}"


def _memory(gpu: Gpu, findings: dict[str, Finding], view: View) -> Iterator[Word]:
    if gpu.idle_held_s is not None and gpu.idle_held_s >= IDLE_HELD_S:
        yield worst(findings, "gpu.idle"), f"idle {duration(gpu.idle_held_s)}"
    if gpu.unattributed_bytes is not None and gpu.unattributed_bytes > UNATTRIBUTED_BYTES:
        yield worst(findings, "gpu.mem_orphan"), f"{size(gpu.unattributed_bytes)} unattributed"
    if gpu.processes_status is Status.NO_PERMISSION and "process" in view.hidden:
        yield Level.OK, "processes not permitted"
    if worst(findings, "gpu.persistence") is not Level.OK:
        yield worst(findings, "gpu.persistence"), "persistence off"
    if gpu.mig_mode and not gpu.mig:
        yield Level.OK, "MIG on"


def _is_busy(gpu: Gpu) -> bool:
    return bool(gpu.utilization_percent)


def line(found: list[Word], width: int) -> Line:
    """The words that fit; the first is cut rather than left out, and `+n` counts those that have no room."""
    pen = Pen()
    for place, (level, word) in enumerate(found):
        rest = len(found) - place - 1
        gap = 2 if pen.at else 0
        more = 4 if rest else 0
        if pen.at and pen.at + gap + len(word) + more > width:
            left_out = rest + 1
            if pen.at + 4 <= width:
                pen.put(f" +{left_out}", Role.DIM)
            break
        role = Role.DIM if level is Level.OK else ROLES[level]
        pen.put(", "[:gap], Role.DIM).put(clip(word, max(0, width - pen.at - more)), role)
    return pen.line


def sentence(gpu: Gpu, findings: dict[str, Finding], view: View) -> Line:
    """What a lost GPU's row says: LOST, since when, why, what to do."""
    time = view.snapshot.time if view.snapshot else ""
    since = clock_before(time, gpu.age_s)
    pen = Pen().put(WORDS[gpu.status].upper(), Role.CRITICAL)
    if since:
        pen.put(f" since {since}", Role.CRITICAL)
    if gpu.reason:
        pen.put(" · ", Role.DIM).put(gpu.reason, Role.CRITICAL)
    if gpu.xid_last is not None and "Xid" not in (gpu.reason or ""):
        pen.put(" · ", Role.DIM).put(f"Xid {gpu.xid_last}", Role.CRITICAL)
    action = next((f.action for f in findings.values() if f.action), None)
    return pen.put(" · ", Role.DIM).put(action or "reboot the node", Role.TEXT).line
