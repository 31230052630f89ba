"""The driver and the GPUs: one driver fault is one finding, and mutes what it makes unreadable."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import NOT_READ, Case, age, aged, finding, is_awaited
from mltop.checks.gpu_health import health
from mltop.checks.xid import RECENT_S, xid
from mltop.model.finding import Finding, Level
from mltop.model.identity import gpu_identity, gpu_label
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status

_REBOOT = "drain and reboot the node"


def gpus(case: Case) -> Iterator[Finding]:
    """`gpu.driver`, `gpu.responsive`, `gpu.count`, and each GPU's own."""
    fault = _driver(case.snapshot.driver)
    if fault is not None:
        yield fault
    count = _count(case.snapshot)
    if count is not None:
        yield count
    is_muted = fault is not None and fault.level is Level.CRITICAL
    for gpu in case.snapshot.gpus:
        if gpu.status is Status.LOST:
            yield _lost(gpu)
        elif not is_muted:
            yield from _one(case, gpu)


def _driver(driver: Driver) -> Finding | None:
    if driver.status is Status.ERROR:
        return finding("gpu.driver", Level.CRITICAL, driver.reason or "driver not usable", name="driver")
    if driver.status is Status.TIMEOUT:
        reason = driver.reason or "driver not answering"
        action = "if it stays so: end its processes, reset the GPU or reboot"
        return finding("gpu.responsive", Level.CRITICAL, reason, action, name="driver")
    if driver.status is Status.STALE and driver.age_s is not None:
        return finding("gpu.responsive", Level.UNKNOWN, f"last read {age(driver)}", name="driver")
    if driver.status is Status.NO_PERMISSION:
        return finding("gpu.driver", Level.UNKNOWN, driver.reason or "not permitted", name="driver")
    return None


def _count(snapshot: Snapshot) -> Finding | None:
    """Fewer GPUs than the bus has or the config expects, where rows of lost ones do not say so already."""
    driver = snapshot.driver
    # in a container the bus shows cards that were not passed in: only sampling, which knows, says that one is missing
    wanted = max(driver.expected_count or 0, (driver.pci_count or 0) if driver.reason else 0)
    if driver.status is Status.ABSENT:
        if not driver.expected_count:
            return None
        seen = 0
    elif driver.status is Status.OK and driver.gpu_count is not None:
        seen = driver.gpu_count
    else:
        return None
    lost = sum(gpu.status is Status.LOST for gpu in snapshot.gpus)
    if seen >= wanted or (lost and wanted <= len(snapshot.gpus)):
        return None
    summary = f"{seen} of {wanted} GPUs"
    return finding("gpu.count", Level.CRITICAL, summary, driver.reason or "check seating and power", name="driver")


def _lost(gpu: Gpu) -> Finding:
    """A lost GPU; its Xid, where the kernel log told it, says what to do."""
    summary, action = "lost", _REBOOT
    if gpu.xid_last is not None:
        known = xid(gpu.xid_last)
        summary, action = f"lost, Xid {gpu.xid_last} {known.words}", known.action or _REBOOT
    elif gpu.index is None and gpu.reason:
        summary = gpu.reason
    return finding("gpu.count", Level.CRITICAL, summary, action, target=gpu_identity(gpu), name=gpu_label(gpu))


def _one(case: Case, gpu: Gpu) -> Iterator[Finding]:
    target, name = gpu_identity(gpu), gpu_label(gpu)
    if gpu.status in NOT_READ and not is_awaited(gpu) and case.snapshot.driver.status not in NOT_READ:
        level = Level.CRITICAL if gpu.status is Status.TIMEOUT else Level.UNKNOWN
        summary = gpu.reason or f"last read {age(gpu)}"
        yield finding("gpu.responsive", level, summary, target=target, name=name)
    if gpu.xid_last is not None and gpu.xid_last_age_s is not None and gpu.xid_last_age_s <= RECENT_S:
        known = xid(gpu.xid_last)
        summary = f"Xid {gpu.xid_last} {known.words}"
        yield finding("gpu.xid", known.level, summary, known.action, target=target, name=name)
    for check, level, summary, action in health(case, gpu):
        level, summary = aged(gpu, level, summary) if level is not Level.OK else (level, summary)
        yield finding(check, level, summary, action, target=target, name=name)
