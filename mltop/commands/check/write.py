"""What `mltop --check` writes: the report, or why there is none."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence

from mltop.system.text import clean

UNKNOWN = 3
"""The code of everything that is no verdict (a bad flag, a bad config, a crash, a signal)."""


class NoVerdictError(Exception):
    """There is no verdict; the lines say why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def write(text: str, path: str | None, code: int) -> int:
    """Write the report whole; one that could not be written is no verdict."""
    data = text.encode("utf-8", "replace")
    try:
        if path is not None:
            from pathlib import Path

            from mltop.system.file import write_atomic

            write_atomic(Path(path), data, 0o644)
            return code
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        raise NoVerdictError(f"{path or 'standard output'}: {error.strerror}") from None
    return code


def refuse(arguments: Sequence[str], lines: Sequence[str], started: float) -> int:
    """There is no verdict: a line on standard error for each reason, and for JSON one document that says so."""
    with contextlib.suppress(OSError, ValueError):  # standard error may be closed
        sys.stderr.write("".join(f"mltop: {line}\n" for line in lines))
        sys.stderr.flush()
    if _wants_json(arguments):
        from datetime import UTC, datetime

        from mltop import __version__
        from mltop.model.verdict import Mishap, Verdict
        from mltop.reports.json import text

        made = Verdict(
            version=__version__,
            host=clean(os.uname().nodename, 256),
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            duration_s=round(time.monotonic() - started, 3),
            errors=tuple(Mishap(message=line) for line in lines),
        )
        with contextlib.suppress(NoVerdictError):
            write(text(made), None, UNKNOWN)
    return UNKNOWN


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether JSON was asked for, by arguments that may be wrong."""
    line = f" {' '.join(arguments)} "
    return any(f" {words} " in line for words in ("--json", "-fjson", "-f json", "--format json", "--format=json"))
