"""Looks at all folders of a root; where there are many, a child for each further core takes its share of them."""

# Descriptors

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import select
import struct
import threading
import time
from collections.abc import Iterator

from mltop.system.descriptor import write_all
from mltop.system.process import Child, fork_child
from mltop.tasks.cleanup.look import Look, Parts, Terms, look
from mltop.tasks.outcome import Control, os_reason

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Task = tuple[Parts, int]
"""A folder to look at: its path below the root, and its inode."""
_ALONE = 20_000
"""Files after which help is worth a fork."""
_MOST = 4
"""Processes that look."""
_BATCH = 8
_REQUEST_MAX = 32 << 10
"""Of a batch's bytes: a pipe takes that much at once."""
_LENGTH = struct.Struct("=I")
_PIPE_BYTES = 1 << 20
_PATIENCE_S = 0.1


def survey(root_fd: int, inode: int, terms: Terms, control: Control, alone: int = _ALONE) -> dict[Parts, Look]:
    """Look at a root and everything below; a folder comes before those in it. The first `alone` files without help."""
    looks: dict[Parts, Look] = {}
    pending: list[Task] = [((), inode)]
    files = 0
    team: _Team | None = None
    try:
        while pending or (team is not None and team.is_busy):
            control.check()
            if team is None and files > alone and len(pending) > 1:
                team = _Team(root_fd, terms)
            done = [] if team is None else list(team.collect(wait=not pending))
            if team is not None:
                pending += team.lost
                team.lost.clear()
                team.give(pending)
            if pending:
                task = pending.pop()
                done.append((task[0], look_at(root_fd, task, terms)))
            for parts, seen in done:
                looks[parts] = seen
                files += seen.files
                pending += [((*parts, name), below) for name, below, _, _ in seen.below]
    finally:
        if team is not None:
            team.dismiss()
    return looks


def look_at(root_fd: int, task: Task, terms: Terms) -> Look:
    """Open a folder through no link and look at it; one that is another by now only stays."""
    parts, inode = task
    try:
        fd = open_below(root_fd, parts)
    except FileNotFoundError:
        return Look(has_changed=True)
    except OSError as error:
        return Look(problem=os_reason(error))
    try:
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (terms.device, inode):
            return Look(kept={"changed": 1})
        return look(fd, parts, terms)
    finally:
        os.close(fd)


def open_below(root_fd: int, parts: Parts) -> int:
    """Return a descriptor of a folder below a root, reached through no link; raises `OSError`."""
    fd = os.dup(root_fd)
    try:
        for part in parts:
            below = os.open(part, FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


class _Helper:
    def __init__(self, child: Child) -> None:
        self.child = child
        self.batch: list[Task] = []
        self.said = bytearray()


class _Team:
    """Children that look at the folders they are given; what one that died had is `lost`, and to be done again."""

    def __init__(self, root_fd: int, terms: Terms) -> None:
        self._helpers: list[_Helper] = []
        self.lost: list[Task] = []
        self._reading: dict[int, _Helper] = {}
        status = os.fstat(root_fd)

        def work(read_fd: int, write_fd: int) -> None:
            _work(read_fd, write_fd, (status.st_dev, status.st_ino), terms)

        if threading.active_count() > 1:  # only a process of one thread may fork
            return
        for _ in range(min(_MOST, len(os.sched_getaffinity(0))) - 1):
            with contextlib.suppress(OSError):  # no process left: the others do it
                child = fork_child(work)
                self._helpers.append(_Helper(child))
                self._reading[child.read_fd] = self._helpers[-1]
                with contextlib.suppress(OSError):  # more than this user may have: a smaller pipe is slower
                    fcntl.fcntl(child.read_fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def is_busy(self) -> bool:
        return any(each.batch for each in self._helpers)

    def give(self, pending: list[Task]) -> None:
        """Hand out what waits, but for the last one; a batch that no pipe takes at once stays."""
        for helper in [each for each in self._helpers if not each.batch]:
            count = min(_BATCH, len(pending) - 1)
            if count < 1:
                return
            batch = pending[:count]
            data = marshal.dumps(batch)
            if len(data) > _REQUEST_MAX:
                return
            try:
                os.write(helper.child.write_fd, _LENGTH.pack(len(data)) + data)
            except OSError:
                self._drop(helper)
                continue
            helper.batch = batch
            del pending[:count]

    def collect(self, *, wait: bool) -> Iterator[tuple[Parts, Look]]:
        """Yield what has been seen by now; with `wait` there may be nothing else to do for a moment."""
        if not self._reading:
            return
        for fd in select.select(list(self._reading), (), (), _PATIENCE_S if wait else 0)[0]:
            helper = self._reading[fd]
            try:
                data = os.read(fd, _PIPE_BYTES)
            except BlockingIOError:
                continue
            if not data:
                self._drop(helper)
                continue
            helper.said += data
            if len(helper.said) < _LENGTH.size:
                continue
            end = _LENGTH.size + _LENGTH.unpack_from(helper.said)[0]
            if len(helper.said) >= end:
                looks = marshal.loads(memoryview(helper.said)[_LENGTH.size : end])
                batch, helper.batch, helper.said = helper.batch, [], bytearray()
                yield from ((task[0], Look.unpacked(each)) for task, each in zip(batch, looks, strict=True))

    def _drop(self, helper: _Helper) -> None:
        self.lost += helper.batch
        helper.batch = []
        self._helpers.remove(helper)
        del self._reading[helper.child.read_fd]
        _end(helper.child)

    def dismiss(self) -> None:
        """Send all of them home."""
        for helper in self._helpers:
            _end(helper.child)


def _end(child: Child) -> None:
    """Kill one and collect it; one that is stuck in the kernel is left."""
    child.leave()
    deadline = time.monotonic() + _PATIENCE_S
    while child.reap() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def _work(read_fd: int, write_fd: int, identity: tuple[int, int], terms: Terms) -> None:
    """Be a helper: look at what is asked for, until nobody asks any more."""
    root_fd = os.open(terms.root, FOLDER)
    status = os.fstat(root_fd)
    if (status.st_dev, status.st_ino) != identity:
        return
    while len(head := os.read(read_fd, _LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        data = b""
        while len(data) < length:
            data += os.read(read_fd, length - len(data))
        looks = marshal.dumps([look_at(root_fd, task, terms).packed() for task in marshal.loads(data)])
        write_all(write_fd, _LENGTH.pack(len(looks)) + looks)
