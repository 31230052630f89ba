"""Readers of earlier runs that are stuck at something still: nobody is sent after them (D2).

A run that ends leaves behind what no signal ends. So that twenty runs leave one such child and not twenty, a reader
carries what it is at in its `comm`, and the next run looks there before it asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator

from mltop.sampling.host.disk import Space, read_space
from mltop.sampling.kin import kin
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.process import STUCK_AT, name_at, set_name

_PREFIX = STUCK_AT.encode()
STUCK_S = 3.0
"""One in state D that lives for longer is stuck: a run gives a mount 2 s."""


def read_space_by_name(path: bytes) -> Space:
    """Ask the file system, for a reader's child, which is known by the mount meanwhile. Raises OSError."""
    call_reader(path)
    return read_space(path)


def call_reader(item: bytes) -> None:
    """Name this process by what it is about to read."""
    set_name(_comm(item).decode())


def stuck_readers(roots: Roots, items: Iterable[bytes]) -> dict[bytes, int]:
    """Those of the items at which a reader of this user is stuck, and its pid."""
    names = {_comm(item): item for item in items}
    return {names[comm]: pid for pid, comm in _old_readers(roots) if comm in names}


def _comm(item: bytes) -> bytes:
    return name_at(item).encode()


def _old_readers(roots: Roots) -> Iterator[tuple[int, bytes]]:
    try:
        now_s = uptime_s(roots)
    except (OSError, ValueError, IndexError):
        return
    ticks = os.sysconf("SC_CLK_TCK")
    for one in kin(roots.proc, _PREFIX):
        if one.state == b"D" and now_s - one.started_ticks / ticks > STUCK_S:
            yield one.pid, one.comm


def uptime_s(roots: Roots) -> float:
    """Seconds of the clock by which processes start: in a container lxcfs has another /proc/uptime, which may hang.

    Raises OSError, ValueError and IndexError.
    """
    if roots.proc == Roots().proc:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return float(read_bytes(roots.proc / "uptime", 64).split()[0])
