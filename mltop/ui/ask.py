"""mltop's own command line asked by the dashboard: a child for each question, read by the loop and never waited for.

No threads (the sampler may be forked anew while a question is out) and no pipe that is read to its end at once: a child
that hangs, floods or fails is a sentence on the screen, and the keys go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mltop.system.text import clean

DEADLINE_S = 15.0
MOST_BYTES = 32 << 20
"""Of one answer; 1,000 jobs are about 1 MiB."""
MOST_STUCK = 4
"""With so many children that were given up and do not go, nobody is followed any more."""
_CHUNK = 256 << 10
_REAP_S = 0.02
_PATIENCE_S = 0.2
"""How long the end waits for children that were killed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child said."""

    code: int | None
    """Its exit code, or minus the signal; `None` where it was given up."""
    output: bytes = b""
    complaint: str = ""
    """Its standard error on one line, or why it was given up."""

    @property
    def is_late(self) -> bool:
        """Whether it was given up."""
        return self.code is None


class Ask:
    """Asks `mltop ARGUMENTS`; `command` is what stands before the arguments."""

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-P", "-m", "mltop"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = tuple(command)
        self._environment = dict(environment or {})
        self._children: set[_Child] = set()
        """Those that have not answered, and those killed that are not gone yet."""

    async def __call__(self, arguments: Sequence[str], deadline_s: float = DEADLINE_S) -> Answer:
        """The answer. A question that is cancelled takes its child with it."""
        return await self._asked(_Child, arguments, deadline_s)

    async def order(self, arguments: Sequence[str], deadline_s: float) -> Answer:
        """What came of something that was to be done; who leaves meanwhile, or ends the dashboard, does not end it."""
        return await self._asked(_Order, arguments, deadline_s)

    async def _asked(self, kind: type[_Child], arguments: Sequence[str], deadline_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def tell(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        child = kind(loop, tell, self._children.discard)
        self._children.add(child)
        child.start([*self._command, *arguments], os.environ | self._environment, deadline_s)
        try:
            return await answered
        finally:
            child.leave()

    def follow(
        self, arguments: Sequence[str], said: Callable[[bytes], object], ended: Callable[[Answer], object]
    ) -> Following:
        """Have a child go on answering, a line each time; of lines that come at once, `said` gets the last."""
        child = Following(asyncio.get_running_loop(), ended, self._children.discard, said)
        if sum(each.is_given_up for each in self._children) >= MOST_STUCK:
            child.end(f"{MOST_STUCK} earlier questions are stuck in the kernel")
            return child
        self._children.add(child)
        child.start([*self._command, *arguments], os.environ | self._environment, None)
        return child

    def close(self) -> None:
        """Leave no child behind but for orders; one that is stuck in the kernel is not waited for."""
        children = tuple(child for child in self._children if not isinstance(child, _Order) or child.is_given_up)
        for child in children:
            child.leave()
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and not all(child.is_reaped for child in children):
            time.sleep(_REAP_S / 10)


class _Child:
    """One child and its two pipes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Answer], object],
        gone: Callable[[_Child], None],
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._gone = gone
        self._process: subprocess.Popen[bytes] | None = None
        self._read: dict[int, bytearray] = {}
        self._open: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._has_told = False

    def start(self, command: Sequence[str], environment: Mapping[str, str], deadline_s: float | None) -> None:
        if not self._spawn(command, environment, subprocess.PIPE, subprocess.PIPE):
            return
        assert self._process is not None
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            fd = pipe.fileno()
            os.set_blocking(fd, False)
            self._read[fd] = bytearray()
            self._open.add(fd)
            self._loop.add_reader(fd, self._readable, fd)
        self._limit(deadline_s)

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str], output: int, complaint: int) -> bool:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=complaint,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            self._finish(Answer(None, complaint=f"cannot start {clean(command[0], 80)}: {error.strerror}"))
        return self._process is not None

    def _limit(self, deadline_s: float | None) -> None:
        if deadline_s is not None:
            self._timer = self._loop.call_later(deadline_s, self.end, f"no answer in {deadline_s:.0f} s")

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._take(fd, data)
        if len(self._read[fd]) > MOST_BYTES:
            self.end(f"an answer of more than {MOST_BYTES >> 20} MiB")
        elif not data:
            self._loop.remove_reader(fd)
            self._open.discard(fd)
            if not self._open:
                self._collect()

    def _take(self, fd: int, data: bytes) -> None:
        self._read[fd] += data

    def _collect(self) -> None:
        """Look for its end, which comes with the next moments where its pipes have ended."""
        assert self._process is not None
        if self._has_told:
            return
        code = self._process.poll()
        if code is None:
            self._loop.call_later(_REAP_S, self._collect)
            return
        output, complaint = self._outputs()
        self._finish(Answer(code, output, one_line(complaint)))

    def _outputs(self) -> tuple[bytes, bytes]:
        """What it wrote to standard output and to standard error."""
        output, complaint = (bytes(self._read[fd]) for fd in self._read)
        return output, complaint

    def leave(self) -> None:
        """Nobody waits for its answer any more."""
        self.end("given up")

    def end(self, why: str) -> None:
        """Kill it, unless it is done; without waiting."""
        if self._has_told:
            return
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._finish(Answer(None, complaint=why))

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._has_told

    @property
    def is_reaped(self) -> bool:
        """Whether nothing is left of it."""
        return self._process is None or self._process.poll() is not None

    def _reap(self) -> None:
        """Collect it when it is gone, which a process in state D is not."""
        if self.is_reaped:
            self._gone(self)
        else:
            self._loop.call_later(_REAP_S, self._reap)

    def _finish(self, answer: Answer) -> None:
        self._has_told = True
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._open:
            self._loop.remove_reader(fd)
        self._open.clear()
        if self._process is not None:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
        self._reap()
        self._tell(answer)


class _Order(_Child):
    """A child that changes something: killed half-way it would leave half of a change, so it is let be.

    It writes to files in memory, which take what it says also when there is no dashboard any more: a broken pipe would
    end it too.
    """

    _files: tuple[int, ...] = ()

    def start(self, command: Sequence[str], environment: Mapping[str, str], deadline_s: float | None) -> None:
        self._files = tuple(os.memfd_create("mltop-order") for _ in range(2))
        if self._spawn(command, environment, *self._files):
            self._limit(deadline_s)
            self._collect()

    def leave(self) -> None:
        """It goes on to its own end."""

    def _outputs(self) -> tuple[bytes, bytes]:
        output, complaint = (os.pread(fd, MOST_BYTES, 0) for fd in self._files)
        return output, complaint

    def _finish(self, answer: Answer) -> None:
        for fd in self._files:
            os.close(fd)
        self._files = ()
        super()._finish(answer)


def one_line(complaint: bytes) -> str:
    """What stands on standard error, as a sentence."""
    return clean(b" ".join(complaint.split(b"\n")).strip(), 500)


class Following(_Child):
    """A child that goes on answering, a line each time, until it or the one who asked has enough."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Answer], object],
        gone: Callable[[_Child], None],
        said: Callable[[bytes], object],
    ) -> None:
        super().__init__(loop, tell, gone)
        self._said = said

    def _take(self, fd: int, data: bytes) -> None:
        super()._take(fd, data)
        if fd != next(iter(self._read)):  # standard error is for the end
            return
        lines = self._read[fd]
        end = len(lines) if not data else lines.rfind(b"\n")
        if end > 0:
            line = bytes(lines[lines.rfind(b"\n", 0, end) + 1 : end])
            del lines[: end + 1]
            self._said(line)
