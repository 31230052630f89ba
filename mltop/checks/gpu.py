"""The driver and the GPUs: one driver fault is one finding, and mutes what it makes unreadable."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mltop.checks.case import NOT_READ, REASONS, Case, age, aged, is_awaited, judgement, skip, surviving
from mltop.checks.gpu_health import health
from mltop.checks.gpu_known import compared, gone, named
from mltop.checks.gpu_xid import count_xids, judge_xid, xid_totals
from mltop.checks.judgement import Judgement
from mltop.checks.xid import xid
from mltop.model.finding import Level
from mltop.model.gpu_facts import INFOROM_CORRUPTED, NEEDS_RESET
from mltop.model.identity import gpu_identity, gpu_label
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status
from mltop.model.surroundings import NOT_IN_TIME, Gap

SLOW_S = 5.0
"""A driver that takes longer than this for one round is in trouble: nvidia_gpu_exporter's rules."""
SILENT_S = 7.5
"""One that takes longer than this is not answering, whatever it has said by then (of the 8 s that it is given)."""
_FACTS = {
    "gpu.recovery_action": ("recovery",),
    "gpu.pcie_replay": ("pcie_replay",),
    "gpu.fabric": ("fabric",),
    "gpu.power_cap": ("power_limit", "power_default"),
    "gpu.ecc_mode": ("ecc_mode",),
    "gpu.vbios": ("vbios",),
    "gpu.idle_waste": ("memory", "utilization"),
    "gpu.ecc_uncorrected": ("ecc",),
    "gpu.ecc_corrected": ("ecc",),
    "gpu.row_remap": ("remap",),
    "gpu.retired_pages": ("retired",),
    "gpu.temp": ("temperature",),
    "gpu.temp_mem": ("memory_temperature",),
    "gpu.throttle": ("event_reasons",),
    "gpu.nvlink": ("nvlinks",),
    "gpu.pcie_width": ("pcie_link", "pcie_max"),
    "gpu.pcie_gen": ("pcie_link", "pcie_max"),
    "gpu.persistence": ("persistence",),
    "gpu.mem_orphan": ("compute",),
    "gpu.mem": ("memory",),
}
"""What each check reads, by the names of `sampling.answer`."""
_OF_ONE = ("gpu.responsive", "gpu.xid", *_FACTS)
"""The checks of each GPU."""
_COUNTED = (Status.OK, Status.TIMEOUT, Status.ERROR)
"""A driver that hangs or dies in a call of one GPU has counted them all before."""
_REBOOT = "drain and reboot the node"


class _Fault(msgspec.Struct, frozen=True):
    """What a driver answers of a GPU on which no work can be placed."""

    words: str
    reason: str
    action: str


_FAULTS = (
    _Fault(NEEDS_RESET, "reset-required", "drain and reset the GPU"),
    _Fault(INFOROM_CORRUPTED, "inforom", "have the GPU replaced"),
)
"""CRITICAL as with Meta's GCM, as a lost one is."""


def gpus(case: Case) -> Iterator[Judgement]:
    """`gpu.driver`, `gpu.responsive`, `gpu.count`, and each GPU's own."""
    count_xids(case)
    driver = _driver(case)
    yield driver
    if driver.level is not None:
        yield _responsive(case)
    yield from gone(case)
    for count in _count(case.snapshot):
        yield compared(case, count)
    is_muted = driver.level is not Level.OK or case.snapshot.driver.status is Status.TIMEOUT
    is_partial = is_muted and any(_is_read(case, gpu) for gpu in case.snapshot.gpus)
    for gpu in case.snapshot.gpus:
        if gpu.status is Status.LOST:
            yield _lost(case, named(case, gpu))
        elif driver.level is None:
            continue  # cards that are not this box's to use
        elif is_muted and driver.reason != "permission" and not _is_read(case, gpu):
            yield _answering(case, gpu) if is_partial else _muted(gpu, case.snapshot.driver)
        else:
            yield from surviving(_one(case, gpu), _OF_ONE, target=gpu_identity(gpu), name=gpu_label(gpu))


