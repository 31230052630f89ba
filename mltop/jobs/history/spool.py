"""Runs that could not be written to the table: JSON lines, taken in by the next writer that can (exactly once)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mltop.jobs.history.entry import Entry
from mltop.jobs.place import make, memory_folder
from mltop.system.file import append, lock_within

MAX_BYTES = 16 << 20
"""A table that nobody mends for a year does not fill the disk."""
_NAME_MAX = 200
PATIENCE_S = 3.0
"""The lock is held for a write or for one transaction."""


def spool(path: Path, entry: Entry) -> None:
    """Append an entry in one piece; raises OSError."""
    from mltop.jobs.history.line import encode

    make(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        lock_within(descriptor, PATIENCE_S)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        if os.fstat(descriptor).st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, "the spool is full", str(path))
        append(descriptor, encode(entry))
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Entry]:
    """What is spooled, in order; a torn line is passed over. Raises OSError where it is there and cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    try:
        return list(_decoded(_content(descriptor)))
    finally:
        os.close(descriptor)


def in_memory(state: Path) -> Path:
    """Where an entry waits that the state has no room for at all (D26): gone with the box, and taken in like a spool.

    A look makes nothing, and believes nothing that is not in a folder of our own.
    """
    name = os.fsencode(state.absolute()).replace(b"%", b"%25").replace(b"/", b"%2f")
    return memory_folder() / f"spool-{os.fsdecode(name[-_NAME_MAX:])}.jsonl"


class Spooled:
    """What is spooled, locked until `close`: nobody appends between the reading and the emptying.

    After a crash between the commit and `clear` the same entries come again: store an entry twice as once.
    """

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            self._descriptor = -1  # not there; or not ours to empty: left to who can
            return
        try:
            lock_within(self._descriptor, PATIENCE_S)
            self.entries += _decoded(_content(self._descriptor))
        except OSError:
            self.close()

    def clear(self) -> None:
        """Empty it; raises OSError."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _content(descriptor: int) -> bytes:
    data = b""
    while block := os.pread(descriptor, 1 << 20, len(data)):
        data += block
    return data


def _decoded(data: bytes) -> Iterator[Entry]:
    if not data:
        return
    from mltop.jobs.history.line import decode

    for line in data.splitlines():
        with contextlib.suppress(ValueError):  # torn
            yield decode(line)
