"""One GPU's numbers against the limits: heat, power, clocks, modes, and whether its memory is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mltop.checks.case import Case, judgement
from mltop.checks.gpu_link import links
from mltop.checks.gpu_memory import memory_errors
from mltop.checks.gpu_reading import facts_of, is_server_card, unsupported
from mltop.checks.judgement import Judgement
from mltop.config.limit import Limit, Range
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Status

THROTTLES = {
    "hw-thermal-slowdown": "slowed down by heat",
    "sw-thermal-slowdown": "slowed down by heat",
    "hw-power-brake": "power brake",
    "hw-slowdown": "hardware slowdown",
}
"""Clock-event reasons that are faults; a power cap, an idle GPU and applied clocks are not."""
_HARD = ("hw-thermal", "hw-power-brake")
"""What halves the clocks, or worse (nvml.h); the driver's own slowdown keeps the card at its best temperature."""
_SLOWED_DOWN = {"hw-power-brake": "held by the power brake"}
_LEAST_S = 60.0
"""A share of less time than this says nothing."""
PLAUSIBLE_LIMIT_C = range(70, 131)
"""A limit outside of this comes of a margin that the driver misreported (0 or less); gpud falls back likewise."""
_RECOVERY = {
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain its peer-to-peer traffic",
    4: "drain and reset the GPU",
    5: "recover its IMEX domain",
    6: "reset its bus",
    7: "reboot the node",
}
"""nvmlDeviceGpuRecoveryAction_t of nvml.h."""
_DRAIN_P2P = 3
_WASTE_S = 900.0
"""all-smi's quarter of an hour."""
_POWER_SLACK_W = 0.5


