"""A program in a terminal of its own, and what it costs: CPU, memory, bytes, time to the first cell."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import re
import resource
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

PAGE = 65536
_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER = 36
_ODD_SEQUENCE = re.compile(rb"\x1b\[[<>=][0-9;:]*[A-Za-z]|\x1bP[^\x1b]*\x1b\\")  # pyte draws these
_QUERY = re.compile(rb"\x1b\[(?:0?c|6n|\?(\d+)\$p)|\x1bP\+q[^\x1b]*\x1b\\")


def adopt_orphans() -> None:
    """Become the parent of every orphan below, so that no process of a measured program gets away uncounted."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> set[int]:
    """Collect the dead; their CPU goes to our `RUSAGE_CHILDREN`."""
    dead = set()
    try:
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
            dead.add(pid)
    except ChildProcessError:
        pass
    return dead


def members(marker: bytes) -> list[int]:
    """The processes that have `marker` in their environment."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                environment = Path(entry.path, "environ").read_bytes()
            except OSError:
                continue
            if marker in environment:
                found.append(int(entry.name))
    return found


def cpu_of(pid: int) -> float:
    """CPU seconds of one process and of the children it waited for; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU of these processes and of the children they waited for, plus that of all we have reaped."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(cpu_of(pid) for pid in pids) + usage.ru_utime + usage.ru_stime


def memory_bytes(pids: Sequence[int]) -> int:
    """The proportional set size of these processes together."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        if found := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
            total += int(found[1]) * 1024
    return total


class Terminal:
    """One run of a program in a pty of `columns` x `rows`; `marker` is text that only its environment has."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], marker: str, columns: int = 120, rows: int = 40
    ) -> None:
        self.marker = marker.encode()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.is_watched = True
        self.byte_count = 0
        self.has_ended = False
        self.started_at = time.monotonic()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(argv[0], list(argv), dict(environment))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def pump(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Read what it writes for so long, or until the claim is true (then true)."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self.has_ended:
            if select.select([self._fd], [], [], min(left, 0.2))[0] and self._read() and until and until():
                return True
            if self.pid in reap():
                self.has_ended = True
        return bool(until and until())

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, PAGE)
        except OSError:
            data = b""
        if not data:
            self.has_ended = True
            return False
        self.byte_count += len(data)
        self._answer(data)
        if self.is_watched:
            self._stream.feed(_ODD_SEQUENCE.sub(b"", data))
        return True

    def _answer(self, data: bytes) -> None:
        """Answer what programs ask a terminal, as an xterm does: some wait for it."""
        for query in _QUERY.finditer(data):
            if query[1]:
                self.keys(b"\x1b[?" + query[1] + b";2$y")
            elif query[0].endswith(b"c"):
                self.keys(b"\x1b[?62;22c")
            elif query[0].endswith(b"n"):
                self.keys(b"\x1b[1;1R")
            else:
                self.keys(b"\x1bP0+r\x1b\\")

    def text(self) -> str:
        """The screen as it is."""
        return "\n".join(self.screen.display)

    def keys(self, data: bytes) -> None:
        """Type."""
        os.write(self._fd, data)

    def cpu_s(self) -> float:
        """CPU so far, comparable only with another call of the same run."""
        reap()
        return cpu_seconds(members(self.marker))

    def memory_bytes(self) -> int:
        """PSS of all its processes now."""
        return memory_bytes(members(self.marker))

    def close(self) -> float:
        """Press `q`, then Ctrl-C, then kill; returns the seconds from `q` to the end of the program."""
        start = time.monotonic()
        for keys in (b"q", b"\x03"):
            if not self.has_ended:
                try:
                    self.keys(keys)
                except OSError:
                    self.has_ended = True
                self.pump(2)
        took = time.monotonic() - start
        for pid in {*members(self.marker), *([] if self.has_ended else [self.pid])}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.close(self._fd)
        deadline = time.monotonic() + 2
        while members(self.marker) and time.monotonic() < deadline:
            reap()
        reap()
        return took
