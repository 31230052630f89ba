"""A log of any size by bytes and offsets: read where it is looked at, never as a whole. Knows nothing of screens."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

LONGEST = 16 << 10
"""Bytes of a line; a longer one is read in pieces."""
_BLOCK = 1 << 20
ERRORS = (
    b"error", b"fail", b"fatal", b"exception", b"traceback", b"denied", b"cannot", b"no space", b"not found", b"panic",
    b"critical", b"killed",
)  # fmt: skip
"""What a line that speaks of an error holds, in whatever case."""
OWN = b"# mltop "
"""Begins the lines that the wrapper writes itself."""

Line = tuple[int, bytes]
"""Where it begins, and its bytes without the line end."""


class LogFile:
    """One log, open for reading. Every method raises OSError."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise OSError(22, "not a plain file", str(path))

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    @property
    def size(self) -> int:
        """Bytes it has now."""
        return os.fstat(self._fd).st_size

    def after(self, offset: int, count: int) -> list[Line]:
        """At most `count` lines from the one on that begins at `offset`."""
        lines: list[Line] = []
        while len(lines) < count:
            data = os.pread(self._fd, LONGEST, offset)
            if not data:
                break
            end = data.find(b"\n")
            lines.append((offset, data if end < 0 else data[:end]))
            offset += len(data) if end < 0 else end + 1
        return lines

    def before(self, offset: int, count: int) -> list[Line]:
        """At most `count` lines that end before `offset`, in their order."""
        lines: list[Line] = []
        while len(lines) < count and offset > 0:
            start = self._start(offset)
            data = os.pread(self._fd, offset - start, start)
            if not data:
                break
            lines.append((start, data.removesuffix(b"\n")))
            offset = start
        return lines[::-1]

    def _start(self, end: int) -> int:
        """Where the line begins whose bytes end at `end`, its line end with them."""
        low = max(0, end - LONGEST - 1)
        data = os.pread(self._fd, end - 1 - low, low)
        return low + data.rfind(b"\n") + 1

    def first(self, needles: Sequence[bytes], offset: int, *, is_foreign: bool = False) -> int | None:
        """Where the first line begins, at `offset` or behind it, that holds one of some texts, in any case (ASCII).

        Ten times as fast as one regular expression for all of them.
        """
        while block := self._block(offset):
            found = _first(block, needles, is_foreign=is_foreign)
            if found is not None:
                return offset + found
            offset += len(block)
        return None

    def last(self, needles: Sequence[bytes], offset: int) -> int | None:
        """Where the last line begins, before `offset`, that holds one of them."""
        while offset > 0:
            low = max(0, offset - _BLOCK)
            low = self._start(low + 1) if low else 0
            block = os.pread(self._fd, offset - low, low)
            lowered = block.lower()
            at = max(lowered.rfind(needle.lower()) for needle in needles)
            if at >= 0:
                return low + block.rfind(b"\n", 0, at) + 1
            offset = low
        return None

    def _block(self, offset: int) -> bytes:
        """Whole lines from an offset on; a line longer than a block in pieces."""
        block = os.pread(self._fd, _BLOCK, offset)
        end = block.rfind(b"\n")
        return block[: end + 1] if end >= 0 else block


def speaks_of_error(line: bytes) -> bool:
    """Whether a line holds one of the words of `ERRORS`."""
    lowered = line.lower()
    return any(word in lowered for word in ERRORS)


def _first(block: bytes, needles: Sequence[bytes], *, is_foreign: bool) -> int | None:
    """Where the first line of a block begins that holds one of the needles; `is_foreign`: that is not the wrapper's."""
    lowered = block.lower()
    places = {needle.lower(): lowered.find(needle.lower()) for needle in needles}
    while ahead := {needle: place for needle, place in places.items() if place >= 0}:
        start = block.rfind(b"\n", 0, min(ahead.values())) + 1
        if not (is_foreign and block.startswith(OWN, start)):
            return start
        end = block.find(b"\n", start)
        if end < 0:
            return None
        places = {needle: lowered.find(needle, end) if place < end else place for needle, place in ahead.items()}
    return None