def health(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    """All that is judged of a GPU that answers; the caller names the GPU. Some of it only where it was asked for."""
    facts = facts_of(case, gpu)
    yield from memory_errors(case, gpu, facts)
    yield _throttle(case, gpu, facts)
    yield _temperature(case, gpu)
    yield _memory_temperature(case, gpu, facts)
    yield from links(case, gpu, facts)
    yield _persistence(case, gpu, facts)
    if facts is not None:
        yield _recovery_action(case, gpu, facts)
        yield _power_cap(case, gpu, facts)
        yield _vbios(case, gpu, facts)
        yield _idle_waste(case, gpu)
    yield from _memory(case, gpu)


def _recovery_action(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    """What the driver itself asks for; a value newer than this is no less of a request."""
    check, value = "gpu.recovery_action", facts.recovery_action
    if value is None:
        return unsupported(case, check, gpu, "recovery action")
    if value == 0:
        return judgement(check, Level.OK, "the driver asks for nothing", value=value)
    action = _RECOVERY.get(value)
    level = Level.WARNING if value == _DRAIN_P2P else Level.CRITICAL
    summary = f"the driver asks for recovery action {value}" + (f": {action}" if action else ", not known to mltop")
    return judgement(check, level, summary, action or "see NVIDIA's documentation", reason="recovery", value=value)


def _throttle(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    """By what is active now, where it lasts, and by the share of the time since the last run."""
    check, target = "gpu.throttle", gpu_identity(gpu)
    words = {THROTTLES[reason]: None for reason in gpu.clock_event_reasons if reason in THROTTLES}
    if len(words) > 1:
        words.pop("hardware slowdown", None)  # the general bit beside its reason
    level = case.settled(check, target, Level.WARNING if words else Level.OK)
    shares = _shares(case, target, facts)
    if facts is not None and facts.has_event_reasons is False and not shares:
        return unsupported(case, check, gpu, "clock event reasons")
    limit = case.limits["gpu.throttle.share"]
    for name, percent in shares.items():
        found = min(limit.level(percent), Level.CRITICAL if name in _HARD else Level.WARNING)
        if found:
            words |= {f"{_SLOWED_DOWN.get(name, 'slowed down by heat')} {percent:.0f} % of the time": None}
            level = max(level, found)
    summary = ", ".join(words) or "not slowed down"
    data = {"clock_event_reasons": gpu.clock_event_reasons, "share_percent": shares}
    value = max(shares.values(), default=None)
    return judgement(
        check, level, summary, "check cooling and power supply", reason="throttled", value=value, limit=limit, data=data
    )


def _shares(case: Case, target: str, facts: GpuFacts | None) -> dict[str, float]:
    """For how much of the time since the last run it was slowed down, in percent, by cause."""
    shares = {}
    for name, seconds in ((facts and facts.slowed_down_s) or {}).items():
        growth = case.growth("gpu.throttle", target, seconds, name=name, over_s=_LEAST_S)
        if growth is not None:
            shares[name] = min(100.0, 100.0 * growth.amount / max(growth.seconds, _LEAST_S))
    return shares


def _temperature(case: Case, gpu: Gpu) -> Judgement:
    """By the margin to the card's own slowdown limit; by fixed limits where it has none or the config says so."""
    now, slowdown, target = gpu.temperature_c, gpu.temperature_slowdown_c, gpu_identity(gpu)
    if now is None:
        return unsupported(case, "gpu.temp", gpu, "temperature")
    if slowdown is None or slowdown not in PLAUSIBLE_LIMIT_C or case.limits.is_configured("gpu.temp"):
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


def _memory_temperature(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    """By the margin to the card's own maximum: HBM and GDDR6X differ by 15 C."""
    check, now, target = "gpu.temp_mem", gpu.temperature_memory_c, gpu_identity(gpu)
    if now is None:
        return unsupported(case, check, gpu, "memory temperature")
    most = None if facts is None else facts.temperature_memory_max_c
    if most is None or most not in PLAUSIBLE_LIMIT_C or case.limits.is_configured(check):
        return case.measured(check, now, f"memory {now} C", "check cooling", target=target)
    margin = most - now
    level = case.level(check, target, margin, row="gpu.temp_mem.margin")
    words = f"{margin} C below" if margin > 0 else "at" if margin == 0 else f"{-margin} C above"
    limit = _below(most, case.limits["gpu.temp_mem.margin"])
    summary = f"memory {now} C, {words} its maximum {most} C"
    return judgement(check, level, summary, "check cooling", value=now, limit=limit)


def _persistence(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    if gpu.persistence_mode is None:
        return unsupported(case, "gpu.persistence", gpu, "persistence mode")
    if gpu.persistence_mode:
        return judgement("gpu.persistence", Level.OK, "persistence mode on")
    level = Level.WARNING if is_server_card(gpu, facts) else Level.OK
    return judgement("gpu.persistence", level, "persistence mode off", "enable nvidia-persistenced", reason="mode-off")


def _power_cap(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    """A limit below the one that it came with: somebody's choice, or drift."""
    check, now, default = "gpu.power_cap", gpu.power_limit_w, facts.power_default_w
    if now is None or default is None:
        return unsupported(case, check, gpu, "power limit")
    limit = Limit(warn=Range(start=default - _POWER_SLACK_W))
    summary = f"power limit {now:.0f} W of {default:.0f} W"
    action = f"if it is not meant: nvidia-smi -pl {default:.0f}"
    return judgement(check, limit.level(now), summary, action, reason="capped", value=now, limit=limit)


def _vbios(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    """Cards of one model have one firmware; the odd ones differ from the most."""
    check = "gpu.vbios"
    if not facts.vbios:
        return unsupported(case, check, gpu, "firmware version")
    peers = [facts_of(case, peer) for peer in case.snapshot.gpus if peer.name == gpu.name]
    versions = Counter(peer.vbios for peer in peers if peer is not None and peer.vbios)
    most = max(versions, key=versions.__getitem__)
    count = versions[most]
    others = [version for version, times in versions.items() if version != facts.vbios and times == count]
    data = {"vbios": facts.vbios, "versions": dict(versions)}
    if versions[facts.vbios] < count or others:
        usual = others[0] if others else most
        summary = f"VBIOS {facts.vbios}, {usual} on {count} of this model"
        return judgement(check, Level.WARNING, summary, "bring all to one version", reason="differs", data=data)
    return judgement(check, Level.OK, f"VBIOS {facts.vbios}", data=data)


def _idle_waste(case: Case, gpu: Gpu) -> Judgement:
    """Memory that is held at no load: worth knowing, no fault."""
    check, held = "gpu.idle_waste", gpu.idle_held_s
    if gpu.memory_used_bytes is None or gpu.utilization_percent is None:
        return unsupported(case, check, gpu, "utilization")
    if held is None:
        return judgement(check, Level.OK, "no memory held without work", value=0.0)
    used = f"{(gpu.memory_used_bytes or 0) / (1 << 30):.1f} GiB held"
    summary = f"{used} without work for {held / 60:.0f} min" if held >= _WASTE_S else f"{used} without work just now"
    return judgement(check, Level.OK, summary, value=held)


def _memory(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    target = gpu_identity(gpu)
    if gpu.unattributed_bytes is not None and not gpu.mig and gpu.processes_status is Status.OK:
        held = 0 if gpu.processes else gpu.unattributed_bytes
        summary = f"{held / (1 << 30):.1f} GiB held by no process"
        yield case.measured("gpu.mem_orphan", held, summary, "look for a dead process", target=target)
    else:
        yield unsupported(case, "gpu.mem_orphan", gpu, "count of each process's memory")
    if gpu.memory_used_bytes is not None and gpu.memory_total_bytes:
        percent = 100.0 * gpu.memory_used_bytes / gpu.memory_total_bytes
        yield case.measured("gpu.mem", percent, f"{percent:.0f} % of memory used", target=target)
    else:
        yield unsupported(case, "gpu.mem", gpu, "memory size")
