"""Asking other programs side by side, for a reader's child: no standard input, one deadline, nobody waited for."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence

MOST_BYTES = 8 << 20
"""More than this of one program is cut."""
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Looked in after PATH: that of cron has no sbin."""
_CHUNK = 1 << 16


def find_program(name: str) -> str | None:
    """Where a program is, by PATH and then by the usual folders; `None` where it is not installed."""
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), *_FOLDERS):
        path = f"{folder}/{name}"
        if folder.startswith("/") and os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112 - speed
            return path
    return None


def outputs(commands: Mapping[str, Sequence[str]], deadline_s: float) -> dict[str, bytes | None]:
    """What each of some programs (by its full path) says on standard output; `None` of one that is not done in time.

    Those are killed and left. One that cannot be started says nothing (b"").
    """
    deadline = time.monotonic() + deadline_s
    said: dict[str, bytes | None] = {}
    pending: dict[int, str] = {}
    pids: dict[int, int] = {}
    for name, argv in commands.items():
        said[name] = b""
        try:
            pid, fd = _started(argv)
        except OSError:
            continue
        pending[fd], pids[fd] = name, pid
    while pending and (left := deadline - time.monotonic()) > 0:
        for fd in _ready(pending, left):
            data = os.read(fd, _CHUNK)
            before = said[pending[fd]] or b""
            said[pending[fd]] = before + data
            if not data or len(before) > MOST_BYTES:
                _end(fd, pids[fd], kill=bool(data))
                del pending[fd]
    for fd, name in pending.items():
        said[name] = None
        _end(fd, pids[fd], kill=True)
    return said


def _ready(fds: Mapping[int, str], wait_s: float) -> list[int]:
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return [fd for fd, _ in poller.poll(1000 * wait_s)]


def _started(argv: Sequence[str]) -> tuple[int, int]:
    """Start a program in a session of its own; its pid, and where its output is read. Raises OSError."""
    source, sink = os.pipe()
    null = os.devnull
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, sink, 1),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    try:
        pid = os.posix_spawn(argv[0], list(argv), environment | {"LC_ALL": "C"}, file_actions=actions, setsid=True)
    except OSError:
        os.close(source)
        raise
    finally:
        os.close(sink)
    return pid, source


def _end(fd: int, pid: int, *, kill: bool) -> None:
    os.close(fd)
    if kill:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
