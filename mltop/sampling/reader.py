"""Readings that may hang, made in children that can be abandoned (D1, D4, M11).

`statvfs` of a dead mount, `getpwuid` behind an LDAP server that is down and the command line of a process in trouble
can block in a state that no signal ends. So they are read by a forked child, in batches. One child serves as long as
nothing hangs; a child that does not get past an item in time is left with that item, and a fresh one goes on with the
rest. Nobody ever waits for the one that is stuck: when it answers at last, its answer is taken and it is ended.
"""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, NoReturn

import msgspec

from mltop.system.descriptor import write_all
from mltop.system.message import framed, unpacked
from mltop.system.process import Child, fork_child, set_name

PATIENCE_S = 0.25
"""How long a child may take for one item before a fresh child goes on with the rest."""
_BATCH = 64
_BATCH_BYTES = 32_768
"""Half of a pipe: a batch must fit, for a write must not block."""
_NAMED_ERRORS = (OSError, ValueError, LookupError)

Task = Callable[[Any], object]
"""What a child does with a key; keys and values go through msgpack, so a tuple arrives as a list."""


class Answer(msgspec.Struct, frozen=True):
    """What came back for one key; `at` is when, by `time.monotonic`."""

    value: Any
    at: float
    errno: int | None = None
    error: str | None = None
    """Why there is no value, in words."""


class _Item(msgspec.Struct, frozen=True):
    task: str
    key: Hashable


class _Worker(msgspec.Struct, eq=False):
    """A child, the items it has still to answer (the first is the one it is at), and since when it is at that one."""

    child: Child
    items: deque[_Item] = msgspec.field(default_factory=deque)
    since: float = 0.0
    buffer: bytearray = msgspec.field(default_factory=bytearray)


