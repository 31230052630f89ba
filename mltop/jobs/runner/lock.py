"""One run of a job at a time: a flock on a file that is never unlinked, and who holds it, for people.

The descriptor is close-on-exec: what a job leaves behind does not block the next run (research: `flock -o`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mltop.jobs.place import Place, fallback, make
from mltop.jobs.runner import alive
from mltop.system.file import try_lock

_SETTLE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_NOTE_BYTES = 64 << 10


class Holder(NamedTuple):
    """Who holds a lock, or held it last."""

    run: str
    pid: int
    start_ticks: int | None = None
    boot_id: str = ""
    stuck: tuple[tuple[int, int | None], ...] = ()
    """Processes (pid, start ticks) of that run that no signal ended."""

    def line(self) -> bytes:
        """The note: `RUN PID TICKS BOOT [PID:TICKS …]`, `-` for what is not known."""
        stuck = [f"{pid}:{_known(ticks)}" for pid, ticks in self.stuck]
        words = [self.run, str(self.pid), _known(self.start_ticks), self.boot_id or "-", *stuck]
        return (" ".join(words) + "\n").encode()

    @classmethod
    def of_line(cls, line: bytes) -> Holder:
        """Such a note; raises ValueError for anything else."""
        run, pid, ticks, boot, *stuck = line.decode("ascii").split()
        pairs = (pair.partition(":") for pair in stuck)
        processes = tuple((int(one), _number(its_ticks)) for one, _, its_ticks in pairs)
        return cls(run, int(pid), _number(ticks), boot.strip("-"), processes)

    def living(self) -> list[int]:
        """The stuck ones that are still there."""
        if not self.stuck or self.boot_id != alive.boot_id():
            return []
        return [pid for pid, ticks in self.stuck if alive.is_alive(pid, ticks)]


def _known(number: int | None) -> str:
    return "-" if number is None else str(number)


def _number(word: str) -> int | None:
    return None if word == "-" else int(word)


class OverlapError(Exception):
    """The job is running already, or something of its last run is; the reason in words."""


Wait = Callable[[float], bool]
"""Wait so many seconds; false where the run is to be given up instead."""


class Lock:
    """The lock of one job. `descriptor` is `None` for the policy `allow`, which takes none."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor
        self._holder: Holder | None = None

    def sign(self, run: str) -> None:
        """Write down who holds it."""
        pid = os.getpid()
        self._note(Holder(run=run, pid=pid, start_ticks=alive.start_ticks(pid), boot_id=alive.boot_id()))

    def note_stuck(self, pids: list[int]) -> None:
        """Write down what the next run has to wait for."""
        if self._holder is not None:
            stuck = tuple((pid, alive.start_ticks(pid)) for pid in pids)
            self._note(self._holder._replace(stuck=stuck))

    def _note(self, holder: Holder) -> None:
        self._holder = holder
        if self._descriptor is None:
            return
        data = holder.line()
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its note
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))

    def release(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(path: Path) -> Holder | None:
    """Who holds a lock, or held it last, by its own note; `None` where there is none."""
    try:
        # not waiting: what is no file (a FIFO) would keep the job from ever starting
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return Holder.of_line(os.read(descriptor, _NOTE_BYTES)) if _is_file(descriptor) else None
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _is_file(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def take(place: Place, job: str, policy: str, patience_s: float, wait: Wait) -> Lock:
    """Take a job's lock by its overlap policy; raises OverlapError, OSError.

    `patience_s`: how long `replace` waits for the other run to end. `wait` is asked between two tries.
    """
    path = _usable(place.lock(job))
    lock = Lock(path, None if policy == "allow" else _taken(path, policy, patience_s, wait))
    earlier = holder(path)
    if earlier and (living := earlier.living()):
        lock.release()
        raise OverlapError(f"process {living[0]} of {earlier.run} is stuck in the kernel and still there")
    return lock


def _usable(path: Path) -> Path:
    """The path, or one in memory where that folder cannot be made or written (D26)."""
    try:
        make(path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        return make(fallback() / "locks") / path.name
    is_file = _is_file(descriptor)
    os.close(descriptor)
    return path if is_file else make(fallback() / "locks") / path.name


def _taken(path: Path, policy: str, patience_s: float, wait: Wait) -> int:
    descriptor = _try_until(path, time.monotonic() + _SETTLE_S, wait)  # a reader may hold it for a moment
    if descriptor is not None:
        return descriptor
    kind, _, seconds = policy.partition(":")
    if kind == "wait":
        descriptor = _try_until(path, time.monotonic() + float(seconds or 0), wait)
    elif kind == "queue":
        descriptor = _queued(path, wait)
    elif kind == "replace":
        descriptor = _replaced(path, patience_s, wait)
    if descriptor is None:
        other = holder(path)
        raise OverlapError(f"overlap with {other.run}" if other else "overlap with another run")
    return descriptor


def _try_until(path: Path, deadline: float, wait: Wait) -> int | None:
    pause_s = 0.01
    while (descriptor := try_lock(path)) is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not wait(min(pause_s, left_s)):
            return None
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return descriptor


def _queued(path: Path, wait: Wait) -> int | None:
    """Wait as the only one in the queue, for as long as it takes."""
    place_in_queue = try_lock(path.with_suffix(".queue"))
    if place_in_queue is None:
        return None
    try:
        return _try_until(path, float("inf"), wait)
    finally:
        os.close(place_in_queue)


def _replaced(path: Path, patience_s: float, wait: Wait) -> int | None:
    """End whoever holds it, and whoever gets it before us; but who was started after us is not to be replaced by us."""
    asked: set[tuple[int, int | None]] = set()
    mine = (alive.start_ticks(os.getpid()) or 0, os.getpid())
    deadline = time.monotonic() + patience_s
    pause_s = 0.01
    while (descriptor := try_lock(path)) is None:
        other = holder(path)
        if other is not None and (who := (other.pid, other.start_ticks)) not in asked and _is_running(other):
            if (other.start_ticks or 0, other.pid) > mine:
                return None
            _end(other)
            asked.add(who)
            deadline, pause_s = time.monotonic() + patience_s, 0.01
        if time.monotonic() >= deadline or not wait(pause_s):
            return None
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return descriptor


def _is_running(other: Holder) -> bool:
    """Whether it is surely the wrapper that signed, on this box."""
    return other.boot_id == alive.boot_id() and alive.is_alive(other.pid, other.start_ticks)


def _end(other: Holder) -> None:
    """Ask the wrapper that holds the lock to end its run."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(other.pid, signal.SIGTERM)
