"""A GPU's links: PCIe, NVLink, and the fabric of NVSwitches."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mltop.checks.case import Case, judgement
from mltop.checks.gpu_reading import is_busy, unsupported
from mltop.checks.judgement import Judgement
from mltop.config.limit import Limit, Range
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu

_GIGABITS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}
"""Of one PCIe lane, by generation."""
_BEARABLE = 0.06
"""Replays a minute and Gbit/s: a bit error rate of 1e-12 over 60 s, DCGM's formula."""
_MINUTE_S = 60.0
_HOUR_S = 3600.0
_FABRIC_MANAGER = "see the fabric manager: systemctl status nvidia-fabricmanager"
_COMPLETED = 3
_FABRIC_HEALTH = (
    (4, 0x3, (1,), Level.CRITICAL, "routes unhealthy"),
    (2, 0x3, (1,), Level.WARNING, "routes being recovered"),
    (0, 0x3, (1,), Level.WARNING, "bandwidth degraded"),
    (6, 0x3, (1,), Level.WARNING, "recovering from an access time-out"),
    (8, 0xF, range(2, 16), Level.WARNING, "configured wrongly"),
)
"""NVML_GPU_FABRIC_HEALTH_MASK of nvml.h: shift, width, the values that are bad, how bad, in words."""


