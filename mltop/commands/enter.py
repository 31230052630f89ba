"""Entering the wrapper from a command: the same run as the schedule's, its report handed back (D29)."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from mltop.commands.output import Complaint
from mltop.tasks.outcome import Exit

_VARIABLE = "MLTOP_TASK"
_OVERLAP = 75
"""The wrapper's code for a run that did not start (interface)."""
Report = TypeVar("Report", bound=msgspec.Struct)


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a command says to the task that the wrapper starts for it, in the task's environment."""

    report: str | None = None
    """Where the report is to be written, as JSON."""
    terminal: str | None = None
    """The terminal to draw progress on."""
    force: bool = False
    accept_clock: bool = False


def orders() -> Orders:
    """Return what this task was told; nothing where the schedule started it."""
    try:
        return msgspec.json.decode(os.environ.get(_VARIABLE, "{}"), type=Orders)
    except msgspec.MsgspecError:
        return Orders()


def hand_back(report: msgspec.Struct) -> None:
    """Write the report where the command that waits for it wants it; one that cannot be written is in the log alone."""
    path = orders().report
    if path is None:
        return
    from mltop.system.file import write_atomic

    with contextlib.suppress(OSError):  # the folder of another user, or of a command that has ended
        write_atomic(Path(path), msgspec.json.encode(report))


def run_wrapped(
    job: str, options: argparse.Namespace, kind: type[Report], more: Orders | None = None
) -> tuple[int, Report | None]:
    """Run a job by the wrapper, in this process; the exit code, and its report where it made one.

    With `--json` what a person would see of the run is shown on standard error.
    """
    from mltop.commands import run

    words = [job]
    for option, value in (("--config", options.config), ("--state-dir", options.state_dir)):
        words += [option, value] if value else []
    with tempfile.TemporaryDirectory(prefix="mltop-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "report.json"
        told = msgspec.structs.replace(more or Orders(), report=str(path), terminal=_terminal())
        with _environment(told), _output_on_error() if options.json else contextlib.nullcontext():
            code = run.main(words)
        return Exit.LOCKED if code == _OVERLAP else code, _read(path, kind)


def without_report(job: str, code: int) -> Complaint:
    """What to say of a run that handed nothing back."""
    if code == Exit.LOCKED:
        message = "another run of this job is at work"
    else:
        message = f"the run ended with code {code} and no report; its log has why"
    return Complaint(message=message, where=job, remedy=f"mltop jobs logs {job}")


def _terminal() -> str | None:
    if os.isatty(1) and os.environ.get("TERM", "") not in ("", "dumb"):
        with contextlib.suppress(OSError):
            return os.ttyname(1)
    return None


@contextlib.contextmanager
def _environment(told: Orders) -> Iterator[None]:
    os.environ[_VARIABLE] = msgspec.json.encode(told).decode()
    try:
        yield
    finally:
        del os.environ[_VARIABLE]


@contextlib.contextmanager
def _output_on_error() -> Iterator[None]:
    """Let nothing but the document go to standard output."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _read(path: Path, kind: type[Report]) -> Report | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
