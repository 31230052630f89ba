"""The process between the dashboard and ssh: keeps a connection to another box, and copies its snapshots to a pipe."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import time
from dataclasses import dataclass

import msgspec

from mltop.fleet.client import Fault
from mltop.fleet.link import Goal, Link

BACKOFF_S = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Pauses between tries; the last one repeats."""
LASTING_S = 300.0
"""The pause after a fault that needs somebody's hand: five refused logins in ten minutes are what fail2ban bans for."""
_STEADY_S = 10.0
"""A connection that held this long was a good one: the next pause is the shortest again."""
_CHUNK = 1 << 16
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class DashboardGoneError(Exception):
    """Nobody reads or asks any more; how a relay ends."""


@dataclass(frozen=True, slots=True)
class Pipes:
    """The relay's descriptors."""

    control: int
    """Requests, a JSON line each; its end is the relay's."""
    out: int
    """Snapshots, a JSON line each."""
    word: int
    """A line when the state changes: what is wrong, or nothing when all is well."""


class Relay:
    """One connection at a time, again and again. Single-threaded; waits only in poll(2).

    Only the first client may ask on the terminal; later there is a dashboard on it.
    """

    def __init__(self, goal: Goal, interval_s: float, pipes: Pipes) -> None:
        self._goal = goal
        self._interval_s = interval_s
        self._pipes = pipes
        self._link: Link | None = None
        self._asked: dict[str, object] = {}
        """All requests so far as one, for a new connection."""
        self._is_told = False
        """Whether the other side knows of them."""
        self._is_up = False
        self._requests = b""
        self._owed = b""
        self._next = b""
        os.set_blocking(pipes.out, False)
        os.set_blocking(pipes.word, False)

    def run(self) -> None:
        """Connect and copy until the dashboard is gone."""
        tries = 0
        try:
            while True:
                started = time.monotonic()
                fault = self._connect_and_copy()
                tries = 0 if time.monotonic() - started > _STEADY_S and not fault.is_lasting else tries
                pause = LASTING_S if fault.is_lasting else BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
                tries += 1
                self._say(fault.text + ("; r tries again" if fault.is_lasting else f"; trying again in {pause:.0f} s"))
                self._rest(pause)
        except DashboardGoneError:
            return
        finally:
            self._end_link()

    def _connect_and_copy(self) -> Fault:
        """One connection from its start to its end; returns why it ended."""
        try:
            self._link = link = Link(self._goal, ["--stream", "--control", "-i", f"{self._interval_s:g}"])
        except OSError as error:
            return Fault(f"no ssh client here ({error.strerror}): install openssh-client", is_lasting=True)
        self._goal = dataclasses.replace(self._goal, may_ask=False)
        self._is_told = self._is_up = False
        while not link.is_over():
            self._turn(link)
        return self._end_link() or Fault(f"mltop on {self._goal.host} ended")

    def _end_link(self) -> Fault | None:
        link, self._link = self._link, None
        return link.close() if link is not None else None

    def _turn(self, link: Link) -> None:
        """Wait for the next thing to happen, and see to it."""
        poller = self._poller()
        for fd in link.open_fds:
            poller.register(fd, select.POLLIN)
        ready = dict(poller.poll(link.left_s() * 1000))
        self._serve_dashboard(ready)
        for fd in [fd for fd in link.open_fds if fd in ready]:
            link.read(fd)
        if link.snapshots:
            self._pass_on(link)
        if self._asked.get("pause"):
            link.expect_more(self._interval_s)

    def _pass_on(self, link: Link) -> None:
        """Owe the newest snapshot to the dashboard; a new connection is told what was asked before."""
        self._next = link.snapshots[-1] + b"\n"
        link.snapshots.clear()
        self._write_owed()
        interval_s = self._asked.get("interval_s")
        link.expect_more(interval_s if isinstance(interval_s, int | float) else self._interval_s)
        if not self._is_up:
            self._is_up = True
            self._say("")
        if not self._is_told:  # not before there is a snapshot: an rc file there may read its standard input
            self._is_told = not self._asked or link.tell(msgspec.json.encode(self._asked))

    def _rest(self, pause_s: float) -> None:
        """Wait for the time of the next try, or for somebody to ask for it."""
        deadline = time.monotonic() + pause_s
        while (left := deadline - time.monotonic()) > 0:
            if self._serve_dashboard(dict(self._poller().poll(left * 1000))):
                return

    def _poller(self) -> select.poll:
        poller = select.poll()
        poller.register(self._pipes.control, select.POLLIN)
        poller.register(self._pipes.out, select.POLLOUT if self._owed else 0)
        return poller

    def _serve_dashboard(self, ready: dict[int, int]) -> bool:
        """Write what it is owed and take its requests; whether one of them was to refresh."""
        if ready.get(self._pipes.out, 0) & _GONE:
            raise DashboardGoneError
        if self._owed:
            self._write_owed()
        return self._take_requests() if self._pipes.control in ready else False

    def _take_requests(self) -> bool:
        data = os.read(self._pipes.control, _CHUNK)
        if not data:
            raise DashboardGoneError
        *lines, self._requests = (self._requests + data).split(b"\n")
        is_refresh = False
        for line in filter(None, lines):
            request = msgspec.json.decode(line, type=dict[str, object])
            is_refresh |= bool(request.get("refresh"))
            self._asked.update((key, value) for key, value in request.items() if key != "refresh")
            # what cannot be sent now is told after the next snapshot
            self._is_told = self._is_told and self._link is not None and self._link.tell(line)
        return is_refresh

    def _write_owed(self) -> None:
        """Write without waiting; a dashboard that is behind gets the newest snapshot next, not all of them."""
        try:
            while self._owed or self._next:
                if not self._owed:
                    self._owed, self._next = self._next, b""
                self._owed = self._owed[os.write(self._pipes.out, self._owed) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise DashboardGoneError from None

    def _say(self, word: str) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._pipes.word, word.encode() + b"\n")
