"""The mounts: space, inodes, and whether they are there, answer and can be written to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mltop.checks.case import NOT_READ, Case, age, judgement, skip, surviving
from mltop.checks.disk_eta import eta, forget_old
from mltop.checks.disk_health import health
from mltop.checks.judgement import Judgement
from mltop.checks.mount_table import expected, gone, is_to_be_written, missing, readonly
from mltop.model.finding import Level
from mltop.model.snapshot import Disk, Status

SHARED_MEMORY = "/dev/shm"
_NEVER_BEARABLE = frozenset({"/", "/var", "/var/lib/docker"})
"""Here a full disk stops the box, however large it is: `unless_free` does not count."""


def disks(case: Case) -> Iterator[Judgement]:
    """The `disk.*` family, a mount at a time; a stuck mount is one finding."""
    yield from expected(case)
    for disk in case.snapshot.disks:
        if disk.status is Status.TIMEOUT:
            yield _stuck(case, disk)
        elif disk.status is Status.ABSENT:
            yield missing(disk.mount)
        elif disk.status is Status.LOST:
            yield gone(case, disk)
        else:
            yield _answers(case, disk)
            for check, one in _OF_ONE.items():
                if disk.mount == SHARED_MEMORY and check == "disk.eta":
                    continue
                named = "disk.shm" if disk.mount == SHARED_MEMORY and check == "disk.space" else check
                # map: called in there, where it may fail
                yield from surviving(map(one, [case], [disk]), [named], target=disk.mount)
    if not any(disk.mount == SHARED_MEMORY for disk in case.snapshot.disks):
        yield skip("disk.shm", f"no {SHARED_MEMORY}", target=SHARED_MEMORY)
    forget_old(case)
    yield from health(case)


def _answers(case: Case, disk: Disk) -> Judgement:
    """What was not asked, or failed, has not answered: its space tells that."""
    if disk.status in NOT_READ or disk.status is Status.NO_PERMISSION:
        return _quiet(case.unread("disk.mount_stuck", disk, "answer", target=disk.mount))
    return judgement("disk.mount_stuck", Level.OK, "answers", target=disk.mount)


def _stuck(case: Case, disk: Disk) -> Judgement:
    summary = disk.reason or f"no answer, last read {age(disk)}"
    before = case.surroundings.stuck_before if case.surroundings is not None else frozenset()
    level = Level.CRITICAL if disk.mount in case.limits.mounts or disk.mount in before else Level.WARNING
    action = "check its server or device: what touches it hangs"
    return judgement("disk.mount_stuck", level, summary, action, target=disk.mount, reason="timeout")


def _space(case: Case, disk: Disk) -> Judgement:
    check = "disk.shm" if disk.mount == SHARED_MEMORY else "disk.space"
    if disk.used_percent is None:
        return case.unread(check, disk, "size", target=disk.mount)
    free = None if disk.mount in _NEVER_BEARABLE else disk.available_bytes
    left = "" if disk.available_bytes is None else f", {disk.available_bytes / (1 << 30):.1f} GiB free"
    summary = f"{disk.used_percent:.0f} % used{left}" + (", read-only" if disk.is_readonly else "")
    action = "data loaders die when it is full" if check == "disk.shm" else "free space"
    return case.measured(
        check, disk.used_percent, summary, action, target=disk.mount, free=free, most=_most(disk), group=disk
    )


def _inodes(case: Case, disk: Disk) -> Judgement:
    percent = disk.inodes_used_percent
    if percent is None or disk.status in NOT_READ:
        return _quiet(case.unread("disk.inodes", disk, "count of inodes", target=disk.mount))
    summary = f"{percent:.0f} % of inodes used"
    return case.measured("disk.inodes", percent, summary, "remove small files", target=disk.mount, most=_most(disk))


def _most(disk: Disk) -> Level:
    """Nothing fills what nobody can write, as an image that is full to its last block (node mixin)."""
    from mltop.sampling.host.mount import IMAGE_TYPES

    return Level.OK if disk.is_readonly or disk.fstype in IMAGE_TYPES else Level.CRITICAL


def _readonly(case: Case, disk: Disk) -> Judgement:
    """A network mount or an overlay is often read-only by intent, unless fstab has it writable."""
    if disk.is_readonly is None or disk.status in NOT_READ:
        return _quiet(case.unread("disk.readonly", disk, "word on being writable", target=disk.mount))
    if (disk.is_network or disk.fstype == "overlay") and not (disk.is_readonly and is_to_be_written(case, disk)):
        what = "a network mount" if disk.is_network else "an overlay"
        return skip("disk.readonly", f"{what} may be read-only by intent", target=disk.mount, reason="unsupported")
    return readonly(case, disk)


def _quiet(unread: Judgement) -> Judgement:
    """That a mount was not read is told once, by its space."""
    return msgspec.structs.replace(unread, is_quiet=True)


_OF_ONE = {"disk.space": _space, "disk.inodes": _inodes, "disk.eta": eta, "disk.readonly": _readonly}
"""What is judged of each mount that answers."""
