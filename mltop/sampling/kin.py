"""Processes of mltop, of this run and of earlier ones, by the names that they give themselves (D2).

Of each process `comm` is read, of those with such a name `stat`, and nothing else: neither waits for a process in
trouble (M12). A box may have thousands, so one look serves all who ask at about the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from mltop.sampling.source import read_bytes

_PREFIX = b"mltop-"
_FRESH_S = 0.2
"""A child that got stuck in this time is not one of an earlier run."""


class Kin(msgspec.Struct, frozen=True):
    """One process of this user."""

    pid: int
    comm: bytes
    state: bytes
    """One letter of `stat`."""
    parent: int
    started_ticks: int
    """After the boot, in clock ticks; 0 where that is not told."""


_looked: dict[str, tuple[float, list[str]]] = {}
"""By the root of procfs: when it was looked through, and the pids that were found."""


def kin(proc: Path, prefix: bytes) -> Iterator[Kin]:
    """This user's processes whose name begins so; what is gone meanwhile is left out."""
    root = str(proc)
    for pid in _named(root):
        try:
            line = read_bytes(f"{root}/{pid}/stat")
            end = line.rindex(b")")
            comm, fields = line[line.index(b"(") + 1 : end], line[end + 2 :].split()
            if comm.startswith(prefix) and os.stat(f"{root}/{pid}").st_uid == os.geteuid():  # noqa: PTH116
                started = int(fields[19]) if len(fields) > 19 else 0
                yield Kin(int(pid), comm, fields[0], int(fields[1]), started)
        except (OSError, ValueError, IndexError):
            continue


def _named(root: str) -> list[str]:
    looked_at, pids = _looked.get(root, (-_FRESH_S, []))
    now = time.monotonic()
    if now - looked_at >= _FRESH_S:
        pids = [pid for pid in _pids(root) if _is_named(f"{root}/{pid}")]
        _looked[root] = now, pids
    return pids


def _pids(root: str) -> list[str]:
    try:
        return [name for name in os.listdir(root) if name.isdecimal()]  # noqa: PTH208
    except OSError:
        return []


def _is_named(folder: str) -> bool:
    """Whether it is called so, or may be: `comm` takes the kernel far less than `stat`, which has the name too."""
    try:
        return read_bytes(f"{folder}/comm", 16).startswith(_PREFIX)
    except OSError:
        return os.path.exists(f"{folder}/stat")  # noqa: PTH110
