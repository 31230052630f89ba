"""A run's log on standard output: all of it or its end, and as it grows."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from mltop.commands.parser import ExitCode
from mltop.jobs.history import History
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
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        sys.stderr.write(f"mltop jobs: {path}: {error.strerror}\n")
        return ExitCode.FAILED
    try:
        offset = _written(descriptor, _start(descriptor, lines) if lines else 0)
        while is_followed and run.state is RunState.RUNNING:
            time.sleep(_PAUSE_S)
            run = history.run(run.id) or run
            offset = _written(descriptor, offset)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads on: nothing to say at the end either
    finally:
        os.close(descriptor)
    return ExitCode.DONE


def _start(descriptor: int, lines: int) -> int:
    """Where the last lines begin, looked for from the end."""
    at = end = os.fstat(descriptor).st_size
    if end and os.pread(descriptor, 1, end - 1) == b"\n":
        lines += 1
    while at > 0:
        size = min(_BLOCK, at)
        block = os.pread(descriptor, size, at - size)
        place = size
        while (place := block.rfind(b"\n", 0, place)) >= 0:
            lines -= 1
            if lines == 0:
                return at - size + place + 1
        at -= size
    return 0


def _written(descriptor: int, offset: int) -> int:
    """Write whole lines from an offset on; where the next begins. A file that was cut is read from its new end."""
    if os.fstat(descriptor).st_size < offset:
        offset = os.fstat(descriptor).st_size
    rest = b""
    while block := os.pread(descriptor, _BLOCK, offset):
        offset += len(block)
        *whole, rest = (rest + block).split(b"\n")
        sys.stdout.write("".join(clean(line, _LONGEST) + "\n" for line in whole))
        rest = rest[-_LONGEST:]
    if rest:
        sys.stdout.write(clean(rest, _LONGEST) + "\n")
    sys.stdout.flush()
    return offset