def _is_read(case: Case, gpu: Gpu) -> bool:
    """Whether it was read whole: a driver that hangs or dies in a call of one GPU may have told of the others."""
    gaps = case.surroundings.gaps.get(gpu_identity(gpu), {}) if case.surroundings is not None else {}
    return gpu.status not in NOT_READ and all(gap.reason != NOT_IN_TIME for gap in gaps.values())


def _driver(case: Case) -> Judgement:
    driver = case.snapshot.driver
    match driver.status:
        case Status.ABSENT:
            return skip("gpu.driver", driver.reason or "no NVIDIA GPU on this box", name="driver")
        case Status.ERROR if _is_not_passed_in(case):
            summary = f"NVIDIA GPUs of the host, not passed into this container: {driver.reason}"
            return skip("gpu.driver", summary, name="driver", reason="facility")
        case Status.ERROR:
            summary = driver.reason or "driver not usable"
            return judgement("gpu.driver", Level.CRITICAL, summary, name="driver", reason="error")
        case Status.NO_PERMISSION:
            summary = driver.reason or "not permitted"
            return judgement("gpu.driver", Level.UNKNOWN, summary, name="driver", reason="permission")
        case _ if is_awaited(driver):
            return judgement("gpu.driver", Level.UNKNOWN, "not read yet", name="driver", reason="stale", is_quiet=True)
        case Status.TIMEOUT if driver.version is None:
            return judgement("gpu.driver", Level.UNKNOWN, "no answer", name="driver", reason="timeout", is_quiet=True)
    return judgement("gpu.driver", Level.OK, f"version {driver.version or 'not known'}", name="driver")


def _is_not_passed_in(case: Case) -> bool:
    """A container sees the host's PCI bus, also where no GPU was given to it."""
    here = case.surroundings
    return here is not None and here.is_container and not here.has_device_nodes and not _expected(case)


def _expected(case: Case) -> int:
    return case.snapshot.driver.expected_count or 0


def _responsive(case: Case) -> Judgement:
    driver = case.snapshot.driver
    if driver.status is Status.TIMEOUT:
        reason = driver.reason or "driver not answering"
        action = "if it stays so: end its processes, reset the GPU or reboot"
        return judgement("gpu.responsive", Level.CRITICAL, reason, action, name="driver", reason="timeout")
    if driver.status in (Status.ERROR, Status.NO_PERMISSION):
        summary, reason = f"not asked: {driver.reason or driver.status}", REASONS[driver.status]
        return judgement("gpu.responsive", Level.UNKNOWN, summary, name="driver", reason=reason, is_quiet=True)
    here = case.surroundings
    if here is not None and here.driver_s is None and here.waited_s >= SILENT_S:
        return _late(Level.CRITICAL, here.waited_s)
    if driver.status in NOT_READ:
        is_quiet = is_awaited(driver)
        summary = f"last read {age(driver)}"
        return judgement("gpu.responsive", Level.UNKNOWN, summary, name="driver", reason="stale", is_quiet=is_quiet)
    if here is not None and here.driver_s is None and driver.status is Status.OK:
        return _late(Level.UNKNOWN, here.waited_s)
    took_s = here.driver_s if here is not None else None
    level = Level.WARNING if took_s is not None and took_s > SLOW_S else Level.OK
    summary = "answers" if took_s is None else f"answered in {took_s:.1f} s"
    found = judgement("gpu.responsive", level, summary, name="driver", reason="slow")
    return msgspec.structs.replace(found, duration_s=took_s)


def _late(level: Level, waited_s: float) -> Judgement:
    summary = f"no whole answer in {waited_s:.1f} s"
    return judgement("gpu.responsive", level, summary, name="driver", reason="timeout")


def _count(snapshot: Snapshot) -> Iterator[Judgement]:
    """Fewer GPUs than the bus has or the config expects, where rows of lost ones do not say so already."""
    driver = snapshot.driver
    # in a container the bus shows cards that were not passed in: only sampling, which knows, says that one is missing
    is_mismatch = driver.status is Status.OK and bool(driver.reason)
    wanted = max(driver.expected_count or 0, (driver.pci_count or 0) if is_mismatch else 0)
    if driver.status is Status.ABSENT and driver.expected_count:
        seen = 0
    elif driver.status in _COUNTED and driver.gpu_count is not None:
        seen = driver.gpu_count
    else:
        return
    lost = sum(gpu.status is Status.LOST for gpu in snapshot.gpus)
    data = {"driver": driver.gpu_count, "pci": driver.pci_count, "expected": driver.expected_count}
    if seen < wanted and not (lost and wanted <= len(snapshot.gpus)):
        action = (driver.reason if is_mismatch else None) or "check seating and power"
        summary = f"{seen} of {wanted} GPUs"
        yield judgement(
            "gpu.count", Level.CRITICAL, summary, action, name="driver", reason="count", value=seen, data=data
        )
    elif not lost:
        yield judgement("gpu.count", Level.OK, f"{seen} GPUs", name="driver", value=seen, data=data)


