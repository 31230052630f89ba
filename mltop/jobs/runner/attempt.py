"""One attempt of a job: its process watched to its end, its output taken down, nothing of it left where it has to end.

One thread, one wait: output, the child's end, signals and deadlines all wake the same poll.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import NamedTuple, Protocol

from mltop.jobs.runner import child, family
from mltop.jobs.runner.interrupt import Interrupts

DRAIN_S = 0.8
"""How long output is awaited after the end, while something left behind keeps the pipe open (J31: 1 s in all)."""
_QUIET_S = 0.1
STUCK_S = 4.0
"""How long a process may outlive SIGKILL."""
_SWEEP_S = 0.05
_BLOCK = 1 << 16


class Output(Protocol):
    """Where a job's output goes; never raises, never blocks for long."""

    def write(self, data: bytes) -> None:
        """Take a piece."""


class Ending(NamedTuple):
    """How an attempt ended."""

    status: int | None = None
    """The exit code, or minus the signal; `None` where the main process never ended."""
    is_timeout: bool = False
    is_aborted: bool = False
    stuck: tuple[int, ...] = ()
    """Processes that SIGKILL did not end."""
    left: tuple[int, ...] = ()
    """Processes that an attempt which ended by itself left behind."""
    cpu_s: float = 0.0
    max_rss_bytes: int = 0


class Attempt:
    """A started process and all that it starts."""

    def __init__(
        self, plan: child.Plan, output: Output, interrupts: Interrupts, timeout_s: float | None, kill_grace_s: float
    ) -> None:
        self._output = output
        self._interrupts = interrupts
        self._grace_s = kill_grace_s
        self._status: int | None = None
        self._has_children = True
        self._cpu_s = 0.0
        self._max_rss_bytes = 0
        self._is_timeout = False
        self._is_aborted = False
        self._poll = select.poll()
        self._poll.register(interrupts.descriptor, select.POLLIN)
        self._deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self._pipe, write = os.pipe()
        try:
            self.pid, self.notes = child.start(plan, write, self._is_told)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(write)
        os.set_blocking(self._pipe, False)
        self._poll.register(self._pipe, select.POLLIN)
        self._is_open = True

    def run(self) -> Ending:
        """Watch it to its end."""
        while self._status is None:
            if self._interrupts.number is not None:
                self._is_aborted = True
                return self._end_all()
            if time.monotonic() >= self._deadline:
                self._is_timeout = True
                return self._end_all()
            self._turn(self._deadline)
        self._drain()
        return self._ending(left=family.descendants() if self._has_children else [])

    def _is_told(self, descriptor: int) -> bool:
        """Wait for what a child says of its start, no longer than for its end."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(self._interrupts.descriptor, select.POLLIN)
        while self._interrupts.number is None and (left_s := self._deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(min(left_s, 3600.0) * 1000 + 1))
            if descriptor in ready:
                return True
            self._interrupts.drain()
        return False

    def _turn(self, until: float) -> bool:
        """Wait for whatever comes first, and take it in; whether there was output."""
        left_s = min(max(until - time.monotonic(), 0.0), 3600.0)
        ready = dict(self._poll.poll(left_s * 1000 + 1))
        if self._interrupts.descriptor in ready:
            self._interrupts.drain()
        had_output = self._pipe in ready and self._read()
        self._reap()
        return had_output

    def _read(self) -> bool:
        try:
            data = os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            return False
        if data:
            self._output.write(data)
            return True
        self._close()
        return False

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._poll.unregister(self._pipe)
            os.close(self._pipe)

    def _reap(self) -> None:
        """Collect whoever ended: the job's process, and the orphans that were given to us."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._cpu_s += usage.ru_utime + usage.ru_stime
                self._max_rss_bytes = max(self._max_rss_bytes, usage.ru_maxrss * 1024)
                if pid == self.pid:
                    self._status = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            self._has_children = False

    def _drain(self) -> None:
        """Take what is still in the pipe; what was left behind may keep it open for as long as it likes."""
        deadline = time.monotonic() + DRAIN_S
        quiet_at = time.monotonic() + _QUIET_S
        while self._is_open and (now := time.monotonic()) < min(quiet_at, deadline):
            if self._turn(min(quiet_at, deadline)):
                quiet_at = now + _QUIET_S
        self._close()

    def _end_all(self) -> Ending:
        """TERM to everybody, KILL after the grace (at once at another signal), and at most STUCK_S more."""
        asked = self._interrupts.count
        family.send(signal.SIGTERM, self._group())
        kill_at = time.monotonic() + self._grace_s
        while self._lives() and time.monotonic() < kill_at and self._interrupts.count == asked:
            self._turn(min(kill_at, time.monotonic() + _QUIET_S))
        killed_until = time.monotonic() + STUCK_S
        while self._lives() and time.monotonic() < killed_until:
            family.send(signal.SIGKILL, self._group())
            self._turn(time.monotonic() + _SWEEP_S)
        self._drain()
        stuck = family.descendants() if self._has_children else []
        return self._ending(stuck=stuck or ([self.pid] if self._status is None else []))

    def _lives(self) -> bool:
        """Whether anything of it does; reaps first."""
        self._reap()
        return self._has_children and (self._status is None or bool(family.descendants()))

    def _group(self) -> int | None:
        return self.pid if self._status is None else None

    def _ending(self, left: list[int] | None = None, stuck: list[int] | None = None) -> Ending:
        return Ending(
            status=self._status,
            is_timeout=self._is_timeout,
            is_aborted=self._is_aborted,
            stuck=tuple(stuck or ()),
            left=tuple(left or ()),
            cpu_s=self._cpu_s,
            max_rss_bytes=self._max_rss_bytes,
        )
