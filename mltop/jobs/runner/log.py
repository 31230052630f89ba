"""The log of one run: a plain file of what the job wrote, in order of arrival, between two lines of mltop's own.

Beside it a `.times` file says when: `OFFSET MILLISECONDS-SINCE-THE-START` a line, for lines at least 0.1 s apart.
Beyond its cap a log keeps its first quarter and its last three, with a mark where something is cut. While a run lasts
the file may hold up to 1.75 times the cap. Where the disk is full the log is lost, and the job goes on.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from mltop.jobs.place import make
from mltop.jobs.runner.tail import Tail, last_error
from mltop.system.descriptor import write_all

PREFIX = "# mltop "
"""Begins the lines that mltop itself writes."""
CUT = f"{PREFIX}cut: %d bytes are left out here\n"
"""The mark, with how much that is, of all cuts together."""
_STEP_MS = 100
_BLOCK = 1 << 20
_SEARCHED_BYTES = 64 << 20
_LINE_BYTES = 4096


class _Cut(NamedTuple):
    """What was left out of a log: from the end of its head to an offset, behind which all moved."""

    head_bytes: int
    from_offset: int
    shift: int

    def moved(self, offset: int) -> int | None:
        """Where a line begins now; `None` where it is left out."""
        if offset < self.head_bytes:
            return offset
        return offset + self.shift if offset >= self.from_offset else None


class RunLog:
    """A run's log while it is written. No method raises: `fault` says what is wrong with the disk."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.fault: str | None = None
        self.size_bytes = 0
        self.is_cut = False
        self.tail = Tail()
        self._head_bytes = max(1, max_bytes // 4)
        self._tail_bytes = max(1, max_bytes - self._head_bytes)
        self._kept_head: int | None = None
        self._mark_bytes = 0
        self._left_out = 0
        self._start = time.monotonic()
        self._last_ms = -_STEP_MS
        self._at_line_start = True
        self._descriptor = self._times_descriptor = -1
        try:
            make(path.parent)
            self._descriptor = _create(path)
            self._times_descriptor = _create(path.with_suffix(".times"))
        except OSError as error:
            self._lose(error)

    def note(self, text: str) -> None:
        """Write a line of mltop's own."""
        line = f"{PREFIX}{text}\n" if self._at_line_start else f"\n{PREFIX}{text}\n"
        self._write(line.encode("utf-8", "replace"))

    def write(self, data: bytes) -> None:
        """Write what the job wrote."""
        self.tail.add(data)
        self._write(data)

    def last_error(self) -> str | None:
        """The last line of the job's that speaks of an error, wherever it stands, else its last line."""
        found = self.tail.last_error() or self._last_error()
        return found or next(reversed(self.tail.lines()), None)

    def _last_error(self) -> str | None:
        """The same from the file, from its end on."""
        rest = b""
        at = self.size_bytes
        while self._descriptor >= 0 and at > max(0, self.size_bytes - _SEARCHED_BYTES):
            size = min(_BLOCK, at)
            at -= size
            try:
                block = os.pread(self._descriptor, size, at) + rest
            except OSError:
                return None
            rest, _, whole = block.partition(b"\n") if at else (b"", b"", block)
            if found := last_error(whole, PREFIX.encode()):
                return found
            rest = rest[:_LINE_BYTES]
        return None

    def close(self) -> None:
        """Cut it to its cap and close it."""
        if self._descriptor >= 0 and self.size_bytes > self._head_bytes + self._tail_bytes:
            self._cut_whole()
        for descriptor in (self._descriptor, self._times_descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._times_descriptor = -1

    def _write(self, data: bytes) -> None:
        if not data or self._descriptor < 0:
            return
        try:
            self._stamp()
            view = memoryview(data)
            while view:
                written = os.write(self._descriptor, view)
                self.size_bytes += written
                view = view[written:]
        except OSError as error:
            self._lose(error)
            return
        self._at_line_start = data.endswith(b"\n")
        if self.size_bytes > self._head_bytes + 2 * self._tail_bytes:
            self._cut_whole()

    def _stamp(self) -> None:
        """Note when a line begins; never more often than ten times a second."""
        now_ms = int((time.monotonic() - self._start) * 1000)
        if self._at_line_start and now_ms - self._last_ms >= _STEP_MS:
            self._last_ms = now_ms
            os.write(self._times_descriptor, b"%d %d\n" % (self.size_bytes, now_ms))

    def _cut_whole(self) -> None:
        """Replace the file by its head, a mark and its tail: whole, so that a reader sees one or the other."""
        beside = self.path.with_name(f".{self.path.name}.new")
        try:
            descriptor = _create(beside)
        except OSError as error:
            self._lose(error)
            return
        try:
            cut = self._cut(descriptor)
            beside.rename(self.path)
        except OSError as error:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                beside.unlink()
            self._lose(error)
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.is_cut = True
        self._move_times(cut)

    def _cut(self, into: int) -> _Cut:
        head = self._head()
        from_offset = self.size_bytes - self._tail_bytes
        from_offset += os.pread(self._descriptor, _LINE_BYTES, from_offset).find(b"\n") + 1
        self._left_out += from_offset - len(head) - self._mark_bytes
        mark = (CUT % self._left_out).encode()
        self._mark_bytes = len(mark)
        write_all(into, head + mark)
        at = from_offset
        while block := os.pread(self._descriptor, _BLOCK, at):
            write_all(into, block)
            at += len(block)
        cut = _Cut(len(head), from_offset, len(head) + len(mark) - from_offset)
        self.size_bytes += cut.shift
        return cut

    def _head(self) -> bytes:
        """The first quarter, in whole lines where there are lines; the same at every cut."""
        if self._kept_head is None:
            head = os.pread(self._descriptor, self._head_bytes, 0)
            self._kept_head = head.rfind(b"\n") + 1 or len(head)
        head = os.pread(self._descriptor, self._kept_head, 0)
        return head if head.endswith(b"\n") else head + b"\n"

    def _move_times(self, cut: _Cut) -> None:
        """Have the times point at the same lines; from file to file, for a job that runs for weeks has millions."""
        path = self.path.with_suffix(".times")
        beside = path.with_name(f".{path.name}.new")
        try:
            descriptor = _create(beside)
        except OSError:
            return  # they are a help, no more
        try:
            with open(path, "rb") as old, open(descriptor, "wb", closefd=False) as new:  # noqa: PTH123
                for line in old:
                    offset, _, milliseconds = line.partition(b" ")
                    if (moved := cut.moved(int(offset))) is not None:
                        new.write(b"%d %s" % (moved, milliseconds))
            beside.rename(path)
        except (OSError, ValueError):
            os.close(descriptor)
            with contextlib.suppress(OSError):
                beside.unlink()
            return
        os.close(self._times_descriptor)
        self._times_descriptor = descriptor

    def _lose(self, error: OSError) -> None:
        """Give the log up; what is written stays."""
        self.fault = f"log lost: {error.strerror}"
        for descriptor in (self._descriptor, self._times_descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._times_descriptor = -1


def _create(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)
