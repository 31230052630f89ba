"""Another box as a source of snapshots, over the user's own ssh (`--host`, M39)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from types import FrameType
from typing import NoReturn

import msgspec

from mltop.fleet.link import ASKED_ANSWER_S, Goal
from mltop.fleet.relay import DashboardGoneError, Pipes, Relay
from mltop.model.request import Request
from mltop.system.process import set_name

_FIRST_FREE_FD = 10
_SPARE_S = 10.0


class RemoteSource:
    """The dashboard's end of a relay, a forked process that keeps the connection and connects again when it is lost.

    Same shape as the local source. `fileno()` is one pipe for good: a lost connection shows in `trouble()`, the end of
    file only means that the relay itself is gone. To be made before threads and Textual are. With `may_ask` the first
    connection may ask on the terminal (a password, an unknown key), so nothing else may use it until `connect()` is
    back. Raises ValueError for a host that ssh would take for an option.
    """

    def __init__(self, host: str, interval_s: float, *, ssh_command: str | None = None, may_ask: bool = False) -> None:
        if not host or host.startswith("-"):
            raise ValueError(f"not a host: {host!r}")
        self._encoder = msgspec.json.Encoder()
        self._trouble: str | None = None
        self._partial = b""
        self._is_closed = False
        out_read, out_write = os.pipe()
        control_read, control_write = os.pipe()
        word_read, word_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            goal = Goal(host, program=ssh_command, may_ask=may_ask)
            _be_relay(goal, interval_s, Pipes(control=control_read, out=out_write, word=word_write))
        for fd in (out_write, control_read, word_write):
            os.close(fd)
        for fd in (out_read, control_write, word_read):
            os.set_blocking(fd, False)
        self._out, self._control, self._word = out_read, control_write, word_read

    def connect(self, timeout_s: float = ASKED_ANSWER_S + _SPARE_S) -> str | None:
        """Wait for the first snapshot, which stays to be read; why there is none, in a line, where there is none."""
        deadline = time.monotonic() + timeout_s
        poller = select.poll()
        poller.register(self._out, select.POLLIN)
        poller.register(self._word, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(left * 1000))
            if ready.get(self._out, 0) & select.POLLIN:
                return None
            if trouble := self.trouble():
                return trouble.partition("; ")[0]
        return "no answer"

    def fileno(self) -> int:
        """Where snapshots come from, as JSON lines, whatever happens to the connection."""
        return self._out

    def send(self, request: Request) -> None:
        """Ask the other box for something else; kept for the next connection while there is none. Never waits."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._control, self._encoder.encode(request) + b"\n")

    def trouble(self) -> str | None:
        """What is wrong with the connection at this time, in a line; `None` while snapshots come."""
        try:
            while data := os.read(self._word, 65536):
                *words, self._partial = (self._partial + data).split(b"\n")
                if words:
                    self._trouble = words[-1].decode(errors="replace") or None
        except BlockingIOError:
            return self._trouble
        return self._trouble or "the connection's own process has ended"

    def close(self) -> None:
        """End the relay, ssh and mltop on the other box, without waiting for any of them."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        for fd in (self._out, self._control, self._word):
            os.close(fd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def _be_relay(goal: Goal, interval_s: float, pipes: Pipes) -> NoReturn:
    """The child. Never returns."""
    code = 1
    try:
        if not goal.may_ask:
            os.setsid()  # a Ctrl-C or Ctrl-Z is the dashboard's alone; where ssh asks, it is everybody's
        pipes = _only(pipes)
        set_name("mltop-remote")
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        Relay(goal, interval_s, pipes).run()
        code = 0
    except DashboardGoneError:
        code = 0
    except BaseException as error:  # noqa: BLE001 - the last frame of a forked child: nothing may escape into the parent's code
        os.write(pipes.word, f"the connection's own process failed: {error!r}\n".encode(errors="replace"))
    finally:
        os._exit(code)


def _only(pipes: Pipes) -> Pipes:
    """Keep these descriptors and no other: /dev/null is 0 to 2, the pipes are 3 to 5."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, _FIRST_FREE_FD) for fd in (pipes.control, pipes.out, pipes.word)]
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD, _FIRST_FREE_FD)
    for target, fd in enumerate((null, null, null, *moved)):
        os.dup2(fd, target, inheritable=target < 3)
    os.closerange(6, os.sysconf("SC_OPEN_MAX"))
    return Pipes(control=3, out=4, word=5)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise DashboardGoneError
