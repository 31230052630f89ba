"""`--stream`: snapshots as JSON lines on a file descriptor, until the reader goes away."""

from __future__ import annotations

import os
import select
import time
from typing import Protocol

import msgspec

from mltop.model.request import Request
from mltop.model.snapshot import Snapshot
from mltop.sampling.sampler import DRIVER_PATIENCE_S
from mltop.system.descriptor import write_all

INTERVAL_MIN_S = 0.25
"""Below this the monitor itself becomes the load (nvitop#65, nvtop#365)."""
_FIRST_RATES_S = 0.25
"""A dashboard gets its second snapshot, the first with rates, this soon after the first."""
_PIPE_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Paced(Protocol):
    """What a stream paces: `sampling.sampler.Sampler`, which says what each of these does, or the demo's."""

    interval_s: float | None

    def begin(self) -> None: ...  # noqa: D102
    def poll(self) -> None: ...  # noqa: D102
    def is_ready(self) -> bool: ...  # noqa: D102
    def is_silent(self) -> bool: ...  # noqa: D102
    def filenos(self) -> list[int]: ...  # noqa: D102
    def due_s(self) -> float: ...  # noqa: D102
    def snapshot(self) -> Snapshot: ...  # noqa: D102
    def apply(self, request: Request) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class ReaderGone(Exception):  # noqa: N818 - it is not an error
    """Nobody reads the stream any more, or nobody sends requests."""


class Stream:
    """Paces a sampler: one snapshot an interval, each after the driver has answered or has had its time.

    With a control descriptor (the dashboard's), the first snapshot goes out at once with what the host says, and a
    late driver's first answer goes out when it comes; without one, the first line waits for the driver.
    """

    def __init__(self, sampler: Paced, out: int, interval_s: float, control: int | None = None) -> None:
        self._sampler = sampler
        self._out = out
        self._control = control
        self._pending = b""
        self._encoder = msgspec.json.Encoder()
        self._requests = msgspec.json.Decoder(Request)
        self._wanted = False
        self._paused = False
        self._is_late = False
        self._written_at = 0.0
        self._said_silent = False
        self._set_interval(interval_s)

    def run(self, count: int | None = None) -> None:
        """Write snapshots until `count` are written or the reader is gone (which is no error)."""
        written = 0
        tick = time.monotonic()
        try:
            while count is None or written < count:
                self._await_driver(first=written == 0)
                if not self._paused or self._wanted:
                    self._wanted = False
                    self._said_silent = self._sampler.is_silent()
                    self._write(self._encoder.encode(self._sampler.snapshot()) + b"\n")
                    written += 1
                if count is not None and written >= count:
                    return
                early = self._control is not None and written == 1
                now = time.monotonic()
                # one that went out early starts a new interval, a late one does not make the next one late
                tick = max(now, min(tick, now) + (_FIRST_RATES_S if early else self._interval_s))
                self._sleep_until(tick)
        except (ReaderGone, BrokenPipeError):
            return

    def _await_driver(self, *, first: bool) -> None:
        """Ask the driver and give it a part of the interval, none where it is already overdue."""
        self._is_late = self._is_late and not self._sampler.is_ready()  # it may have answered since
        self._sampler.begin()
        if first and self._control is None:
            patience = DRIVER_PATIENCE_S
        elif first or self._is_late:
            patience = 0.0
        else:
            patience = min(1.0, self._interval_s / 2)
        deadline = time.monotonic() + patience
        self._sampler.poll()
        while not self._sampler.is_ready() and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
        self._is_late = not self._sampler.is_ready()

    def _sleep_until(self, tick: float) -> None:
        """Serve the probe, the readers and the requests until `tick`, or until there is a reason to go on early."""
        while (left := tick - time.monotonic()) > 0 and not self._wanted:
            if self._has_news():
                held_s = self._written_at + _FIRST_RATES_S - time.monotonic()
                if held_s <= 0:
                    self._is_late = False
                    return
                left = min(left, held_s)  # so soon after the last snapshot the rates would be noise
            self._wait(left)

    def _has_news(self) -> bool:
        """Whether a dashboard is told before its time: a late driver answers or has come to count as hung."""
        if self._control is None:
            return False
        return (self._is_late and self._sampler.is_ready()) or (self._sampler.is_silent() and not self._said_silent)

    def _wait(self, timeout_s: float) -> None:
        poller = select.poll()
        poller.register(self._out, 0)
        if self._control is not None:
            poller.register(self._control, select.POLLIN)
        for fd in self._sampler.filenos():
            poller.register(fd, select.POLLIN)
        for fd, event in poller.poll(min(timeout_s, self._sampler.due_s()) * 1000):
            if fd == self._out and event & _PIPE_GONE:
                raise ReaderGone
            if fd == self._control:
                self._take_requests()
        self._sampler.poll()

    def _take_requests(self) -> None:
        assert self._control is not None
        data = os.read(self._control, 65536)
        if not data:
            raise ReaderGone
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._obey(line)

    def _obey(self, line: bytes) -> None:
        try:
            request = self._requests.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # a request of another version is none of ours
        if request.interval_s is not msgspec.UNSET:
            self._set_interval(request.interval_s)
        if request.pause is not msgspec.UNSET:
            self._paused = request.pause
        self._sampler.apply(request)
        # what is shown changed: the next snapshot is due now, not at the end of the interval
        chosen = (request.filter, request.sort, request.invert)
        self._wanted |= request.refresh or any(value is not msgspec.UNSET for value in chosen)

    def _set_interval(self, interval_s: float) -> None:
        self._interval_s = max(INTERVAL_MIN_S, interval_s)
        self._sampler.interval_s = self._interval_s

    def _write(self, data: bytes) -> None:
        self._written_at = time.monotonic()
        write_all(self._out, data)
