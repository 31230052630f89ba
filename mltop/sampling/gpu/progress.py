"""What the probe is doing right now, on a page of memory that it shares with its owner.

A probe that is stuck in the driver can say nothing any more; the page says it for it.
"""

from __future__ import annotations

import mmap
import struct
import time

import msgspec

_RECORD = struct.Struct("<di48s")


class Call(msgspec.Struct, frozen=True):
    """A call that has not returned."""

    since: float
    """`time.monotonic()` of its start."""
    gpu: int
    """The GPU's index; -1 for one that is of no GPU."""
    function: str

    def __str__(self) -> str:
        return self.function if self.gpu < 0 else f"GPU {self.gpu}: {self.function}"


class Progress:
    """One record; made before the fork, written by the child only."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def note(self, gpu: int, function: str) -> None:
        """A call starts now."""
        _RECORD.pack_into(self._page, 0, time.monotonic(), gpu, function.encode())

    def idle(self) -> None:
        """No call is under way."""
        _RECORD.pack_into(self._page, 0, 0.0, -1, b"")

    def current(self) -> Call | None:
        """The call under way. One that is long under way is read whole: nobody writes meanwhile."""
        since, gpu, function = _RECORD.unpack_from(self._page, 0)
        if since == 0.0:
            return None
        return Call(since=since, gpu=gpu, function=function.rstrip(b"\0").decode(errors="replace"))

    def close(self) -> None:
        """Let go of the page."""
        self._page.close()
