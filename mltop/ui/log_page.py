"""A screenful of a log: which lines, and where in the file. Reads the file, so it runs beside the loop (`aside`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mltop.jobs.log_file import ERRORS, LogFile
from mltop.system.text import clean

MOST_CHARACTERS = 4096
"""Of one line on the screen."""


@dataclass(frozen=True, slots=True)
class Want:
    """What to show."""

    kind: Literal["end", "at", "move", "find", "error"]
    rows: int
    top: int = 0
    """Offset of the line at the top now."""
    step: int = 0
    """Lines to move, or the direction to search in."""
    needle: str = ""
    hit: int | None = None
    """The line that was found before, to search on from."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """What is shown."""

    lines: tuple[tuple[int, str], ...] = ()
    size: int = 0
    end: int = 0
    """Offset behind the last line shown."""
    hit: int | None = None
    """Where the line begins that was searched for and found."""
    trouble: str = ""

    @property
    def top(self) -> int:
        """Offset of the first line."""
        return self.lines[0][0] if self.lines else 0


def read_page(path: Path, want: Want) -> LogPage:
    """Read it; raises nothing for a file that is gone, it says so."""
    try:
        with LogFile(path) as file:
            return _page(file, want)
    except OSError as error:
        gone = "the log is gone: the job's history keeps fewer" if error.errno == 2 else error.strerror
        return LogPage(trouble=f"{gone} ({path})")


def _page(file: LogFile, want: Want) -> LogPage:
    size = file.size
    hit: int | None = None
    top: int | None = min(want.top, size)
    if want.kind == "end":
        top = None
    elif want.kind == "move" and want.step < 0:
        above = file.before(want.top, -want.step)
        top = above[0][0] if above else 0
    elif want.kind == "move":
        ahead = file.after(want.top, want.step + 1)
        top = ahead[-1][0] if ahead else None
    elif want.kind in ("find", "error"):
        hit = _found(file, want)
        if hit is not None:
            above = file.before(hit, want.rows // 3)
            top = above[0][0] if above else hit
    lines = file.after(top, want.rows) if top is not None else []
    if len(lines) < want.rows:  # the end: as many lines as there is room for
        lines = file.before(size, want.rows)
    end = lines[-1][0] + len(lines[-1][1]) + 1 if lines else 0
    return LogPage(tuple((at, shown(data)) for at, data in lines), size, end, hit)


def _found(file: LogFile, want: Want) -> int | None:
    if want.kind == "error":
        return file.first(ERRORS, 0, is_foreign=True)
    needles = (want.needle.encode(),)
    if want.step < 0:
        return file.last(needles, want.hit if want.hit is not None else want.top)
    if want.hit is None:
        return file.first(needles, want.top)
    behind = file.after(want.hit, 2)
    return file.first(needles, behind[1][0]) if len(behind) > 1 else None


def shown(data: bytes) -> str:
    """A line as it is shown: what a carriage return wrote over is gone, and nothing controls the terminal."""
    data = data.rstrip(b"\r")
    return clean(_SEQUENCES.sub(b"", data.rpartition(b"\r")[2]).expandtabs(8), MOST_CHARACTERS)


_SEQUENCES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
"""Colours and cursor moves (ECMA-48 5.4): of a log, their text is noise."""
