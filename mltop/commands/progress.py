"""Watching a task: a bar on a terminal, plain lines elsewhere, and the signals that stop it between two blocks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from mltop.reports.plain import size
from mltop.tasks.outcome import Control, Exit, Progress
from mltop.tasks.summary import took

_EVERY_S = 10.0
"""Between two plain lines of one phase."""


class Cancellation:
    """SIGINT and SIGTERM while a task runs: the first asks it to stop and leave nothing half done, the second ends."""

    def __init__(self) -> None:
        self.number: int | None = None

    def is_asked(self) -> bool:
        """Whether the task is to stop."""
        return self.number is not None

    def code(self, code: int) -> int:
        """The exit code of a task that ended so: 130 and 143 tell who stopped it."""
        if code in (Exit.CANCELLED, Exit.TERMINATED) and self.number is not None:
            return 128 + self.number
        return code

    def take(self, number: int, frame: FrameType | None) -> None:
        """Note a signal."""
        self.number = number
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def watched(terminal: TextIO | None, say: Callable[[str], object]) -> Iterator[tuple[Control, Cancellation]]:
    """A task's control: progress as a bar on `terminal`, or as lines to `say` where there is none."""
    cancellation = Cancellation()
    before = [(number, signal.signal(number, cancellation.take)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        if terminal is None:
            yield Control(_Lines(say).tell, cancellation.is_asked), cancellation
        else:
            with _bar(terminal) as tell:
                yield Control(tell, cancellation.is_asked), cancellation
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def terminal_of(given: str | None) -> Iterator[TextIO | None]:
    """The terminal to draw a bar on: the one named by who looks, else our own standard error; `None` without one.

    A wrapped task has a pipe for its output and no terminal of its own.
    """
    path = given
    if path is None and os.isatty(2) and os.environ.get("TERM", "") not in ("", "dumb"):
        path = os.ttyname(2)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC) if path else -1
    except OSError:  # another user's
        descriptor = -1
    if descriptor < 0:
        yield None
        return
    with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - a descriptor
        yield stream


def say_on_error(line: str) -> None:
    """Progress for people goes to standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class _Lines:
    """A line for each phase, and one now and then while it lasts."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._phase = ""
        self._said_at = 0.0

    def tell(self, progress: Progress) -> None:
        """Say where a task is, unless that was said just now."""
        if progress.phase == self._phase and progress.elapsed_s < self._said_at + _EVERY_S:
            return
        is_new = progress.phase != self._phase
        self._phase, self._said_at = progress.phase, progress.elapsed_s
        if is_new and progress.files_total is not None:
            self._say(f"{progress.phase}: {progress.files_total} entries, {size(progress.bytes_total)}")
        elif is_new:
            self._say(progress.phase)
        else:
            self._say(f"{progress.phase}: {_done(progress)}, {took(progress.elapsed_s)}")


def _done(progress: Progress) -> str:
    of = f" of {size(progress.bytes_total)}" if progress.bytes_total is not None else ""
    return f"{progress.files} entries, {size(progress.bytes)}{of}"


@contextmanager
def _bar(terminal: TextIO) -> Iterator[Callable[[Progress], None]]:
    """Rich's bar, drawn when the task tells something: no thread of its own."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    width = os.get_terminal_size(terminal.fileno()).columns or 80
    console = Console(file=terminal, width=width, force_terminal=True, color_system="standard")
    phase = ""
    with Bar(*columns, console=console, transient=True, auto_refresh=False, expand=True) as bar:
        task = bar.add_task("", total=None)

        def tell(progress: Progress) -> None:
            nonlocal phase, task
            if progress.phase != phase:
                phase = progress.phase
                bar.remove_task(task)
                task = bar.add_task(f"{phase:<8}", total=progress.bytes_total)
            bar.update(task, completed=progress.bytes, refresh=True)

        yield tell
