"""The drives: what the kernel reported of them, what they say of themselves, and the time that is lost waiting."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement, skip
from mltop.checks.fact import ago, facts, steady, unread
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import Drive, EventKind, KernelEvent, KernelEvents, SharedMemory
from mltop.model.snapshot import Status

_EVENTS: dict[EventKind, tuple[Level, str]] = {
    "io-error": (Level.WARNING, "I/O errors"),
    "reset": (Level.WARNING, "timeouts or resets"),
    "lost": (Level.CRITICAL, "device disabled"),
    "shut-down": (Level.CRITICAL, "file system shut down"),
    "array-failed": (Level.CRITICAL, "RAID array failed"),
}
_SAVE = "save its data, then replace it"
_MEBIBYTE = 1 << 20


def health(case: Case) -> Iterator[Judgement]:
    """`disk.kernel_errors`, `disk.smart`, `io.psi`, and `disk.shm` of containers."""
    here = facts(case)
    if here.kernel_log is not None:
        yield from _kernel_errors(case, here.kernel_log)
    if here.smart is not None:
        if here.smart.status is not Status.OK:
            yield unread("disk.smart", here.smart, name="drives")
        for drive in here.smart.drives:
            yield _smart(case, drive)
    if here.io_stall is not None:
        yield _pressure(case)
    for memory in here.shared_memory:
        yield _shared(case, memory)


def _kernel_errors(case: Case, log: KernelEvents) -> Iterator[Judgement]:
    """What the log has of each device within a day; it is over with the boot, or when a day has passed."""
    if log.status is not Status.OK:
        yield unread("disk.kernel_errors", log, name="kernel log")
        return
    devices: dict[str, list[KernelEvent]] = {}
    for event in log.events:
        if event.kind in _EVENTS:
            devices.setdefault(event.subject, []).append(event)
    new_s = _since_last_run(case, log)
    for device, events in devices.items():
        yield _device(case, device, events, new_s)
    if not devices:
        yield judgement("disk.kernel_errors", Level.OK, "no error in the kernel log within a day", name="drives")


def _since_last_run(case: Case, log: KernelEvents) -> float | None:
    """The moment of the last record that the last run saw, in the kernel's seconds."""
    if log.last_s is None:
        return None
    growth = case.growth("disk.kernel_errors", "", log.last_s)
    return None if growth is None else log.last_s - growth.amount


def _device(case: Case, device: str, events: list[KernelEvent], seen_s: float | None) -> Judgement:
    worst = max(events, key=lambda one: (_EVENTS[one.kind][0], one.at_s))
    level, words = _EVENTS[worst.kind]
    same = [one for one in events if one.kind == worst.kind]
    count = f"{len(same)} " if level is Level.WARNING else ""
    table = facts(case).mount_table
    mount = table.devices.get(device) if table is not None else None
    data = {"events": len(events), "last": worst.text, "mount": mount}
    if seen_s is not None:
        data["new"] = sum(one.at_s > seen_s for one in events)
    summary = f"{count}{words}, last {ago(worst.age_s)}"
    name = f"{device} ({mount})" if mount else device
    return judgement(
        "disk.kernel_errors", level, summary, _SAVE, target=device, name=name, reason=worst.kind, data=data
    )


def _smart(case: Case, drive: Drive) -> Judgement:
    """The worst of what a drive says of itself."""
    if drive.status is not Status.OK:
        return unread("disk.smart", drive, target=drive.name)
    faults = sorted(_faults(case, drive), key=lambda one: -one[0])
    wear = drive.used_percent
    data = {"model": drive.model, "temperature_c": drive.temperature_c, "used_percent": wear}
    limit = case.limits["disk.smart"] if wear is not None else None
    if not faults:
        words = ["healthy" if drive.is_passed else "no fault told"]
        words += [f"{wear:.0f} % of its life used"] if wear is not None else []
        words += [f"{drive.temperature_c:.0f} C"] if drive.temperature_c is not None else []
        return judgement(
            "disk.smart", Level.OK, ", ".join(words), target=drive.name, value=wear, limit=limit, data=data
        )
    level, summary = faults[0][0], ", ".join(words for _, words in faults)
    return judgement(
        "disk.smart", level, summary, _SAVE, target=drive.name, reason="smart", value=wear, limit=limit, data=data
    )


def _faults(case: Case, drive: Drive) -> Iterator[tuple[Level, str]]:
    """Each thing that is wrong; critical_warning and spare: NVMe specification, SMART log."""
    if drive.is_passed is False:
        yield Level.CRITICAL, "its self-assessment failed"
    if drive.critical_warning:
        yield Level.CRITICAL, f"critical warning 0x{drive.critical_warning:02x}"
    spare, least = drive.spare_percent, drive.spare_least_percent
    if spare is not None and least is not None and spare < least:
        yield Level.CRITICAL, f"{spare:.0f} % spare left (least {least:.0f} %)"
    for name in drive.failing_attributes:
        yield Level.CRITICAL, f"{name} is failing"
    if drive.pending_sectors:
        yield Level.WARNING, f"{drive.pending_sectors} sectors cannot be read"
    values = (
        ("disk.smart", drive.used_percent, "% of its life used"),
        ("disk.smart.temp", drive.temperature_c, "C"),
    )
    for row, value, unit in values:
        level = Level.OK if value is None else case.level("disk.smart", f"{drive.name} {row}", value, row=row)
        if value is not None and level is not Level.OK:
            yield level, f"{value:.0f} {unit}"


def _pressure(case: Case) -> Judgement:
    stall = facts(case).io_stall
    if stall is None or stall.status is not Status.OK or stall.full_avg60 is None:
        return unread("io.psi", stall, name="I/O") if stall is not None else skip("io.psi", "not asked", name="I/O")
    summary = f"pressure {stall.full_avg60:.0f} % (full, 60 s)"
    return steady(case, "io.psi", stall.full_avg60, summary, "a drive or a file server is too slow", name="I/O")


def _shared(case: Case, memory: SharedMemory) -> Judgement:
    target = f"{memory.container}:/dev/shm"
    if memory.status is not Status.OK or memory.used_percent is None:
        return unread("disk.shm", memory, target=target)
    size = (memory.total_bytes or 0) / _MEBIBYTE
    summary = f"{memory.used_percent:.0f} % used of {size:.0f} MiB"
    action = "data loaders die when it is full: docker run --shm-size, or --ipc=host"
    return case.measured("disk.shm", memory.used_percent, summary, action, target=target, group=memory)
