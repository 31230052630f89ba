"""A probe of an earlier mltop that is stuck in the driver still: no second one goes in after it (D2, M10)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mltop.sampling.root import Roots

_COMM = b"mltop-probe"


def stuck_probes(roots: Roots, mine: int | None = None) -> frozenset[int]:
    """Pids of this user's probes that wait in the kernel (state D), or whose parent is gone, but for `mine`.

    State D alone may also be a healthy call of the moment: who asks looks twice. Reads `stat` and nothing else (M12).
    """
    return frozenset(pid for pid, state, parent in _probes(roots) if pid != mine and _is_stuck(roots, state, parent))


def _is_stuck(roots: Roots, state: bytes, parent: int) -> bool:
    if state in (b"Z", b"X"):
        return False
    return state == b"D" or (parent == 1 and not _is_mltop(roots.proc / "1/comm"))


def _probes(roots: Roots) -> Iterator[tuple[int, bytes, int]]:
    """pid, state and parent of each probe of this user."""
    try:
        entries = list(os.scandir(roots.proc))
    except OSError:
        return
    for entry in entries:
        if not entry.name.isdecimal():
            continue
        try:
            line = (Path(entry.path) / "stat").read_bytes()
            comm, fields = line[line.index(b"(") + 1 : line.rindex(b")")], line[line.rindex(b")") + 2 :].split()
            if comm == _COMM and entry.stat().st_uid == os.geteuid():
                yield int(entry.name), fields[0], int(fields[1])
        except (OSError, ValueError, IndexError):
            continue  # gone meanwhile


def _is_mltop(comm: Path) -> bool:
    """In a container the first process may be an mltop, and its probe no orphan."""
    try:
        return comm.read_text().startswith(("mltop", "python"))
    except OSError:
        return False
