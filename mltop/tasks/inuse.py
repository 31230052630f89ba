"""What processes hold: open and mapped files, working folders, locked files.

Only text of `/proc` is read. Nothing is asked of the files themselves: a `stat` through `/proc/PID/fd` hangs with a
dead mount. Inode numbers stand without their device: a file of another file system with the same number is left alone
too, which costs nothing but a later turn.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

_STALE_S = 1.0
_SHARE = 20
"""Of the time at most one part in so many is for asking: a box may have ten thousand processes."""
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, slots=True)
class InUse:
    """What is held now."""

    inodes: frozenset[int]
    paths: frozenset[str]
    """What descriptors and working folders are called; for kernels whose fdinfo has no inode (before 5.14)."""
    locked: frozenset[int]
    """Inodes with a flock or a POSIX lock."""
    blind: int
    """Processes that this user may not look into."""

    def holds(self, inode: int, path: str) -> bool:
        """Whether a file or folder is open, mapped, or some process's working folder."""
        return inode in self.inodes or path in self.paths


def in_use(proc: Path = Path("/proc")) -> InUse:
    """Return what is held by all processes that can be seen."""
    inodes: set[int] = set()
    paths: set[str] = set()
    blind = 0
    for process in proc.iterdir():
        if process.name.isdigit():
            try:
                _look_into(process, inodes, paths)
            except PermissionError:
                blind += 1
            except _GONE:
                continue
    return InUse(frozenset(inodes), frozenset(paths), _locked(proc), blind)


class Held:
    """What is held, asked again about every second: much may be opened while a long list is gone through."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._ask()

    def holds(self, inode: int, path: str) -> bool:
        """Whether a file is open, mapped or locked."""
        if time.monotonic() >= self._next:
            self._ask()
        return self._now.holds(inode, path) or inode in self._now.locked

    def _ask(self) -> None:
        began = time.monotonic()
        self._now = in_use(self._proc)
        done = time.monotonic()
        self._next = done + max(_STALE_S, _SHARE * (done - began))


def _look_into(process: Path, inodes: set[int], paths: set[str]) -> None:
    with contextlib.suppress(*_GONE):
        paths.add(str((process / "cwd").readlink()))
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(*_GONE):
            name = str(descriptor.readlink())
            if name.startswith("/"):
                paths.add(name)
                _add_inode(process / "fdinfo" / descriptor.name, inodes)
    for line in (process / "maps").read_bytes().splitlines():
        fields = line.split(None, 5)  # address, permissions, offset, device, inode, path (proc(5))
        if len(fields) == 6 and fields[4] != b"0":
            inodes.add(int(fields[4]))


def _add_inode(fdinfo: Path, inodes: set[int]) -> None:
    for line in fdinfo.read_bytes().splitlines():
        if line.startswith(b"ino:"):
            inodes.add(int(line[4:]))
            return


def _locked(proc: Path) -> frozenset[int]:
    """Return the inodes in `/proc/locks` (`1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END`)."""
    found = set()
    with contextlib.suppress(OSError):
        for line in (proc / "locks").read_text("ascii", "replace").splitlines():
            for field in line.split():
                if field.count(":") == 2 and field.rpartition(":")[2].isdigit():
                    found.add(int(field.rpartition(":")[2]))
    return frozenset(found)
