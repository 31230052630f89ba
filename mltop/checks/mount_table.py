"""Mounts that are gone and mounts that became read-only, by fstab, by the kernel's mount table and by its log."""

from __future__ import annotations

from collections.abc import Container, Iterator

from mltop.checks.case import NOT_READ, Case, judgement, skip
from mltop.checks.fact import ago, facts, unread
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import KernelEvent, MountTable, TableMount
from mltop.model.snapshot import Disk, Status

_FSCK = "see the kernel log, then fsck"


def expected(case: Case) -> Iterator[Judgement]:
    """`disk.mount_missing`: what the config and fstab expect; of another box its snapshot says what is gone."""
    lost = {disk.mount for disk in case.snapshot.disks if disk.status is Status.LOST}  # told where they are judged
    if case.surroundings is not None and case.limits.mounts:
        yield from _by_config(case, case.surroundings.mounts, lost)
    table = facts(case).mount_table
    told = False
    if table is not None and table.status is Status.OK:
        for mount in table.expected:
            if mount.path not in case.limits.mounts and mount.path not in lost:
                told = True
                yield _by_fstab(mount)
    elif table is not None and (table.status in NOT_READ or table.status is Status.NO_PERMISSION):
        told = True
        yield unread("disk.mount_missing", table, name="fstab")
    if not told and not case.limits.mounts and not lost:
        # asked for or not, there is nothing to miss
        words = "no mounts are expected (expect.mounts, fstab)"
        yield skip("disk.mount_missing", words, name="mounts", reason="unsupported")


def _by_config(case: Case, mounts: frozenset[str] | None, lost: Container[str]) -> Iterator[Judgement]:
    for mount in case.limits.mounts:
        if mount in lost:
            continue
        if mounts is None:
            summary = "not read: /proc/self/mountinfo"
            yield judgement("disk.mount_missing", Level.UNKNOWN, summary, target=mount, reason="error")
        elif mount in mounts:
            yield judgement("disk.mount_missing", Level.OK, "mounted", target=mount)
        else:
            yield missing(mount)


def _by_fstab(mount: TableMount) -> Judgement:
    """`nofail` allows its device to be away (mount(8)), not to be there and not mounted: that is a WARNING."""
    if mount.is_mounted:
        return judgement("disk.mount_missing", Level.OK, "mounted", target=mount.path)
    if mount.may_be_absent:
        return skip("disk.mount_missing", "its device is not there, which fstab allows (nofail)", target=mount.path)
    level = Level.WARNING if mount.is_optional else Level.CRITICAL
    summary = "not mounted, though fstab has it"
    return judgement("disk.mount_missing", level, summary, f"mount {mount.path}", target=mount.path, reason="absent")


def missing(mount: str) -> Judgement:
    """A mount that is expected and is not there."""
    return judgement("disk.mount_missing", Level.CRITICAL, "not mounted", "mount it", target=mount, reason="absent")


def gone(case: Case, disk: Disk) -> Judgement:
    """One that is mounted, and has nothing behind it any more: CRITICAL where the config or fstab wants it."""
    table = facts(case).mount_table
    wanted = {one.path for one in table.expected if not one.is_optional} if table is not None else set()
    level = Level.CRITICAL if disk.mount in wanted or disk.mount in case.limits.mounts else Level.WARNING
    summary, action = f"mounted, and gone: {disk.reason or 'lost'}", "see its server or device, then mount it anew"
    return judgement("disk.mount_missing", level, summary, action, target=disk.mount, reason="lost")


def is_to_be_written(case: Case, disk: Disk) -> bool:
    """Whether fstab has it, and not read-only."""
    table = facts(case).mount_table
    return table is not None and any(one.path == disk.mount and not one.is_readonly for one in table.expected)


def readonly(case: Case, disk: Disk) -> Judgement:
    """`disk.readonly` of a local file system that was read.

    With the mount table it is known who made it so: the kernel after an error, or somebody by intent, which is no
    fault unless fstab wants it writable. From a snapshot alone one that is read-only is suspect, and one that became
    so under our eyes has failed.
    """
    table = facts(case).mount_table
    if table is not None and table.status is Status.OK:
        return _by_table(case, disk, table)
    was_writable = case.memory is not None and case.memory.is_known("disk.readonly", disk.mount, Level.OK)
    level = Level.OK
    if disk.is_readonly:
        level = Level.CRITICAL if was_writable else Level.WARNING
        if case.memory is not None:
            level = max(level, case.memory.level("disk.readonly", disk.mount))
    if case.memory is not None:
        case.memory.keep("disk.readonly", disk.mount, level)
    summary = "read-only" if disk.is_readonly else "writable"
    return judgement("disk.readonly", level, summary, _FSCK, target=disk.mount, reason="read-only")


def _by_table(case: Case, disk: Disk, table: MountTable) -> Judgement:
    found = next((one for one in table.readonly if one.path == disk.mount), None)
    if found is None:
        return judgement("disk.readonly", Level.OK, "writable", target=disk.mount)
    event = _remounted(case, found.device)
    wanted = next((one for one in table.expected if one.path == disk.mount), None)
    if event is not None:
        summary = f"made read-only by the kernel {ago(event.age_s)}"
    elif found.is_by_kernel:
        summary = "made read-only by the kernel"
    elif wanted is not None and not wanted.is_readonly:
        summary = "read-only, though fstab has it writable"
    else:
        return judgement("disk.readonly", Level.OK, "read-only, as it was mounted", target=disk.mount)
    data = {"device": found.device}
    return judgement("disk.readonly", Level.CRITICAL, summary, _FSCK, target=disk.mount, reason="read-only", data=data)


def _remounted(case: Case, device: str) -> KernelEvent | None:
    """The last time that the kernel shut off writing to this device."""
    log = facts(case).kernel_log
    events = [] if log is None else [one for one in log.events if one.kind == "readonly" and one.subject == device]
    return events[-1] if events and device else None
