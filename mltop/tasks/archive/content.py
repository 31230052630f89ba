"""The content of one source file: opened without following, hashed while it is read, and watched for changes.

The same descriptor is asked before and after. When the file moved meanwhile, its first bytes are read again: if they
hash the same, what was read is consistent (a log that grew, a file that was only touched); if not, it was rewritten.
"""

# Descriptors

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.far import opened
from mltop.tasks.archive.header import Extent
from mltop.tasks.outcome import os_reason

_TICK_S = 0.02
"""Two writes within one tick of the kernel's clock leave the same time on a file; this is a few of its ticks."""
_SPARSE_MIN = 64 << 10
EXTENTS_MAX = 1 << 16
"""Of one file: the small holes of one with more are stored as zeros, so that neither its map nor its reader grows."""
ZEROS = memoryview(bytes(BLOCK))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the content: its hash as stored, and whether it can be trusted."""

    sha256: str
    status: str
    reason: str | None = None


class Content:
    """An open source file."""

    def __init__(self, path: str, follow: bool = False) -> None:
        """Open `path`; raises `OSError`."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        try:
            self._fd = opened(path, flags | os.O_NOATIME)
        except PermissionError:  # O_NOATIME is for the owner
            self._fd = opened(path, flags)
        self.status = os.fstat(self._fd)
        if 0 <= time.time_ns() - self.status.st_ctime_ns < _TICK_S * 1e9:
            # so that a change from now on gets another time
            time.sleep(_TICK_S)
            self.status = os.fstat(self._fd)
        self.size = self.status.st_size
        self._digest = hashlib.sha256()
        self._fault: str | None = None

    @property
    def descriptor(self) -> int:
        """What it is open as."""
        return self._fd

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def extents(self) -> list[Extent] | None:
        """Return where the data of a sparse file is, or `None` when it has no holes worth it."""
        if self.size < _SPARSE_MIN or self.status.st_blocks * 512 > self.size - 2 * 4096:
            return None
        found: list[Extent] = []
        gap = 0
        position = 0
        try:
            while position < self.size:
                try:
                    start = os.lseek(self._fd, position, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nothing but a hole to the end
                        break
                    raise
                if start >= self.size:
                    break
                position = min(self.size, os.lseek(self._fd, start, os.SEEK_HOLE))
                if position <= start:
                    return None
                _add(found, start, position, gap)
                if len(found) > EXTENTS_MAX:
                    found, gap = _joined(found)
        except OSError:
            return None  # a file system without holes: stored as it reads
        return found

    def whole(self) -> bytes:
        """Return all of a small file, filled up with zeros where it has become shorter."""
        try:
            data = os.pread(self._fd, self.size, 0) if self.size else b""
        except OSError:
            data = b""
        if len(data) < self.size:  # cut short, or unreadable: `blocks` finds out which
            return b"".join(bytes(piece) for piece in self.blocks([(0, self.size)]))
        self._digest.update(data)
        return data

    def blocks(self, extents: list[Extent]) -> Iterator[memoryview]:
        """Yield the data of `extents`, exactly as many bytes as they say; the view is valid until the next one.

        Gaps are hashed as zeros. After the last block `taken` tells what it is worth.
        """
        buffer = memoryview(bytearray(min(BLOCK, max(1, self.size))))
        position = 0
        for offset, length in extents:
            self._hash_zeros(offset - position)
            position = offset
            while position < offset + length:
                view = buffer[: min(len(buffer), offset + length - position)]
                count = self._read(view, position)
                view[count:] = ZEROS[: len(view) - count]
                self._digest.update(view)
                yield view
                position += len(view)
        self._hash_zeros(self.size - position)

    def taken(self, still_wanted: Callable[[], None]) -> Taken:
        """Return the verdict on what was read; `still_wanted` raises when the caller has given up."""
        sha256 = self._digest.hexdigest()
        if self._fault is not None:
            kind, _, reason = self._fault.partition(":")
            return Taken(sha256, kind, reason)
        now = os.fstat(self._fd)
        was = self.status
        if (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == (was.st_size, was.st_mtime_ns, was.st_ctime_ns):
            return Taken(sha256, "ok")
        if now.st_size < was.st_size:
            return Taken(sha256, "changed", "it became shorter while it was read")
        try:
            again = self._hash_again(still_wanted)
        except OSError as error:
            return Taken(sha256, "changed", f"it was written to, and could not be read again: {os_reason(error)}")
        if again != sha256:
            return Taken(sha256, "changed", "it was written to while it was read")
        grew = f"it grew while it was read: the first {was.st_size} bytes are in the archive"
        return Taken(sha256, "ok", grew if now.st_size > was.st_size else None)

    def _read(self, view: memoryview, position: int) -> int:
        count = 0
        while count < len(view) and self._fault is None:
            try:
                got = os.preadv(self._fd, [view[count:]], position + count)
            except OSError as error:
                self._fault = f"unreadable:{(error.strerror or 'error').lower()} at byte {position + count}"
                break
            if not got:
                self._fault = "changed:it became shorter while it was read"
            count += got
        return count

    def _hash_zeros(self, count: int) -> None:
        while count > 0:
            piece = min(count, len(ZEROS))
            self._digest.update(ZEROS[:piece])
            count -= piece

    def _hash_again(self, still_wanted: Callable[[], None]) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(BLOCK))
        position = 0
        while position < self.size:
            still_wanted()
            got = os.preadv(self._fd, [buffer[: min(BLOCK, self.size - position)]], position)
            if not got:
                break
            digest.update(buffer[:got])
            position += got
        return digest.hexdigest()


def _add(found: list[Extent], start: int, end: int, gap: int) -> None:
    """Add an extent, as part of the last one where no more than `gap` bytes lie between."""
    if found and start - sum(found[-1]) <= gap:
        start = found.pop()[0]
    found.append((start, end - start))


def _joined(extents: list[Extent]) -> tuple[list[Extent], int]:
    """Return extents joined over the smaller half of their holes, and the size of a hole that is none any more."""
    holes = sorted(after[0] - sum(before) for before, after in pairwise(extents))
    gap = holes[len(holes) // 2]
    found: list[Extent] = []
    for start, length in extents:
        _add(found, start, start + length, gap)
    return found, gap
