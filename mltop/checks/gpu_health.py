"""One GPU's numbers against the limits: memory errors, heat, links."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case
from mltop.model.finding import Level
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Status

Judged = tuple[str, Level, str, str | None]
"""Check, level, summary, action."""

THROTTLES = {
    "hw-thermal-slowdown": "slowed down by heat",
    "sw-thermal-slowdown": "slowed down by heat",
    "hw-power-brake": "power brake",
    "hw-slowdown": "hardware slowdown",
}
"""Clock-event reasons that are faults; a power cap, an idle GPU and applied clocks are not."""
PLAUSIBLE_SLOWDOWN_C = range(70, 131)
"""A limit outside of this comes of a margin that the driver misreported (0 or less); gpud falls back likewise."""
BUSY_STATES = ("P0", "P1", "P2")


def health(case: Case, gpu: Gpu) -> Iterator[Judged]:
    """All that is judged of a GPU that answers, in the order of the catalogue."""
    yield from _memory_errors(case, gpu)
    yield from _heat(case, gpu)
    if not gpu.memory_is_unified:  # there the PCIe numbers are of no slot
        yield from _pcie(case, gpu)
    yield from _nvlink(case, gpu)
    yield from _memory(case, gpu)


def _memory_errors(case: Case, gpu: Gpu) -> Iterator[Judged]:
    target = gpu_identity(gpu)
    limit = case.limits["gpu.ecc_uncorrected"]
    fresh, ever = gpu.ecc_uncorrected_volatile, gpu.ecc_uncorrected_aggregate
    if fresh is not None and limit.crit is not None and limit.crit.alerts(fresh):
        yield "gpu.ecc_uncorrected", Level.CRITICAL, f"{fresh} uncorrected ECC errors", "drain and reset the GPU"
    elif ever is not None and limit.warn is not None and limit.warn.alerts(ever):
        yield "gpu.ecc_uncorrected", Level.WARNING, f"{ever} uncorrected ECC errors in its life", None
    if (corrected := gpu.ecc_corrected_volatile) is not None:
        level = case.level("gpu.ecc_corrected", target, corrected)
        yield "gpu.ecc_corrected", level, f"{corrected} corrected ECC errors", "watch it"
    if gpu.remap_failed:
        yield "gpu.row_remap", Level.CRITICAL, "row remap failed", "have the GPU replaced"
    elif gpu.remap_pending:
        yield "gpu.row_remap", Level.WARNING, "row remap pending", "reset the GPU when it is idle"
    if (pages := gpu.retired_pages) is not None:
        level = case.level("gpu.retired_pages", target, pages)
        yield "gpu.retired_pages", level, f"{pages} retired pages", "have the GPU looked at"


def _heat(case: Case, gpu: Gpu) -> Iterator[Judged]:
    target = gpu_identity(gpu)
    words = {THROTTLES[reason]: None for reason in gpu.clock_event_reasons if reason in THROTTLES}
    if len(words) > 1:
        words.pop("hardware slowdown", None)  # the general bit beside its reason
    level = case.settled("gpu.throttle", target, Level.WARNING if words else Level.OK)
    yield "gpu.throttle", level, ", ".join(words), "check cooling and power supply"
    if gpu.temperature_c is not None:
        yield _temperature(case, gpu, gpu.temperature_c)
    if gpu.temperature_memory_c is not None:
        level = case.level("gpu.temp_mem", target, gpu.temperature_memory_c)
        yield "gpu.temp_mem", level, f"memory {gpu.temperature_memory_c} C", "check cooling"


def _temperature(case: Case, gpu: Gpu, temperature_c: int) -> Judged:
    """By the margin to the card's own slowdown limit; by fixed limits where it has none or the config says so."""
    target = gpu_identity(gpu)
    slowdown = gpu.temperature_slowdown_c
    if slowdown is None or slowdown not in PLAUSIBLE_SLOWDOWN_C or case.limits.is_configured("gpu.temp"):
        level = case.level("gpu.temp", target, temperature_c)
        return "gpu.temp", level, f"{temperature_c} C", "check cooling"
    margin = slowdown - temperature_c
    level = case.level("gpu.temp", target, margin, row="gpu.temp_margin")
    words = f"{margin} C below its slowdown" if margin > 0 else f"at its slowdown limit {slowdown} C"
    return "gpu.temp", level, f"{temperature_c} C, {words}", "check cooling"


def _pcie(case: Case, gpu: Gpu) -> Iterator[Judged]:
    is_busy = bool(gpu.utilization_percent) and (gpu.performance_state or "P0") in BUSY_STATES
    if gpu.pcie_width is not None and gpu.pcie_width_max:
        level = case.level("gpu.pcie_width", gpu_identity(gpu), 100.0 * gpu.pcie_width / gpu.pcie_width_max)
        if not is_busy:
            level = min(level, Level.WARNING)
        yield "gpu.pcie_width", level, f"PCIe x{gpu.pcie_width} of x{gpu.pcie_width_max}", "reseat the card"
    if is_busy and gpu.pcie_generation is not None and gpu.pcie_generation_max is not None:
        level = Level.WARNING if gpu.pcie_generation < gpu.pcie_generation_max else Level.OK
        summary = f"PCIe gen {gpu.pcie_generation} of {gpu.pcie_generation_max} under load"
        yield "gpu.pcie_gen", level, summary, "reseat the card"


def _nvlink(case: Case, gpu: Gpu) -> Iterator[Judged]:
    """Links that its peers have are expected; where no card has one, no bridge is fitted."""
    active, total = gpu.nvlinks_active, gpu.nvlinks_total
    if active is None or not total:
        return
    peers = [peer.nvlinks_active or 0 for peer in case.snapshot.gpus if peer.name == gpu.name]
    best = max(peers, default=0)
    if active < best:
        yield "gpu.nvlink", Level.CRITICAL, f"NVLink {active} of {best} links", "see the Xids and the fabric manager"
    elif 0 < active < total:
        yield "gpu.nvlink", Level.WARNING, f"NVLink {active} of {total} links", None


def _memory(case: Case, gpu: Gpu) -> Iterator[Judged]:
    target = gpu_identity(gpu)
    if gpu.persistence_mode is False and _is_server_card(gpu):
        yield "gpu.persistence", Level.WARNING, "persistence mode off", "enable nvidia-persistenced"
    if gpu.unattributed_bytes is not None and not gpu.mig and gpu.processes_status is Status.OK:
        held = 0 if gpu.processes else gpu.unattributed_bytes
        level = case.level("gpu.mem_orphan", target, held)
        yield "gpu.mem_orphan", level, f"{held / (1 << 30):.1f} GiB held by no process", "look for a dead process"
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
        percent = 100.0 * gpu.memory_used_bytes / gpu.memory_total_bytes
        yield "gpu.mem", case.level("gpu.mem", target, percent), f"{percent:.0f} % of memory used", None


def _is_server_card(gpu: Gpu) -> bool:
    """With ECC and without a fan of its own: no desktop hangs on it."""
    return gpu.ecc_uncorrected_volatile is not None and gpu.fan_percent is None
