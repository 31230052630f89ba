"""CPU, memory and disks: what a snapshot says of them (ids and sources: the table of limits)."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import NOT_READ, Case, age, aged, finding, is_awaited
from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Cpu, Disk, Status

SHARED_MEMORY = "/dev/shm"
_NEVER_BEARABLE = frozenset({"/", "/var", "/var/lib/docker"})
"""Here a full disk stops the box, however large it is: `unless_free` does not count."""


def cpu(case: Case) -> Iterator[Finding]:
    """`cpu.load`, `cpu.psi`, `cpu.thermal`."""
    now = case.snapshot.cpu
    if len(now.load) == 3 and now.count:
        percent = 100.0 * now.load[2] / now.count
        level, summary = aged(now, case.level("cpu.load", "", percent), f"load {now.load[2]:.1f} on {now.count} CPUs")
        yield finding("cpu.load", level, summary, "more runs than the CPUs can carry", name="CPU")
    elif now.status in NOT_READ and not is_awaited(now):
        yield finding("cpu.load", Level.UNKNOWN, f"not read: {now.reason or now.status}", name="CPU")
    if now.psi_some_avg10 is not None and now.status not in NOT_READ:
        level = case.level("cpu.psi", "", now.psi_some_avg10)
        yield finding("cpu.psi", level, f"pressure {now.psi_some_avg10:.0f} %", name="CPU")
    if now.status not in NOT_READ:
        yield _thermal(case, now)


def _thermal(case: Case, now: Cpu) -> Finding:
    """The CPU's own word for too hot, its throttling; a temperature where the config sets a limit."""
    if now.throttled or now.temperature_c is None:
        level = case.settled("cpu.thermal", "", Level.WARNING if now.throttled else Level.OK)
        summary = "slowed down by heat"
    else:
        level = case.level("cpu.thermal", "", now.temperature_c)
        summary = f"{now.temperature_c:.0f} C"
    return finding("cpu.thermal", level, summary, "check fans and air flow", name="CPU")


def memory(case: Case) -> Iterator[Finding]:
    """`mem.available`, `mem.psi`, `mem.swap`."""
    now = case.snapshot.memory
    psi = now.psi_some_avg10
    if now.available_bytes is not None and now.total_bytes:
        percent = 100.0 * now.available_bytes / now.total_bytes
        level = case.level("mem.available", "", percent)
        if level is Level.CRITICAL and psi == 0:
            level = Level.WARNING  # nothing waits for memory: full, and well
        level, summary = aged(now, level, f"{percent:.1f} % available")
        yield finding("mem.available", level, summary, "end or move a process, or add swap", name="memory")
    elif now.status in NOT_READ and not is_awaited(now):
        yield finding("mem.available", Level.UNKNOWN, f"not read: {now.reason or now.status}", name="memory")
    if now.status in NOT_READ:
        return
    if now.psi_full_avg10 is not None:
        level = case.level("mem.psi", "", now.psi_full_avg10)
        summary = f"pressure {now.psi_full_avg10:.0f} %"
        yield finding("mem.psi", level, summary, "processes wait for memory", name="memory")
    if now.swap_total_bytes and now.swap_used_bytes is not None:
        percent = 100.0 * now.swap_used_bytes / now.swap_total_bytes
        level = case.level("mem.swap", "", percent)
        if level is Level.CRITICAL and not psi:
            level = Level.WARNING  # full of what nobody asks back
        yield finding("mem.swap", level, f"{percent:.0f} % used", name="swap")


def disks(case: Case) -> Iterator[Finding]:
    """The `disk.*` family, a mount at a time; a stuck mount is one finding."""
    for disk in case.snapshot.disks:
        expected = disk.mount in case.limits.mounts
        if disk.status is Status.TIMEOUT:
            summary = disk.reason or f"no answer, last read {age(disk)}"
            level = Level.CRITICAL if expected else Level.WARNING
            action = "check its server or device: what touches it hangs"
            yield finding("disk.mount_stuck", level, summary, action, target=disk.mount)
        elif disk.status in (Status.ABSENT, Status.LOST):
            yield finding("disk.mount_missing", Level.CRITICAL, "not mounted", "mount it", target=disk.mount)
        else:
            yield from _space(case, disk)
            yield from _inodes(case, disk)
            yield from _readonly(case, disk)


def _space(case: Case, disk: Disk) -> Iterator[Finding]:
    check = "disk.shm" if disk.mount == SHARED_MEMORY else "disk.space"
    if disk.used_percent is None:
        if disk.status in NOT_READ and not is_awaited(disk):
            summary = f"not read: {disk.reason or disk.status}"
            yield finding(check, Level.UNKNOWN, summary, target=disk.mount)
        return
    free = None if disk.mount in _NEVER_BEARABLE else disk.available_bytes
    level = case.level(check, disk.mount, disk.used_percent, free)
    left = "" if disk.available_bytes is None else f", {disk.available_bytes / (1 << 30):.1f} GiB free"
    level, summary = aged(disk, level, f"{disk.used_percent:.0f} % used{left}")
    action = "data loaders die when it is full" if check == "disk.shm" else "free space"
    yield finding(check, level, summary, action, target=disk.mount)


def _inodes(case: Case, disk: Disk) -> Iterator[Finding]:
    if disk.inodes_used_percent is not None and disk.status not in NOT_READ:
        level = case.level("disk.inodes", disk.mount, disk.inodes_used_percent)
        summary = f"{disk.inodes_used_percent:.0f} % of inodes used"
        yield finding("disk.inodes", level, summary, "remove small files", target=disk.mount)


def _readonly(case: Case, disk: Disk) -> Iterator[Finding]:
    """A local file system that is read-only is suspect; one that became so under our eyes has failed.

    A network mount or an overlay is often read-only by intent.
    """
    if disk.is_readonly is None or disk.status in NOT_READ:
        return
    if disk.is_network or disk.fstype == "overlay":
        return
    was_writable = case.memory is not None and case.memory.is_known("disk.readonly", disk.mount, Level.OK)
    level = Level.OK
    if disk.is_readonly:
        level = Level.CRITICAL if was_writable else Level.WARNING
        if case.memory is not None:
            level = max(level, case.memory.level("disk.readonly", disk.mount))
    if case.memory is not None:
        case.memory.keep("disk.readonly", disk.mount, level)
    yield finding("disk.readonly", level, "read-only", "see the kernel log, then fsck", target=disk.mount)