def links(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Iterator[Judgement]:
    """All that is judged of a GPU's links; the caller names the GPU."""
    yield _pcie_width(case, gpu)
    yield _pcie_generation(case, gpu)
    if facts is not None:
        yield _pcie_replay(case, gpu, facts)
    yield _nvlink(case, gpu, facts)
    if facts is not None:
        yield _fabric(case, gpu, facts)


def _pcie_width(case: Case, gpu: Gpu) -> Judgement:
    check, width = "gpu.pcie_width", gpu.pcie_width
    if width is None or not gpu.pcie_width_max or gpu.memory_is_unified:  # there the numbers are of no slot
        return unsupported(case, check, gpu, "PCIe width")
    summary = f"PCIe x{width} of x{gpu.pcie_width_max}"
    percent, most = 100.0 * width / gpu.pcie_width_max, Level.CRITICAL if is_busy(gpu) else Level.WARNING
    return case.measured(check, percent, summary, "reseat the card", target=gpu_identity(gpu), most=most)


def _pcie_generation(case: Case, gpu: Gpu) -> Judgement:
    """Under load only: an idle card slows its link down."""
    check, generation = "gpu.pcie_gen", gpu.pcie_generation
    if generation is None or gpu.pcie_generation_max is None or gpu.memory_is_unified:
        return unsupported(case, check, gpu, "PCIe generation")
    if not is_busy(gpu):
        return judgement(check, Level.OK, f"PCIe gen {generation}, not busy", value=generation)
    level = Level.WARNING if generation < gpu.pcie_generation_max else Level.OK
    summary = f"PCIe gen {generation} of {gpu.pcie_generation_max} under load"
    return judgement(check, level, summary, "reseat the card", value=generation)


def _pcie_replay(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    """Replays a minute since the last run, against what a link of its speed may have."""
    check, limit = "gpu.pcie_replay", _replay_limit(case, gpu)
    if facts.pcie_replays is None or limit is None:
        return unsupported(case, check, gpu, "PCIe replay counter")
    growth = case.growth(check, gpu_identity(gpu), facts.pcie_replays, over_s=_MINUTE_S)
    data = {"replays": facts.pcie_replays}
    if growth is None:
        return judgement(check, Level.OK, f"{facts.pcie_replays} PCIe replays so far", data=data)
    a_minute = growth.amount * _MINUTE_S / max(growth.seconds, _MINUTE_S)
    summary = f"{a_minute:.0f} PCIe replays a minute"
    return judgement(check, limit.level(a_minute), summary, "reseat the card", value=a_minute, limit=limit, data=data)


def _replay_limit(case: Case, gpu: Gpu) -> Limit | None:
    """The config's, else that of the fastest link that the card and its slot can have; `None` where that is unknown."""
    if case.limits.is_configured("gpu.pcie_replay"):
        return case.limits["gpu.pcie_replay"]
    lane = _GIGABITS.get(gpu.pcie_generation_max or gpu.pcie_generation or 0)
    if lane is None or not gpu.pcie_width:
        return None
    return Limit(warn=Range(end=float(math.ceil(lane * gpu.pcie_width * _BEARABLE))))


def _nvlink(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    """Links that its peers have are expected; where no card has one, no bridge is fitted."""
    check, active, total = "gpu.nvlink", gpu.nvlinks_active, gpu.nvlinks_total
    if active is None or not total:
        return unsupported(case, check, gpu, "NVLink")
    action = "see the Xids and the fabric manager"
    peers = [peer.nvlinks_active or 0 for peer in case.snapshot.gpus if peer.name == gpu.name]
    best = max(peers, default=0)
    data = {"errors": None if facts is None else facts.nvlink_errors}
    level, words = _link_errors(case, gpu, facts)
    if active < best:
        summary = f"NVLink {active} of {best} links"
        return judgement(check, Level.CRITICAL, summary, action, reason="link-down", value=active, data=data)
    summary = f"NVLink {active} of {total} links"
    if level:
        return judgement(check, level, f"{summary}, {words}", action, reason="errors", value=active, data=data)
    if 0 < active < total:
        return judgement(check, Level.WARNING, summary, reason="link-down", value=active, data=data)
    return judgement(check, Level.OK, summary if active else "no NVLink bridge", value=active, data=data)


def _link_errors(case: Case, gpu: Gpu, facts: GpuFacts | None) -> tuple[Level, str]:
    """How bad the errors are that came since the last run, and in words. DCGM: 100 CRC errors a second, 1 of others."""
    counted = {} if facts is None or facts.nvlink_errors is None else facts.nvlink_errors
    level, words = Level.OK, []
    for name, errors in counted.items():
        over_s = _MINUTE_S if name == "crc" else _HOUR_S  # a rate, and an event that is told for an hour
        growth = case.growth("gpu.nvlink", gpu_identity(gpu), errors, name=name, over_s=over_s)
        if growth is None or growth.amount <= 0:
            continue
        if name != "crc":
            level = Level.CRITICAL
            words.append(f"{growth.amount:.0f} {name} errors")
        elif found := case.limits["gpu.nvlink.crc"].level(rate := growth.amount / max(growth.seconds, 1.0)):
            level = max(level, found)
            words.append(f"{rate:.0f} CRC errors/s")
    return level, ", ".join(words)


def _fabric(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    """Registration with the NVSwitch fabric: without it the GPU cannot reach its peers, nor start CUDA."""
    check, target = "gpu.fabric", gpu_identity(gpu)
    state, status, health = facts.fabric_state, facts.fabric_status, facts.fabric_health or 0
    if state is None:
        return unsupported(case, check, gpu, "NVSwitch fabric")
    data = {"state": state, "status": status, "health": health}
    if state != _COMPLETED:
        words = "registering with the fabric" if state == 2 else "not registered with the fabric yet"
        level = case.settled(check, target, Level.WARNING)
        return judgement(check, level, words, _FABRIC_MANAGER, reason="in-progress", value=state, data=data)
    if status:
        summary = f"registration with the fabric failed (NVML error {status})"
        level = case.settled(check, target, Level.CRITICAL)
        return judgement(check, level, summary, _FABRIC_MANAGER, reason="failed", value=state, data=data)
    case.settled(check, target, Level.OK)
    for shift, width, bad, level, words in _FABRIC_HEALTH:
        if health >> shift & width in bad:
            return judgement(check, level, f"fabric: {words}", _FABRIC_MANAGER, reason="health", value=state, data=data)
    return judgement(check, Level.OK, "registered with the fabric", value=state, data=data)
