"""How a task ends, what went wrong on the way, and how its caller watches and stops it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from enum import IntEnum

import msgspec

from mltop.system.text import clean


class Exit(IntEnum):
    """The exit codes of `mltop backup` (a public contract); cleanup and rotation use 0, 1, 2, 5 and the last two."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    """Done, but something of what was asked for is not in it."""
    VERIFY_FAILED = 4
    REFUSED = 5
    """A guard said no."""
    NO_SPACE = 6
    LOCKED = 7
    ENGINE = 8
    """An engine is missing or too old."""
    CANCELLED = 130
    TERMINATED = 143


def many(count: int, word: str) -> str:
    """`1 file`, `3 files`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


class TaskError(Exception):
    """A task that cannot go on: one line for people, a remedy where there is one, and the exit code."""

    code = Exit.FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(TaskError):
    """What was asked for makes no sense."""

    code = Exit.USAGE


class RefusedError(TaskError):
    """A guard stands in the way."""

    code = Exit.REFUSED


class NoSpaceError(TaskError):
    """The target is full, or would be."""

    code = Exit.NO_SPACE


class LockedError(TaskError):
    """Another run holds the lock."""

    code = Exit.LOCKED


class CorruptError(TaskError):
    """What was read back is not what was written."""

    code = Exit.VERIFY_FAILED


class EngineError(TaskError):
    """A library or a program that this needs is not there."""

    code = Exit.ENGINE


class CancelledError(TaskError):
    """The caller asked to stop."""

    code = Exit.TERMINATED


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that did not go as asked, by path."""

    kind: str
    """`unreadable`, `vanished`, `changed`, `special`, `left`, `mount`, `external`, `damaged`, `missing` …"""
    path: str
    """Cleaned for people; the exact bytes are in the manifest."""
    message: str
    hint: str | None = None


def problem(kind: str, path: str, message: str, hint: str | None = None) -> Problem:
    """Return a problem with its foreign text made harmless."""
    return Problem(kind=kind, path=display(path), message=clean(message), hint=hint and display(hint))


def display(path: str) -> str:
    """Return a path for people: one line, valid Unicode, whatever its bytes are."""
    return clean(os.fsencode(path), 4096)


def is_text(path: str) -> bool:
    """Whether a path is valid Unicode: its bytes are UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def os_reason(error: OSError) -> str:
    """Return an operating system's error as words with its name: `permission denied (EACCES)`."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return f"{(error.strerror or 'error').lower()} ({name})"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a task is; totals are `None` where nobody knows them."""

    phase: str
    """`scan`, `write`, `flush`, `verify`, `restore`, `cleanup`."""
    files: int
    files_total: int | None
    bytes: int
    bytes_total: int | None
    current: str
    elapsed_s: float
    """Seconds since the phase began."""


class Control:
    """The caller's window on a task: it is told how far the task is, and can stop it between any two blocks."""

    INTERVAL_S = 0.2

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        is_cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._tell = on_progress
        self._is_cancelled = is_cancelled
        self._phase = ""
        self._began = self._told = 0.0
        self._files = self._bytes = 0
        self._files_total: int | None = None
        self._bytes_total: int | None = None
        self._current = ""

    def check(self) -> None:
        """Raise `CancelledError` when the caller has asked to stop."""
        if self._is_cancelled is not None and self._is_cancelled():
            raise CancelledError("cancelled")

    def begin(self, phase: str, files_total: int | None = None, bytes_total: int | None = None) -> None:
        """Start a phase; its counts begin at zero."""
        self.check()
        self._phase, self._files, self._bytes, self._current = phase, 0, 0, ""
        self._files_total, self._bytes_total = files_total, bytes_total
        self._began = time.monotonic()
        self._told = 0.0
        self._report()

    def file(self, path: str) -> None:
        """One more file is at work."""
        self._files += 1
        self._current = path
        self._report()

    def wait(self, reason: str) -> None:
        """Nothing moves for now, and why."""
        self.check()
        self._current = reason
        self._report()

    def advance(self, count: int) -> None:
        """`count` bytes more are done."""
        self._bytes += count
        self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._told < self.INTERVAL_S:
            return
        self._told = now
        self.check()
        if self._tell is not None:
            self._tell(
                Progress(
                    phase=self._phase,
                    files=self._files,
                    files_total=self._files_total,
                    bytes=self._bytes,
                    bytes_total=self._bytes_total,
                    current=display(self._current),
                    elapsed_s=now - self._began,
                )
            )
