"""What is known of one process between two readings."""

from __future__ import annotations

import os

from mltop.sampling.host.proc_stat import UNREADABLE_STATES, Stat
from mltop.system.text import clean

TICKS_PER_S: int = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")
_LEAST_GAP_S = 0.05
"""Clock ticks are 10 ms: a share of less than five of them is noise."""


class Entry:
    """One process by (pid, start time). Thousands of these live at once, so it is bare."""

    __slots__ = (
        "asked_command_at",
        "command",
        "container",
        "cpu_percent",
        "cpu_ticks",
        "digest",
        "gpus",
        "has_container",
        "is_kernel",
        "name",
        "pid",
        "ppid",
        "raw_name",
        "read_at",
        "rss_pages",
        "start_ticks",
        "started_at",
        "state",
        "uid",
        "user",
    )

    def __init__(self, pid: int, stat: Stat, digest: int, now: float) -> None:
        self.pid = pid
        self.start_ticks = stat.start_ticks
        self.is_kernel = stat.is_kernel
        self.cpu_percent: float | None = None
        """Of one CPU, since the reading before; `None` at first sight."""
        self.cpu_ticks = stat.cpu_ticks
        self.read_at = now
        self.gpus: tuple[int, ...] = ()
        self.uid: int | None = None
        self.user: str | None = None
        self.command: str | None = None
        self.asked_command_at: float | None = None
        self.started_at: str | None = None
        self.container: str | None = None
        self.has_container: bool | None = None
        self.raw_name = b""
        self.name = ""
        self._take(stat, digest)

    def _take(self, stat: Stat, digest: int) -> None:
        self.digest = digest
        self.state = stat.state
        self.ppid = stat.ppid
        self.rss_pages = stat.rss_pages
        if stat.name != self.raw_name:  # a new program in the same process: its line and its owner may be new too
            self.raw_name = stat.name
            self.name = f"[{clean(stat.name, 62)}]" if stat.is_kernel else clean(stat.name, 64)
            self.command = None
            self.asked_command_at = None
            self.uid = None

    def has_command(self) -> bool:
        """Whether there is a command line that may be asked for (M12)."""
        return not self.is_kernel and self.state not in UNREADABLE_STATES

    def update(self, stat: Stat, digest: int, now: float) -> None:
        """Take a later reading of the same process."""
        self._take(stat, digest)
        self.pass_time(now, max(0, stat.cpu_ticks - self.cpu_ticks), stat.cpu_ticks)

    def pass_time(self, now: float, used_ticks: int, cpu_ticks: int) -> None:
        """Work out the share of a CPU since the last reading."""
        elapsed = now - self.read_at
        if elapsed >= _LEAST_GAP_S:
            self.cpu_percent = round(100.0 * used_ticks / TICKS_PER_S / elapsed, 1)
            self.cpu_ticks = cpu_ticks
            self.read_at = now
