"""One process to signal, bound to who it was when it was chosen: a pid that was given away is never hit (M33)."""

from __future__ import annotations

import errno
import os
import signal
from datetime import datetime
from pathlib import Path

_START_TOLERANCE_S = 2.0
"""`started_at` has whole seconds, and the boot time in `/proc/stat` moves by one when the clock is set."""
_WORDS = {
    errno.EPERM: "not permitted: it belongs to somebody else",
    errno.ESRCH: "it has ended already",
    errno.EINVAL: "the kernel does not know this signal",
}


class Target:
    """A process held by a pidfd where the kernel has them, and by pid and start time everywhere."""

    def __init__(self, pid: int, started_at: str | None, root: Path = Path("/proc")) -> None:
        self.pid = pid
        self._root = root
        self._pidfd = _open(pid)
        self._started_ticks = _start_ticks(root, pid)
        self.is_same = self._started_ticks is not None and self._agrees(started_at)

    def _agrees(self, started_at: str | None) -> bool:
        """Whether the process that has the pid now is the one that was shown."""
        started = _started(self._root, self._started_ticks)
        if started_at is None or started is None:
            return started_at is None
        return is_same_start(started_at, started)

    def send(self, number: int) -> str | None:
        """Send a signal; `None` when it was sent, else why not, in words."""
        if self.pid <= 0:
            return "not a process of this machine"
        if not self.is_same or _start_ticks(self._root, self.pid) != self._started_ticks:
            return _WORDS[errno.ESRCH]
        try:
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self.pid, number)
        except OSError as error:
            return _WORDS.get(error.errno or 0, error.strerror)
        return None

    def close(self) -> None:
        """Let go of the process."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def is_same_start(one: str | float, other: str | float) -> bool:
    """Whether two starts of a pid are one: ISO 8601, or seconds since the epoch; any other text is only itself."""
    try:
        return abs(_seconds(one) - _seconds(other)) <= _START_TOLERANCE_S
    except ValueError:
        return one == other


def _seconds(start: str | float) -> float:
    return datetime.fromisoformat(start).timestamp() if isinstance(start, str) else start


def _open(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (OSError, OverflowError, AttributeError):  # Linux before 5.3, gone, or no pid at all
        return -1


def _start_ticks(root: Path, pid: int) -> int | None:
    """Field 22 of `/proc/PID/stat` (proc(5)): clock ticks after boot. Safe for a process in D state (M12)."""
    try:
        stat = (root / str(pid) / "stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _started(root: Path, ticks: int | None) -> float | None:
    """Seconds since the epoch."""
    if ticks is None:
        return None
    try:
        for line in (root / "stat").read_bytes().splitlines():
            if line.startswith(b"btime "):
                return int(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None
    return None
