"""A log of any size by bytes and offsets: read where it is looked at, never as a whole. Knows nothing of screens."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from types import TracebackType

LONGEST = 16 << 10
"""Bytes of a line; a longer one is read in pieces."""
_BLOCK = 1 << 20
ERRORS = re.compile(
    rb"error|fail|fatal|exception|traceback|denied|cannot|no space|not found|panic|critical|killed", re.IGNORECASE
)
"""What a line that speaks of an error holds."""
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

    def first(self, pattern: re.Pattern[bytes], offset: int, *, is_foreign: bool = False) -> int | None:
        """Where the first line begins, at `offset` or behind it, that holds the pattern."""
        while block := self._block(offset):
            for match in pattern.finditer(block):
                start = block.rfind(b"\n", 0, match.start()) + 1
                if not (is_foreign and block.startswith(OWN, start)):
                    return offset + start
            offset += len(block)
        return None

    def last(self, pattern: re.Pattern[bytes], offset: int) -> int | None:
        """Where the last line begins, before `offset`, that holds the pattern."""
        while offset > 0:
            low = max(0, offset - _BLOCK)
            low = self._start(low + 1) if low else 0
            block = os.pread(self._fd, offset - low, low)
            matches = list(pattern.finditer(block))
            if matches:
                return low + block.rfind(b"\n", 0, matches[-1].start()) + 1
            offset = low
        return None

    def _block(self, offset: int) -> bytes:
        """Whole lines from an offset on; a line longer than a block in pieces."""
        block = os.pread(self._fd, _BLOCK, offset)
        end = block.rfind(b"\n")
        return block[: end + 1] if end >= 0 else block
