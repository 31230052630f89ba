"""`/dev/shm` of containers in which a process holds a GPU: 64 MB by default, and a data loader dies when it is full."""

from __future__ import annotations

import os

from mltop.model.host_facts import SharedMemory
from mltop.model.snapshot import Status
from mltop.sampling.host.proc_stat import UNREADABLE_STATES, parse_stat, read_container
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes

_OWN = SharedMemory(status=Status.ABSENT, reason="it has this box's own")


def read_shared_memory(roots: Roots, pid: int) -> SharedMemory:
    """The one that a process sees, for a reader's child: the mount may hang.

    ABSENT where that is the box's own, UNSUPPORTED where the process is not in a state to be asked (M12). Raises
    OSError: another user's needs root.
    """
    process = roots.proc / str(pid)
    if parse_stat(read_bytes(process / "stat", 1024)).state in UNREADABLE_STATES:
        return SharedMemory(status=Status.UNSUPPORTED, reason="its process does not answer", pid=pid)
    if (process / "ns/mnt").readlink() == (roots.proc / "self/ns/mnt").readlink():
        return _OWN
    path = process / "root/dev/shm"
    numbers = os.statvfs(path)
    if path.stat().st_dev == os.stat("/dev/shm").st_dev or not numbers.f_blocks:  # noqa: PTH116 - beside statvfs
        return _OWN
    used, available = numbers.f_blocks - numbers.f_bfree, numbers.f_bavail
    return SharedMemory(
        age_s=0.0,
        container=read_container(roots, pid) or f"pid {pid}",
        pid=pid,
        used_percent=100.0 * used / (used + available) if used + available else None,
        total_bytes=numbers.f_blocks * numbers.f_frsize,
        available_bytes=available * numbers.f_frsize,
    )
