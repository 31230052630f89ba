"""Whether a file can be touched: one on a dead mount holds whoever asks, and no signal ends that (D1)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from mltop.system.process import fork_child

MOUNT_S = 2.0
"""A mount that takes longer does not answer, as for the disks."""
_ANSWERING = frozenset(
    b"bpf btrfs cgroup cgroup2 configfs debugfs devpts devtmpfs ext2 ext3 ext4 fusectl hugetlbfs mqueue overlay proc "
    b"pstore ramfs securityfs squashfs sysfs tmpfs tracefs vfat xfs zfs".split()
)
"""Types of which nobody has to ask more: the usual mounts of a box, most of them without a disk."""
KERNEL_FILES = (Path("/proc/meminfo"), Path("/proc/stat"), Path("/proc/uptime"), Path("/proc/loadavg"))
"""What a verdict reads by itself, and lxcfs lays its own over: a FUSE program that may hang."""
_STEPS_MAX = 400
"""Names and links on the way to a file: more of them go round in circles."""


def dead_mount(paths: Iterable[Path], limit_s: float) -> tuple[Path, str] | None:
    """The first of these files that is on a mount which does not answer in time, and that mount; usually `None`.

    Only what may hang (a network's mount, FUSE, autofs) is asked, by a child that is left behind where it does.
    """
    hanging = _may_hang()
    if not hanging:
        return None
    for path in paths:
        mount = _on_the_way(path, hanging)
        if mount is not None and not _answers(path, os.fsencode(mount), min(limit_s, MOUNT_S)):
            return path, mount
    return None


def may_hang(paths: Iterable[Path]) -> bool:
    """Whether a file of these is on a mount that may not answer one day, whether it does now or not."""
    hanging = _may_hang()
    return bool(hanging) and any(_on_the_way(path, hanging) is not None for path in paths)


def _may_hang() -> frozenset[str]:
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().split(b"\n")
    except OSError:
        return frozenset()
    others = [line for line in lines if line.partition(b" - ")[2].partition(b" ")[0] not in _ANSWERING]
    if not any(others):
        return frozenset()
    from mltop.sampling.host.mount import parse

    mounts = parse(b"\n".join(others))
    return frozenset(one.path for one in mounts if one.is_network or one.fstype.startswith(("fuse", "autofs")))


def _on_the_way(path: Path, mounts: Collection[str]) -> str | None:
    """The first of the mounts that a look-up of this path would enter; touches nothing beyond it."""
    here, names = "/", list(reversed(path.absolute().parts[1:]))
    for _ in range(_STEPS_MAX):
        if here in mounts:
            return here
        if not names:
            return None
        name = names.pop()
        above, here = here, os.path.dirname(here) if name == ".." else os.path.join(here, name)  # noqa: PTH118, PTH120
        if here in mounts:
            return here
        try:
            target = os.readlink(here)  # noqa: PTH115
        except OSError:
            continue  # no link, or nothing there
        names += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        here = "/" if target.startswith("/") else above
    return None


def _answers(path: Path, mount: bytes, limit_s: float) -> bool:
    from mltop.sampling.host.stuck_mount import read_space_by_name, stuck_readers
    from mltop.sampling.root import Roots

    if stuck_readers(Roots(), [mount]):
        return False

    def touch(_: int, write_fd: int) -> None:
        read_space_by_name(mount)
        os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1)

    child = fork_child(touch)
    is_back = child.heard(max(0.05, limit_s)) is not None  # its end of the pipe closes, whatever came of it
    child.leave()
    return is_back
