"""The last lines that a job wrote, and the last that looks like an error.

A job may write a gigabyte a second: what it writes is only kept here, and taken apart once, at the end of a run.
"""

from __future__ import annotations

from collections import deque

from mltop.system.text import clean

_ERROR_WORDS = (
    b"error", b"fail", b"fatal", b"exception", b"denied", b"cannot", b"no space", b"not found", b"panic", b"critical",
)  # fmt: skip
_KEPT_BYTES = 80 << 10
_LINE_BYTES = 4096
_SHOWN = 300
_LOOKED_AT = 1000
"""So many lines before the last that has such a word are looked at: it may have been drawn over (`\\r`)."""


class Tail:
    """The end of a job's output, 80 KiB of it; of a line that was drawn over, what was left of it."""

    COUNT = 20

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._size_bytes = 0
        self._is_cut = False

    def add(self, data: bytes) -> None:
        """Take in what was written."""
        self._blocks.append(data)
        self._size_bytes += len(data)
        while self._size_bytes - len(self._blocks[0]) >= _KEPT_BYTES:
            self._size_bytes -= len(self._blocks.popleft())
            self._is_cut = True

    def lines(self) -> list[str]:
        """The last lines that say something, oldest first."""
        found = [text for line in self._whole().split(b"\n") if (text := shown(line))]
        return found[-self.COUNT :]

    def last_error(self) -> str | None:
        """The last line that speaks of an error; `None` where none of these does."""
        return last_error(self._whole())

    def _whole(self) -> bytes:
        """What is kept, without half a line at its front where there is a whole one behind it."""
        data = b"".join(self._blocks)
        if self._is_cut or len(data) > _KEPT_BYTES:
            data = data[-_KEPT_BYTES:]
            return data[data.find(b"\n", 0, -1) + 1 :]
        return data


def last_error(data: bytes, without: bytes | None = None) -> str | None:
    """The last line of it that speaks of an error, for people; never one that begins with `without`."""
    folded = data.lower()
    at = max(folded.rfind(word) for word in _ERROR_WORDS)
    if at < 0:  # most output has none, which is found out without taking it apart
        return None
    stop = data.find(b"\n", at)
    lines = data[: stop if stop >= 0 else len(data)].rsplit(b"\n", _LOOKED_AT)
    for line in reversed(lines[-_LOOKED_AT:]):
        if _speaks_of_one(line) and not (without and line.startswith(without)):
            text = shown(line)
            if _speaks_of_one(text.encode("utf-8", "replace")):
                return text
    return None


def _speaks_of_one(line: bytes) -> bool:
    folded = line.lower()
    return any(word in folded for word in _ERROR_WORDS)


def shown(line: bytes) -> str:
    """A line as a person saw it, cleaned and cut."""
    line = line[-_LINE_BYTES:]
    return clean(line.rpartition(b"\r")[2] or line, _SHOWN).strip()
