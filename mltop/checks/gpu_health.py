"""One GPU's numbers against the limits: memory errors, heat, links."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mltop.checks.case import Case, judgement
from mltop.checks.judgement import Judgement
from mltop.config.limit import Limit, Range
from mltop.model.finding import Level
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Status

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


def health(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    """All that is judged of a GPU that answers, in the order of the catalogue; the caller names the GPU."""
    yield _ecc_uncorrected(case, gpu)
    yield from _memory_errors(case, gpu)
    yield _row_remap(case, gpu)
    yield _throttle(case, gpu)
    yield _temperature(case, gpu)
    yield _memory_temperature(case, gpu)
    yield from _pcie(case, gpu)
    yield _nvlink(case, gpu)
    yield _persistence(case, gpu)
    yield from _memory(case, gpu)


def _ecc_uncorrected(case: Case, gpu: Gpu) -> Judgement:
    check = "gpu.ecc_uncorrected"
    limit = case.limits[check]
    fresh, ever = gpu.ecc_uncorrected_volatile, gpu.ecc_uncorrected_aggregate
    data = {"volatile": fresh, "aggregate": ever}
    if fresh is not None and limit.crit is not None and limit.crit.alerts(fresh):
        summary, action = f"{fresh} uncorrected ECC errors", "drain and reset the GPU"
        return judgement(check, Level.CRITICAL, summary, action, value=fresh, limit=limit, data=data)
    if ever is not None and limit.warn is not None and limit.warn.alerts(ever):
        summary = f"{ever} uncorrected ECC errors in its life"
        return judgement(check, Level.WARNING, summary, value=ever, limit=limit, data=data)
    if fresh is None and ever is None:
        return _unsupported(case, check, gpu, "ECC")
    return judgement(check, Level.OK, "no uncorrected ECC errors", value=fresh or 0, limit=limit, data=data)


def _memory_errors(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    target = gpu_identity(gpu)
    if (corrected := gpu.ecc_corrected_volatile) is not None:
        summary = f"{corrected} corrected ECC errors"
        yield case.measured("gpu.ecc_corrected", corrected, summary, "watch it", target=target)
    else:
        yield _unsupported(case, "gpu.ecc_corrected", gpu, "ECC")
    if (pages := gpu.retired_pages) is not None:
        summary = f"{pages} retired pages"
        yield case.measured("gpu.retired_pages", pages, summary, "have the GPU looked at", target=target)
    else:
        yield _unsupported(case, "gpu.retired_pages", gpu, "page retirement")


def _row_remap(case: Case, gpu: Gpu) -> Judgement:
    check = "gpu.row_remap"
    if gpu.remap_failed:
        return judgement(check, Level.CRITICAL, "row remap failed", "have the GPU replaced", reason="failed")
    if gpu.remap_pending:
        action = "reset the GPU when it is idle"
        return judgement(check, Level.WARNING, "row remap pending", action, reason="pending")
    if gpu.remap_failed is None and gpu.remap_pending is None:
        return _unsupported(case, check, gpu, "row remapping")
    return judgement(check, Level.OK, "no row remap pending or failed")


def _throttle(case: Case, gpu: Gpu) -> Judgement:
    words = {THROTTLES[reason]: None for reason in gpu.clock_event_reasons if reason in THROTTLES}
    if len(words) > 1:
        words.pop("hardware slowdown", None)  # the general bit beside its reason
    level = case.settled("gpu.throttle", gpu_identity(gpu), Level.WARNING if words else Level.OK)
    summary = ", ".join(words) or "not slowed down"
    data = {"clock_event_reasons": gpu.clock_event_reasons}
    return judgement("gpu.throttle", level, summary, "check cooling and power supply", reason="throttled", data=data)


def _temperature(case: Case, gpu: Gpu) -> Judgement:
    """By the margin to the card's own slowdown limit; by fixed limits where it has none or the config says so."""
    now, slowdown, target = gpu.temperature_c, gpu.temperature_slowdown_c, gpu_identity(gpu)
    if now is None:
        return _unsupported(case, "gpu.temp", gpu, "temperature")
    if slowdown is None or slowdown not in PLAUSIBLE_SLOWDOWN_C or case.limits.is_configured("gpu.temp"):
        return case.measured("gpu.temp", now, f"{now} C", "check cooling", target=target)
    margin = slowdown - now
    level = case.level("gpu.temp", target, margin, row="gpu.temp_margin")
    words = f"{margin} C below its slowdown" if margin > 0 else f"at its slowdown limit {slowdown} C"
    limit = _below(slowdown, case.limits["gpu.temp_margin"])
    return judgement("gpu.temp", level, f"{now} C, {words}", "check cooling", value=now, limit=limit)


