"""Whether a process that was noted down is still that process: pid, start time and boot together."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def boot_id() -> str:
    """This boot's id; empty where the kernel does not tell."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def pid_namespace() -> int:
    """The inode of our pid namespace: a pid means nothing in another one. 0: not known."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - Path.stat follows no differently, and costs more
    except OSError:
        return 0


def stat_fields(pid: int) -> list[bytes] | None:
    """`/proc/PID/stat` after the name (proc(5)): state, ppid, pgrp, session, …; `None` where it is gone or hidden."""
    try:
        return (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def start_ticks(pid: int) -> int | None:
    """Clock ticks after boot at which a process started; safe for one in D state."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields and len(fields) > 19 else None


def name(pid: int) -> str:
    """The `comm` of a process; empty where it is gone."""
    try:
        return (_PROC / str(pid) / "comm").read_bytes().rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""


def is_alive(pid: int, ticks: int | None) -> bool:
    """Whether the process that had `pid` and started at `ticks` lives; a zombie does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    fields = stat_fields(pid)
    if fields is None:
        return True  # hidden from us (hidepid): the signal says that it is there
    return fields[0] not in (b"Z", b"X") and (ticks is None or int(fields[19]) == ticks)


def processes() -> list[int]:
    """Every process that we can see; none where there is no /proc."""
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 - names
    except OSError:
        return []


def of_run(run: str) -> list[int]:
    """Processes that carry a run's id in their environment, as far as we may look."""
    marker = f"MLTOP_RUN_ID={run}".encode()
    found = []
    for pid in processes():
        if (fields := stat_fields(pid)) and fields[0] != b"D":
            try:  # never of one in D state: its environment may be as stuck as itself (D4)
                words = (_PROC / str(pid) / "environ").read_bytes()
            except OSError:
                continue
            if marker in words.split(b"\0"):
                found.append(pid)
    return found
