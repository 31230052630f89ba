"""Bytes to a terminal that may stop reading: never waits, keeps little, says when frames were dropped (M30)."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import termios
import time
from collections.abc import Callable

MAX_PENDING_BYTES = 64 * 1024
"""What waits for a terminal that does not read; frames beyond it are dropped (a full 200x60 frame is about 40 KiB)."""
CANCEL = b"\x18"
"""CAN ends a sequence that was cut in the middle."""


class Output:
    """The terminal on standard output, written to by the event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, drained: Callable[[], object], gone: Callable[[], object]
    ) -> None:
        """Call `drained` when a terminal that stalled takes bytes again, `gone` when there is none any more."""
        self.is_stalled = False
        """Whether frames are being dropped."""
        self._loop = loop
        self._drained = drained
        self._gone = gone
        self._pending = bytearray()
        self._shared_flags: int | None = None
        self._fd = self._open()

    def _open(self) -> int:
        """A description of our own, so that O_NONBLOCK is not shared with the shell that started us."""
        try:
            return os.open(os.ttyname(1), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # a terminal of another user (su) or of another mount namespace (docker exec)
            fd = os.dup(1)
            self._shared_flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            fcntl.fcntl(fd, fcntl.F_SETFL, self._shared_flags | os.O_NONBLOCK)
            return fd

    def write(self, data: bytes) -> None:
        """Send or queue `data`; drop it when too much is waiting already."""
        if self.is_stalled:
            return
        if self._pending and len(self._pending) + len(data) > MAX_PENDING_BYTES:
            self.is_stalled = True
            return
        self._pending += data
        if self._send():
            self._loop.add_writer(self._fd, self._writable)

    def close(self, last: bytes, within_s: float) -> None:
        """Send `last` in place of what waits, for at most `within_s`, and let go of the terminal."""
        self._loop.remove_writer(self._fd)
        self._pending[:] = (CANCEL if self._discard() else b"") + last
        self._send_until(time.monotonic() + within_s)
        if self._shared_flags is not None:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, self._shared_flags)
        os.close(self._fd)

    def _send(self) -> bool:
        """Write until nothing is left or the terminal is full; `True` when something is left."""
        while self._pending:
            try:
                sent = os.write(self._fd, self._pending)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:  # EIO: the terminal is gone
                self._pending.clear()
                self._gone()
                return False
            del self._pending[:sent]
        return False

    def _writable(self) -> None:
        if self._send():
            return
        self._loop.remove_writer(self._fd)
        if self.is_stalled:
            self.is_stalled = False
            self._drained()

    def _discard(self) -> bool:
        """Forget what was not sent; `True` when a frame was cut by it."""
        if not self._pending:
            return False
        # What the kernel holds for a terminal that does not read goes too: that makes room for what restores it.
        with contextlib.suppress(termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        return True

    def _send_until(self, deadline: float) -> None:
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        while self._send():
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                return
