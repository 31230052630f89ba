"""Asking another program: no standard input, a deadline, its two outputs apart, and no wait without end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from mltop.system.text import clean

DEADLINE_S = 5.0
MAX_BYTES = 16 << 20
_REAP_S = 1.0
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""cron's own PATH has no sbin, and a user's often has none either."""


class ProgramError(Exception):
    """A program that is not there, cannot be started, or does not answer; the reason in words."""


class MissingProgramError(ProgramError):
    """It is not installed."""


class Answer(msgspec.Struct, frozen=True):
    """What a program said."""

    code: int
    out: bytes
    err: bytes

    def complaint(self) -> str:
        """Its first words on standard error, else on standard output, else its code; harmless on a terminal."""
        for data in (self.err, self.out):
            for line in data.splitlines():
                if line.strip():
                    return clean(line.strip(), 200)
        return f"exit code {self.code}"


def find(name: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Where a program is, by PATH and then by the usual folders."""
    import shutil

    path = (os.environ if environment is None else environment).get("PATH", "")
    return shutil.which(name, path=os.pathsep.join(part for part in (path, *_PATH) if part))


def ask(
    argv: Sequence[str],
    deadline_s: float | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Answer:
    """Run a program to its end; raises ProgramError.

    It gets its own session, so that it can ask no terminal for a password, and starts in `folder`, else at the root:
    the working directory may be gone. One that a signal does not end is left.
    """
    base = os.environ if environment is None else environment
    deadline_s = DEADLINE_S if deadline_s is None else deadline_s
    program = find(argv[0], base)
    if program is None:
        raise MissingProgramError(f"no {argv[0]} on this box")
    try:
        child = _started([os.path.abspath(program), *argv[1:]], _spoken_plainly(base), folder)  # noqa: PTH100
    except OSError as error:
        raise ProgramError(f"{argv[0]} cannot be started: {error.strerror}") from None
    try:
        out, err = child.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        _abandon(child)
        raise ProgramError(f"{argv[0]} does not answer within {deadline_s:g} s") from None
    except BaseException:
        _abandon(child)
        raise
    if len(out) > MAX_BYTES:
        raise ProgramError(f"{argv[0]} said more than {MAX_BYTES >> 20} MiB")
    return Answer(child.returncode, out, err)


def _started(argv: Sequence[str], environment: Mapping[str, str], folder: Path | None) -> subprocess.Popen[bytes]:
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(
        argv, stdin=null, stdout=pipe, stderr=pipe, env=environment, start_new_session=True, cwd=folder or "/"
    )


def _spoken_plainly(environment: Mapping[str, str]) -> dict[str, str]:
    """English, without colours or a pager."""
    plain = {name: value for name, value in environment.items() if not name.startswith("LC_")}
    return plain | {
        "LC_ALL": "C",
        "SYSTEMD_COLORS": "0",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_LESS": "",
        "SYSTEMD_URLIFY": "0",
    }


def _abandon(child: subprocess.Popen[bytes]) -> None:
    """Kill its whole session; give it a moment to be reaped, and no more: one in D state is not ended by anything."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_REAP_S)
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    if child.returncode is None:
        child.returncode = -signal.SIGKILL  # told, not waited for: else the interpreter looks for it for ever
