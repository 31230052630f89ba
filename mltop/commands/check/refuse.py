"""No verdict, and why: code 3, a line a reason, for JSON one document. Needs nothing of mltop that may be missing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

UNKNOWN = 3
"""The code of everything that is no verdict (a bad flag, a bad config, a crash, a signal)."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class _Run:
    """What became of this run so far."""

    ended_by: str | None = None
    """What has ended it, for where Python loses the exception: in a callback it has nobody to go to."""
    has_written = False
    """Half a report is on standard output: no document may follow it."""
    is_plugin = False
    is_process = False
    """A signal ends the process where it stands."""
    is_replacing = False
    """A file is being replaced: a signal lets that be cleaned up."""
    arguments: Sequence[str] = ()
    started = 0.0


_run = _Run()


class NoVerdictError(Exception):
    """There is no verdict; the lines say why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def guarded(
    arguments: Sequence[str], judge: Callable[[], int], *, is_process: bool = False, is_plugin: bool = False
) -> int:
    """Run it: its code, or 3 for whatever keeps it from one, a module that is missing and Ctrl-C too.

    Once that is settled no signal changes it any more; for good where the process is about to end (`is_process`). A
    plugin says on standard output what it has to say.
    """
    started = time.monotonic()
    if _run.is_process:  # within the guard of the process
        return _code(arguments, judge, started)
    _run.has_written, _run.is_plugin, _run.is_process = False, is_plugin, is_process
    _run.arguments, _run.started = arguments, started
    before = [(number, signal.signal(number, _end)) for number in _SIGNALS]
    try:
        return _code(arguments, judge, started)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        _run.ended_by = None
        if not is_process:
            for number, handler in before:
                signal.signal(number, handler)


def _code(arguments: Sequence[str], judge: Callable[[], int], started: float) -> int:
    try:
        try:
            code = judge()
        except SystemExit as ended:  # of --help
            code = ended.code if isinstance(ended.code, int) else UNKNOWN
        _flush()
        _stop_listening()
        return code
    except NoVerdictError as error:
        return refuse(arguments, error.lines, started)
    except KeyboardInterrupt:
        return refuse(arguments, ("interrupted",), started)
    except Exception as error:  # noqa: BLE001 - whatever it is: no verdict, never a WARNING by Python's code 1
        return refuse(arguments, (f"cannot judge: {type(error).__name__}: {error}",), started)


def _flush() -> None:
    """Else the interpreter does it, at its end, and has a code of its own for a full disk."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # what it still holds would be tried again
        raise NoVerdictError(f"standard output: {error.strerror}") from None


def end_if_told() -> None:
    """Raise NoVerdictError where a signal came whose exception was lost; asked before anything is written."""
    if _run.ended_by is not None:
        raise NoVerdictError(_run.ended_by)


def write_out(text: str) -> None:
    """Write to standard output, whole; raises OSError."""
    data = text.encode("utf-8", "replace")
    _run.has_written = True
    while data:
        data = data[os.write(1, data) :]


def refuse(arguments: Sequence[str], lines: Sequence[str], started: float | None = None) -> int:
    """There is no verdict: a line on standard error for each reason, and for JSON one document that says so.

    `started` by the monotonic clock, where it has.
    """
    _stop_listening()
    lines = [_line(line) for line in lines]
    if not _run.is_plugin:
        with contextlib.suppress(OSError):  # standard error may be closed
            os.write(2, "".join(f"mltop: {line}\n" for line in lines).encode("utf-8", "replace"))
    if _run.has_written:
        return UNKNOWN
    with contextlib.suppress(OSError):  # standard output may be what is wrong
        if _run.is_plugin or _wants(arguments, "nagios"):  # monitoring servers read nothing else
            write_out(f"MLTOP UNKNOWN - {lines[0].replace('|', '/')}"[:80] + "\n")
        elif _wants(arguments, "json"):
            write_out(_document(lines, time.monotonic() if started is None else started))
        elif _wants(arguments, "checkmk"):
            write_out(f'3 "mltop" - {lines[0]}\n')
    return UNKNOWN


def _stop_listening() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    """A signal is no verdict; so is the run's time being up. The first one counts."""
    if _run.ended_by is not None:
        return
    is_late = number == signal.SIGALRM
    reason = "not done in the time of this run (-t)" if is_late else f"ended by {signal.Signals(number).name}"
    _run.ended_by = reason
    if _run.is_process and not _run.is_replacing:
        # raised, it would go through C code too that is not made for it: msgspec's crashes while it makes a class
        os._exit(refuse(_run.arguments, (reason,), _run.started))
    raise NoVerdictError(reason)


@contextlib.contextmanager
def replacing() -> Iterator[None]:
    """While a file is replaced a signal is raised, so that nothing is left behind."""
    _run.is_replacing = True
    try:
        yield
    finally:
        _run.is_replacing = False


def _document(lines: Sequence[str], started: float) -> str:
    """`mltop.check/1` with every key, of a run that came to nothing; a test holds it against the schema.

    Written by hand: msgspec may be what is missing, and a signal may come in the middle of any import.
    """
    from mltop import __version__

    errors = ",".join(f'{{"message":{_quoted(line)},"where":null,"remedy":null}}' for line in lines)
    return (
        f'{{"schema":"mltop.check/1","version":{_quoted(__version__)},"host":{_quoted(_line(os.uname().nodename))},'
        f'"boot_id":null,"time":"{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}",'
        f'"duration_s":{time.monotonic() - started:.3f},"profile":"default","state":"UNKNOWN","exit_code":{UNKNOWN},'
        '"complete":false,"counts":{"ok":0,"warning":0,"critical":0,"unknown":0,"skip":0},"disabled":[],"results":[],'
        f'"errors":[{errors}]}}\n'
    )


def _quoted(text: str) -> str:
    """A printable text as JSON has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _wants(arguments: Sequence[str], name: str) -> bool:
    """Whether a format was asked for, by arguments that may be wrong."""
    line = f" {' '.join(arguments)} "
    words = [f"-f{name}", f"-f {name}", f"--format {name}", f"--format={name}"]
    return any(f" {word} " in line for word in (*words, f"--{name}"))


def _line(text: str) -> str:
    """A reason on one line, whatever is in it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:400].strip()
