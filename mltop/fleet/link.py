"""One ssh client at work: what comes over it, when it is over, and why."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from mltop.fleet.client import (
    CONNECT_TIMEOUT_S,
    Fault,
    fault_of,
    other_version,
    remote_command,
    snapshot_line,
    ssh_arguments,
)
from mltop.model.snapshot import SCHEMA
from mltop.system.text import clean

_ANSWER_S = CONNECT_TIMEOUT_S + 20.0
"""From the start of ssh to the first snapshot: keys, a login shell, Python on a busy box."""
ASKED_ANSWER_S = 150.0
"""The same where ssh may ask somebody: sshd's own LoginGraceTime is 120 s."""
SILENCE_S = 30.0
"""A connection without snapshots for so long, and for three intervals, is a lost one."""
_LAST_WORDS_S = 0.5
"""A child of ssh's may hold its standard error open: after the end of the output, nobody waits longer for that of the
errors."""
_END_S = 0.5
_CHUNK = 1 << 18
_LINE_BYTES = 8 << 20
_STDERR_LINES = 60


@dataclass(frozen=True, slots=True)
class Goal:
    """What to connect to."""

    host: str
    program: str | None = None
    """Words for the shell there instead of `mltop`."""
    may_ask: bool = False
    """ssh may ask on the terminal, so nothing else uses it at that time."""


class _Head(msgspec.Struct):
    schema: str
    version: str = ""


class _Ends(NamedTuple):
    stdin: int
    stdout: int
    stderr: int


class Link:
    """Starts `mltop ARGUMENTS` on the other box, and takes what it writes. Raises OSError where no ssh client is."""

    def __init__(self, goal: Goal, arguments: Sequence[str]) -> None:
        self._goal = goal
        self._answer_s = ASKED_ANSWER_S if goal.may_ask else _ANSWER_S
        self._client = _start(goal, arguments)
        self._ends = _ends_of(self._client)
        self.open_fds = [self._ends.stdout, self._ends.stderr]
        """What to wait for input on, and then to `read`."""
        self.snapshots: list[bytes] = []
        """What has come and nobody has taken, a JSON object each."""
        self.deadline = time.monotonic() + self._answer_s
        """When the other side has been silent for too long."""
        self._pending = b""
        self._said: deque[str] = deque(maxlen=_STDERR_LINES)
        self._is_up = False
        self._fault: Fault | None = None

    def read(self, fd: int) -> None:
        """Take what there is on one of `open_fds`."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.open_fds.remove(fd)
            self.deadline = min(self.deadline, time.monotonic() + _LAST_WORDS_S)
        elif fd == self._ends.stdout:
            self._take(data)
        else:
            self._said.extend(data.decode(errors="replace").splitlines())

    def wait(self, reader: int | None = None) -> None:
        """Wait for what comes next, and take it: for those who have little else to wait for.

        Raises BrokenPipeError where nobody reads the pipe `reader` any more.
        """
        poller = select.poll()
        for fd in self.open_fds:
            poller.register(fd, select.POLLIN)
        if reader is not None:
            poller.register(reader, 0)
        for fd, event in poller.poll(self.left_s() * 1000):
            if fd == reader:
                raise BrokenPipeError(f"event {event} on fd {fd}")
            self.read(fd)

    def left_s(self) -> float:
        """How long to go on waiting."""
        return max(0.0, self.deadline - time.monotonic())

    def expect_more(self, interval_s: float) -> None:
        """Be patient from now on, as is right for a stream of this interval."""
        if self._ends.stdout in self.open_fds:
            self.deadline = time.monotonic() + max(SILENCE_S, 3 * interval_s)

    def is_over(self) -> bool:
        """Whether no snapshot can, or should, come any more."""
        if self._fault is not None or not self.open_fds:
            return True
        if time.monotonic() < self.deadline:
            return False
        if self._ends.stdout in self.open_fds:
            self._fault = self._silence()
        return True

    def tell(self, request: bytes) -> bool:
        """Send a request line; whether it could be sent. Waits for nothing, neither a stalled link nor a broken one."""
        try:
            return os.write(self._ends.stdin, request + b"\n") > 0
        except OSError:
            return False

    def close(self) -> Fault | None:
        """End ssh, which ends mltop there, and say why it is over; `None` where all came as it should.

        A client that is about to end gets the time to say how; none gets more than a second and a half.
        """
        code = self._end()
        if self._fault is not None:
            return self._fault
        if self._is_up and code == 0:
            return None
        return fault_of(self._goal.host, code, self._said, program=self._goal.program, was_up=self._is_up)

    def _end(self) -> int:
        for pipe in (self._client.stdin, self._client.stdout, self._client.stderr):
            if pipe is not None:
                pipe.close()
        for number in (0, signal.SIGTERM, signal.SIGKILL):
            self._client.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._client.wait(_END_S)
        return -signal.SIGKILL

    def _silence(self) -> Fault:
        host = clean(self._goal.host, 80)
        return Fault(
            f"{host} has fallen silent" if self._is_up else f"no snapshot from {host} in {self._answer_s:.0f} s"
        )

    def _take(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > _LINE_BYTES:
            self._pending = b""
        for snapshot in filter(None, map(snapshot_line, lines)):
            if not self._is_up:
                self._check(snapshot)
            if self._fault is None:
                self.snapshots.append(snapshot)

    def _check(self, snapshot: bytes) -> None:
        """Whether the first snapshot is of our major version; keys may be more or fewer."""
        try:
            head = msgspec.json.decode(snapshot, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # whoever takes it says what cannot be read
        if head.schema == SCHEMA:
            self._is_up = True
        else:
            self._fault = other_version(self._goal.host, head.schema, head.version, SCHEMA)


def _start(goal: Goal, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = remote_command(arguments, goal.program)
    client = subprocess.Popen(
        ssh_arguments(goal.host, command, may_ask=goal.may_ask),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=not goal.may_ask,  # without a terminal there is nothing to ask on
    )
    for fd in _ends_of(client):
        os.set_blocking(fd, False)
    return client


def _ends_of(client: subprocess.Popen[bytes]) -> _Ends:
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    return _Ends(client.stdin.fileno(), client.stdout.fileno(), client.stderr.fileno())
