"""From the sampler's lines to messages. Reads what is there, never waits, keeps at most one line in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from mltop.model.request import Request
from mltop.model.snapshot import Snapshot

MAX_LINE_BYTES = 8 * 1024 * 1024
"""A snapshot of 16 GPUs and 200 processes is about 100 KiB; a line beyond this is not a snapshot."""
_CHUNK = 256 * 1024


class Source(Protocol):
    """Where snapshots come from: the sampler beside us, or the one on another box."""

    def fileno(self) -> int:
        """The descriptor that gives snapshots, one JSON object a line."""

    def send(self, request: Request) -> None:
        """Ask for a change; never blocks."""

    def close(self) -> None:
        """Be done with it; never waits."""

    def trouble(self) -> str | None:
        """Why there are no more lines, in words, once there are none."""


class Feed:
    """Reads one source in the event loop and calls back with each snapshot, or with why there is none."""

    def __init__(
        self, source: Source, sampled: Callable[[Snapshot], object], lost: Callable[[str, bool], object]
    ) -> None:
        self.source = source
        self._sampled = sampled
        self._lost = lost
        self._buffer = bytearray()
        self._decoder = msgspec.json.Decoder(Snapshot)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1

    def start(self) -> None:
        """Begin to read; needs the running loop."""
        self._loop = asyncio.get_running_loop()
        self._fd = self.source.fileno()
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._readable)

    def stop(self) -> None:
        """Stop reading; the source stays open."""
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop = None

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            data, reason = b"", error.strerror or "cannot be read"
        else:
            reason = "ended"
        if not data:
            self.stop()
            self._lost(self.source.trouble() or f"the sampler {reason}", True)
            return
        self._buffer += data
        self._take_lines()

    def _take_lines(self) -> None:
        """Decode the last whole line: older ones in one burst are past."""
        end = self._buffer.rfind(b"\n")
        if end < 0:
            if len(self._buffer) > MAX_LINE_BYTES:
                self._buffer.clear()
                self._lost("the sampler sent a line without an end", False)
            return
        start = self._buffer.rfind(b"\n", 0, end) + 1
        line = bytes(self._buffer[start:end])
        del self._buffer[: end + 1]
        if line.strip():
            self._decode(line)

    def _decode(self, line: bytes) -> None:
        try:
            snapshot = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = line[:60].decode("utf-8", "replace")
            self._lost(f"cannot read the sampler's line ({error}): {text}", False)
            return
        self._sampled(snapshot)
