"""Signals to the wrapper: noted, and made to wake its one wait."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """What this process was told by signals, from `install` to its end."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The first signal that asked for an end."""
        self.count = 0
        read, self._write = os.pipe()
        self.descriptor = read
        """Readable after any signal; `drain` it."""
        os.set_blocking(read, False)
        os.set_blocking(self._write, False)

    def install(self) -> None:
        """Take over the signals that end a process; one that was ignored (nohup) stays ignored."""
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, _nothing)  # only to wake
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_ENDING, signal.SIGCHLD))  # whoever started us may have blocked it

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1

    def drain(self) -> None:
        """Forget that there was one; what it said stays."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.descriptor, 512):
                pass

    def wait(self, seconds: float) -> bool:
        """Wait so long; false at once where an end is asked for."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        while self.number is None and (left_s := deadline - time.monotonic()) > 0:
            poll.poll(min(left_s, 3600.0) * 1000 + 1)
            self.drain()
        return self.number is None


def _nothing(number: int, frame: FrameType | None) -> None:
    return
