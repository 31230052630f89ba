"""A run's log on standard output: all of it or its end, and as it grows."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from mltop.commands.jobs.asked import text
from mltop.commands.parser import ExitCode
from mltop.jobs.history.history import History
from mltop.jobs.log_cut import place_after_cut
from mltop.model.job import Run, RunState
from mltop.system.text import clean

_BLOCK = 1 << 16
_LONGEST = 4096
_PAUSE_S = 0.25


def show(run: Run, history: History, lines: int, *, is_followed: bool) -> int:
    """Write it, control characters made harmless; follows until the run has ended."""
    if run.log_path is None:
        sys.stderr.write(f"mltop jobs: the run {run.id} has no log{f': {run.reason}' if run.reason else ''}\n")
        return ExitCode.FAILED
    path = Path(run.log_path)
    try:
        log = _Log(path)
    except OSError as error:
        sys.stderr.write(f"mltop jobs: {path}: {error.strerror}\n")
        return ExitCode.FAILED
    try:
        if lines:
            log.skip_to_last(lines)
        while is_followed and run.state is RunState.RUNNING:
            if not log.write(is_whole=False):
                return ExitCode.DONE
            time.sleep(_PAUSE_S)
            run = history.run(run.id) or run
        log.write(is_whole=True)
    finally:
        log.close()
    return ExitCode.DONE


class _Log:
    """A log that may grow, and that is another file once it was cut to its cap."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._opened()
        self._offset = 0

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._descriptor)

    def skip_to_last(self, lines: int) -> None:
        """Go on where the last lines begin, looked for from the end."""
        at = end = os.fstat(self._descriptor).st_size
        if end and os.pread(self._descriptor, 1, end - 1) == b"\n":
            lines += 1
        while at > 0:
            size = min(_BLOCK, at)
            block = os.pread(self._descriptor, size, at - size)
            place = size
            while (place := block.rfind(b"\n", 0, place)) >= 0:
                lines -= 1
                if lines == 0:
                    self._offset = at - size + place + 1
                    return
            at -= size

    def write(self, *, is_whole: bool) -> bool:
        """Write what is new, in lines, one without an end only where nothing more will come; whether somebody reads."""
        while True:
            rest = b""
            at = self._offset
            while block := os.pread(self._descriptor, _BLOCK, at):
                at += len(block)
                *whole, rest = (rest + block).split(b"\n")
                if not text("".join(clean(line, _LONGEST) + "\n" for line in whole)):
                    return False
                if len(rest) > _LONGEST:  # shown cut; its end is awaited from here
                    text(clean(rest, _LONGEST) + "\n")
                    rest = b""
            self._offset = at - len(rest)
            if self._has_turned():
                continue
            if rest and is_whole:
                text(clean(rest, _LONGEST) + "\n")
                self._offset = at
            return True

    def _has_turned(self) -> bool:
        """Go over to the file that took this one's place, to where what was written here ends in it."""
        try:
            if self._path.stat().st_ino == os.fstat(self._descriptor).st_ino:
                return False
            descriptor = self._opened()
        except OSError:
            return False
        try:
            place = place_after_cut(self._descriptor, descriptor, self._offset)
            self._offset = os.fstat(descriptor).st_size if place is None else place
        except OSError:
            os.close(descriptor)
            return False
        os.close(self._descriptor)
        self._descriptor = descriptor
        return True