def _lost(case: Case, gpu: Gpu) -> Judgement:
    """A lost GPU; its Xid, where the kernel log told it, says what to do."""
    summary, action = "lost", _REBOOT
    if gpu.xid_last is not None:
        known = xid(gpu.xid_last)
        summary, action = f"lost, Xid {gpu.xid_last} {known.words}", known.action or _REBOOT
    elif gpu.index is None and gpu.reason:
        summary = gpu.reason
    data = {"uuid": gpu.uuid, "pci_bus_id": gpu.pci_bus_id, "xid": gpu.xid_last, **xid_totals(case, gpu)}
    target, name = gpu_identity(gpu), gpu_label(gpu)
    return judgement("gpu.count", Level.CRITICAL, summary, action, target=target, name=name, reason="lost", data=data)


def _muted(gpu: Gpu, driver: Driver) -> Judgement:
    """A GPU that cannot be read because the driver cannot: told once, by the driver."""
    summary = f"not read: {driver.reason or driver.status}"
    return judgement(
        "gpu.responsive",
        Level.UNKNOWN,
        summary,
        target=gpu_identity(gpu),
        name=gpu_label(gpu),
        reason=REASONS.get(driver.status, "error"),
        is_quiet=True,
    )


def _one(case: Case, gpu: Gpu) -> Iterator[Judgement]:
    target, name = gpu_identity(gpu), gpu_label(gpu)
    fault = next((one for one in _FAULTS if one.words in (gpu.reason or "")), None)
    if fault is not None:
        yield judgement(
            "gpu.driver", Level.CRITICAL, fault.words, fault.action, target=target, name=name, reason=fault.reason
        )
        if gpu.status is Status.ERROR:
            return
    yield _answering(case, gpu)
    yield judge_xid(case, gpu)
    gaps = case.surroundings.gaps.get(target, {}) if case.surroundings is not None else {}
    for one in health(case, gpu):
        gap = next((gaps[fact] for fact in _FACTS[one.check] if fact in gaps), None)
        if gap is not None and not one.level and one.value is None:
            yield _not_told(one, gap, target, name)
            continue
        level, summary = one.level, one.summary
        if level and gpu.age_s is not None:  # an OK of old values is told by `gpu.responsive`
            level, summary = aged(gpu, level, summary)
        yield msgspec.structs.replace(one, level=level, summary=summary, target=target, target_name=name)


def _not_told(one: Judgement, gap: Gap, target: str, name: str) -> Judgement:
    """A number that the card may have and that did not come is not the same as one that it has not."""
    if gap.status is Status.NO_PERMISSION:
        return skip(one.check, f"no permission: {gap.reason}", target=target, name=name, reason="permission")
    summary, reason = f"not told: {gap.reason}", "parse" if gap.status is Status.OK else REASONS[gap.status]
    return judgement(one.check, Level.UNKNOWN, summary, target=target, name=name, reason=reason)


def _answering(case: Case, gpu: Gpu) -> Judgement:
    target, name = gpu_identity(gpu), gpu_label(gpu)
    if gpu.status not in NOT_READ:
        return judgement("gpu.responsive", Level.OK, "answers", target=target, name=name)
    level = Level.CRITICAL if gpu.status is Status.TIMEOUT else Level.UNKNOWN
    summary = gpu.reason or f"last read {age(gpu)}"
    return judgement(
        "gpu.responsive",
        level,
        summary,
        target=target,
        name=name,
        reason=REASONS.get(gpu.status, "error"),
        is_quiet=is_awaited(gpu) or case.snapshot.driver.status in NOT_READ,
    )
