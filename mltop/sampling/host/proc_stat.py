"""The files of one process under `/proc/PID`: its `stat` line, its command line, its container."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.text import clean

FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO of include/linux/proc_ns.h."""
UNREADABLE_STATES = frozenset("DZXx")
"""States in which the command line is not asked for: it may block (D), or there is none any more."""
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD
_LAST_FIELD = 22  # splits after rss, the 24th field of proc_pid_stat(5)
_COMMAND_BYTES = 4096
_CONTAINER_ID = r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)"
_CONTAINER_NAME = r"/lxc(?:\.payload)?[./]([^/]+)|/machine-([^/]+)\.scope"


class Stat(msgspec.Struct, frozen=True):
    """What mltop takes of a stat line."""

    name: bytes
    """The comm: at most 15 bytes of anything, 63 for a kernel worker."""
    state: str
    ppid: int
    is_kernel: bool
    cpu_ticks: int
    """User and system time of all threads."""
    start_ticks: int
    """Since the boot."""
    rss_pages: int


def parse_stat(line: bytes) -> Stat:
    """Read a stat line; a comm may hold spaces and parentheses. Raises ValueError and IndexError."""
    opened, closed = line.index(b"("), line.rindex(b")")
    fields = line[closed + 2 :].split(None, _LAST_FIELD)
    return Stat(
        name=line[opened + 1 : closed],
        state=chr(fields[0][0]),
        ppid=int(fields[1]),
        is_kernel=int(fields[6]) & _KERNEL_THREAD != 0,
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
        rss_pages=int(fields[21]),
    )


def read_command(roots: Roots, pid: int, start_ticks: int) -> str | None:
    """The command line of a process; for a reader's child.

    `None` where it must not be asked (M12: the state is looked at again, right before), where the pid is another
    process by now, and where there is none. Raises OSError and ValueError.
    """
    stat = parse_stat(read_bytes(f"{roots.proc}/{pid}/stat", _COMMAND_BYTES))
    if stat.state in UNREADABLE_STATES or stat.start_ticks != start_ticks or stat.is_kernel:
        return None
    words = read_bytes(f"{roots.proc}/{pid}/cmdline", _COMMAND_BYTES).rstrip(b"\0 ").replace(b"\0", b" ")
    return clean(words) or None


def read_container(roots: Roots, pid: int) -> str | None:
    """The container of a process by its control groups: 12 digits of an engine's id, or the name; else `None`."""
    try:
        return parse_container(os.fsdecode(read_bytes(f"{roots.proc}/{pid}/cgroup")))
    except OSError:
        return None


def parse_container(groups: str) -> str | None:
    """Find a container in /proc/PID/cgroup, as Docker, Podman, containerd, CRI-O, LXC and machined name groups."""
    for line in groups.split("\n"):
        path = line.split(":", 2)[-1]
        identities = re.findall(_CONTAINER_ID, path)
        if identities:
            return str(identities[-1][:12])
        named = re.search(_CONTAINER_NAME, path)
        if named:
            return clean(named[1] or named[2], 64)
    return None


def is_first_pid_namespace(roots: Roots) -> bool:
    """Whether the pids here are those that the driver means (D16).

    By the namespace's inode; where that cannot be read, by kthreadd, which only the first namespace shows.
    """
    try:
        return Path(roots.proc / "self" / "ns" / "pid").readlink().name == FIRST_PID_NAMESPACE
    except OSError:
        pass
    try:
        return read_bytes(roots.proc / "2" / "comm", 64) == b"kthreadd\n"
    except OSError:
        return False