class Reader:
    """Asks for readings and keeps their answers until they are taken. For one thread; never waits."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._tasks: dict[str, Task] = {}
        self._most_stuck: dict[str, int] = {}
        self._queue: deque[_Item] = deque()
        self._outstanding: set[_Item] = set()
        self._answers: dict[str, dict[Hashable, Answer]] = {}
        self._active: _Worker | None = None
        self._stuck: list[_Worker] = []
        self._ending: list[Child] = []

    def learn(self, task: str, function: Task, most_stuck: int = 4) -> None:
        """Have `function` answer for `task`, before anything is asked; at most `most_stuck` may be stuck at a time."""
        if self._active is not None:
            raise RuntimeError(f"the child that serves was forked without {task}")
        self._tasks[task] = function
        self._most_stuck[task] = most_stuck
        self._answers[task] = {}

    def ask(self, task: str, key: Hashable) -> None:
        """Ask for a reading at the next poll, unless one of this key is, or too many of its kind are stuck."""
        item = _Item(task, key)
        if item not in self._outstanding and self._may_start(task):
            self._outstanding.add(item)
            self._queue.append(item)

    def take(self, task: str) -> dict[Hashable, Answer]:
        """Every answer to `task` since the last call, by key."""
        answers = self._answers[task]
        if answers:
            self._answers[task] = {}
        return answers

    def stuck_s(self, task: str, key: Hashable, now: float) -> float | None:
        """How long a child has been at this key without an answer; `None` when none is."""
        workers = self._stuck if self._active is None else [*self._stuck, self._active]
        for worker in workers:
            if worker.items and worker.items[0].key == key and worker.items[0].task == task:
                return max(0.0, now - worker.since)
        return None

    def is_idle(self) -> bool:
        """Whether everything asked for is answered or stuck."""
        return not self._queue and not (self._active and self._active.items)

    def filenos(self) -> list[int]:
        """Readable when there is something to poll for."""
        workers = self._stuck if self._active is None else [*self._stuck, self._active]
        return [worker.child.read_fd for worker in workers]

    def due_s(self, now: float) -> float | None:
        """Seconds until a poll is due though no child has said anything; `None` when nothing is under way."""
        if self._active is None or not self._active.items:
            return None
        return max(0.0, self._active.since + self._patience_s - now)

    def pids(self) -> list[int]:
        """The children that live, those that are stuck first."""
        return [worker.child.pid for worker in (*self._stuck, *([self._active] if self._active else []))]

    def poll(self, now: float) -> None:
        """Take what the children have said, leave one that is stuck, hand out what is waiting."""
        for worker in tuple(self._stuck):
            if self._hear(worker):
                self._stuck.remove(worker)
                self._end(worker)
        if self._active is not None:
            self._watch(self._active, now)
        self.hand_out(now)
        if self._ending:
            self._ending = [child for child in self._ending if child.reap() is None]

    def hand_out(self, now: float) -> None:
        """Have a child begin with what was asked for, where none is at work; takes nothing that children have said."""
        if self._queue and (self._active is None or not self._active.items):
            self._hand_out(now)

    def close(self) -> None:
        """End every child, without waiting for any."""
        for worker in (*self._stuck, *([self._active] if self._active else [])):
            self._end(worker)
        self._stuck.clear()
        self._active = None
        self._queue.clear()
        self._outstanding.clear()
        self._ending = [child for child in self._ending if child.reap() is None]

    def _watch(self, worker: _Worker, now: float) -> None:
        """The serving child: take its answers; leave it where it is at one item for too long."""
        self._hear(worker)
        if self._active is None or not worker.items or now - worker.since <= self._patience_s:
            return
        first = worker.items.popleft()
        self._queue.extendleft(reversed(worker.items))
        worker.items = deque([first])
        self._stuck.append(worker)
        self._active = None

    def _hear(self, worker: _Worker) -> bool:
        """Take a child's answers; whether there were any, or its end."""
        try:
            data = os.read(worker.child.read_fd, 1 << 18)
        except BlockingIOError:
            return False
        if not data:
            self._bury(worker)
            return True
        worker.buffer += data
        heard = False
        while (message := unpacked(worker.buffer)) is not None and worker.items:
            value, at, number, error = message
            self._settle(worker.items.popleft(), Answer(value, at, number, error))
            worker.since = max(worker.since, at)
            heard = True
        return heard

    def _bury(self, worker: _Worker) -> None:
        """A child died: what it was at has no answer, the rest is asked again."""
        if worker.items:
            self._settle(worker.items.popleft(), Answer(None, time.monotonic(), None, "its reader died"))
        self._queue.extendleft(reversed(worker.items))
        if worker is self._active:
            self._active = None
            self._end(worker)

    def _settle(self, item: _Item, answer: Answer) -> None:
        self._outstanding.discard(item)
        self._answers[item.task][item.key] = answer

    def _may_start(self, task: str) -> bool:
        return sum(worker.items[0].task == task for worker in self._stuck) < self._most_stuck[task]

    def _hand_out(self, now: float) -> None:
        """Give the serving child its next batch; never more than it has read, so that no write can block."""
        batch: list[_Item] = []
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if not self._may_start(item.task):
                self._outstanding.discard(item)
            elif len(batch) < _BATCH:
                batch.append(item)
            else:
                self._queue.append(item)
        if not batch:
            return
        message = _encoded(batch)
        while len(message) > _BATCH_BYTES and len(batch) > 1:
            self._queue.append(batch.pop())
            message = _encoded(batch)
        try:
            worker = self._active or self._fork()
            worker.items.extend(batch)
            worker.since = now
            _write(worker.child.write_fd, message)
        except BrokenPipeError:
            pass  # it has just died: the next poll hears of it, and asks the rest again
        except OSError as fault:  # no process to be had
            for item in batch:
                self._settle(item, Answer(None, now, fault.errno, f"cannot read: {fault.strerror}"))

    def _fork(self) -> _Worker:
        tasks = self._tasks
        self._active = _Worker(fork_child(lambda source, sink: _serve(tasks, source, sink)))
        return self._active

    def _end(self, worker: _Worker) -> None:
        worker.child.leave()
        self._ending.append(worker.child)


def _encoded(batch: list[_Item]) -> bytes:
    return msgspec.msgpack.encode([(item.task, item.key) for item in batch])


def _serve(tasks: dict[str, Task], source: int, sink: int) -> NoReturn:
    """The child: answer batches until the parent is gone."""
    set_name("mltop-reader")
    gc.disable()
    buffer = bytearray()
    try:
        while data := os.read(source, 1 << 16):
            buffer += data
            while (batch := unpacked(buffer)) is not None:
                for task, key in batch:
                    _write(sink, msgspec.msgpack.encode(_answer(tasks[task], key)))
    except BrokenPipeError:
        pass
    os._exit(0)


def _answer(function: Task, key: object) -> tuple[object, float, int | None, str | None]:
    """A value, when it was there, and the errno and words of a failure."""
    try:
        value = function(key)
    except _NAMED_ERRORS as fault:
        words = (fault.strerror if isinstance(fault, OSError) else None) or str(fault) or type(fault).__name__
        return None, time.monotonic(), getattr(fault, "errno", None), words
    return value, time.monotonic(), None, None


def _write(fd: int, message: bytes) -> None:
    write_all(fd, framed(message))