def _below(slowdown_c: int, margin: Limit) -> Limit:
    """A limit of the margin as one of the temperature, for a reader."""

    def turned(given: Range | None) -> Range | None:
        return None if given is None else Range(slowdown_c - given.end, slowdown_c - given.start, given.inside)

    return Limit(warn=turned(margin.warn), crit=turned(margin.crit))


def _memory_temperature(case: Case, gpu: Gpu) -> Judgement:
    now = gpu.temperature_memory_c
    if now is None:
        return _unsupported(case, "gpu.temp_mem", gpu, "memory temperature")
    return case.measured("gpu.temp_mem", now, f"memory {now} C", "check cooling", target=gpu_identity(gpu))


def _pcie(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    """Lanes always, the generation under load only: an idle card slows its link down."""
    width, generation = gpu.pcie_width, gpu.pcie_generation
    if gpu.memory_is_unified:  # there the PCIe numbers are of no slot
        width = generation = None
    is_busy = bool(gpu.utilization_percent) and (gpu.performance_state or "P0") in BUSY_STATES
    if width is not None and gpu.pcie_width_max:
        summary = f"PCIe x{width} of x{gpu.pcie_width_max}"
        percent, most = 100.0 * width / gpu.pcie_width_max, Level.CRITICAL if is_busy else Level.WARNING
        target = gpu_identity(gpu)
        yield case.measured("gpu.pcie_width", percent, summary, "reseat the card", target=target, most=most)
    else:
        yield _unsupported(case, "gpu.pcie_width", gpu, "PCIe width")
    if generation is None or gpu.pcie_generation_max is None:
        yield _unsupported(case, "gpu.pcie_gen", gpu, "PCIe generation")
    elif is_busy:
        level = Level.WARNING if generation < gpu.pcie_generation_max else Level.OK
        summary = f"PCIe gen {generation} of {gpu.pcie_generation_max} under load"
        yield judgement("gpu.pcie_gen", level, summary, "reseat the card", value=generation)
    else:
        yield judgement("gpu.pcie_gen", Level.OK, f"PCIe gen {generation}, not busy", value=generation)


def _nvlink(case: Case, gpu: Gpu) -> Judgement:
    """Links that its peers have are expected; where no card has one, no bridge is fitted."""
    active, total = gpu.nvlinks_active, gpu.nvlinks_total
    if active is None or not total:
        return _unsupported(case, "gpu.nvlink", gpu, "NVLink")
    peers = [peer.nvlinks_active or 0 for peer in case.snapshot.gpus if peer.name == gpu.name]
    best = max(peers, default=0)
    if active < best:
        summary, action = f"NVLink {active} of {best} links", "see the Xids and the fabric manager"
        return judgement("gpu.nvlink", Level.CRITICAL, summary, action, reason="link-down", value=active)
    summary = f"NVLink {active} of {total} links"
    if 0 < active < total:
        return judgement("gpu.nvlink", Level.WARNING, summary, reason="link-down", value=active)
    return judgement("gpu.nvlink", Level.OK, summary if active else "no NVLink bridge", value=active)


def _persistence(case: Case, gpu: Gpu) -> Judgement:
    if gpu.persistence_mode is None:
        return _unsupported(case, "gpu.persistence", gpu, "persistence mode")
    if gpu.persistence_mode:
        return judgement("gpu.persistence", Level.OK, "persistence mode on")
    level = Level.WARNING if _is_server_card(gpu) else Level.OK
    return judgement("gpu.persistence", level, "persistence mode off", "enable nvidia-persistenced", reason="mode-off")


def _memory(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    target = gpu_identity(gpu)
    if gpu.unattributed_bytes is not None and not gpu.mig and gpu.processes_status is Status.OK:
        held = 0 if gpu.processes else gpu.unattributed_bytes
        summary = f"{held / (1 << 30):.1f} GiB held by no process"
        yield case.measured("gpu.mem_orphan", held, summary, "look for a dead process", target=target)
    else:
        yield _unsupported(case, "gpu.mem_orphan", gpu, "count of each process's memory")
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
        percent = 100.0 * gpu.memory_used_bytes / gpu.memory_total_bytes
        yield case.measured("gpu.mem", percent, f"{percent:.0f} % of memory used", target=target)
    else:
        yield _unsupported(case, "gpu.mem", gpu, "memory size")


def _unsupported(case: Case, check: str, gpu: Gpu, what: str) -> Judgement:
    """What this card does not tell; where the card did not answer, `gpu.responsive` tells why."""
    return msgspec.structs.replace(case.unread(check, gpu, what), is_quiet=True)


def _is_server_card(gpu: Gpu) -> bool:
    """With ECC and without a fan of its own: no desktop hangs on it."""
    return gpu.ecc_uncorrected_volatile is not None and gpu.fan_percent is None
