"""What a verdict looks at among the processes: who waits for ever, who is dead and not buried, how many there are."""

from __future__ import annotations

import math
import os
from collections import Counter

import msgspec

from mltop.model.host_facts import Handles, Pids, Pool, Tasks, Waiting
from mltop.model.snapshot import Status
from mltop.sampling.host.cgroup import is_frozen, pid_pools
from mltop.sampling.host.proc_stat import parse_stat
from mltop.sampling.host.stuck_mount import uptime_s
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, read_int
from mltop.system.text import clean

_STAT_BYTES = 1024
_TIME_SERVICES = frozenset({
    b"chronyd", b"ntpd", b"ntpsec-ntpd", b"openntpd", b"phc2sys", b"ptp4l", b"systemd-timesyn", b"timemaster",
})  # fmt: skip
"""Programs that keep the clock and tell the kernel so, by comm (15 bytes).

The tools of VirtualBox's and VMware's guests may set the clock, and never tell.
"""
_OWN = b"mltop-"
"""mltop's own readers that hang at a mount or the driver: those say so themselves."""
_GPU_NAME = b"nvidia"
_MOST_WAITING = 64
_YOUNG_S = 300.0
"""A zombie of a process that began no longer ago is not counted: its parent may be about to collect it (GCM)."""
_MOST_DESCRIPTORS = 1024


class _Found(msgspec.Struct, frozen=True):
    pid: str
    line: bytes


def read_tasks(roots: Roots) -> Tasks:
    """All processes that can be seen, by their `stat` and nothing else that could block (M12).

    Raises OSError, and ValueError where no process makes sense.
    """
    proc = str(roots.proc)
    pids = [name for name in os.listdir(proc) if name.isdecimal()]  # noqa: PTH208 - speed
    waiting, parents, makes_no_sense = [], Counter[int](), False
    total, service, latest = 0, None, _latest_counted(roots)
    for pid in pids:
        try:
            line = read_bytes(f"{proc}/{pid}/stat", _STAT_BYTES)
            opened, closed = line.index(b"("), line.rindex(b")")
            state, name = line[closed + 2 : closed + 3], line[opened + 1 : closed]
            if state == b"D" and not name.startswith(_OWN):
                waiting.append(_Found(pid, line))
            elif state == b"Z":
                stat = parse_stat(line)
                parents[stat.ppid] += stat.start_ticks <= latest
            elif name in _TIME_SERVICES:
                service = clean(name, 64)
            total += 1
        except (ValueError, IndexError):
            makes_no_sense = True
        except OSError:
            continue  # it has just ended, or is hidden
    if not total and makes_no_sense:
        raise ValueError("no process in it")
    if not total:
        return Tasks(status=Status.UNSUPPORTED, reason="no process is to be seen in /proc")
    return Tasks(
        age_s=0.0,
        total=total,
        most=read_int(roots.proc / "sys/kernel/pid_max"),
        waiting=tuple(_waiting(roots, one) for one in waiting[:_MOST_WAITING] if not is_frozen(roots, one.pid)),
        zombies=parents.total(),
        worst_parent=_name(roots, parents.most_common(1)[0][0]) if parents.total() else None,
        time_service=service,
    )


def _latest_counted(roots: Roots) -> float:
    """When a zombie that counts began at the latest, in ticks since the boot; where that is not known, all count."""
    try:
        return (uptime_s(roots) - _YOUNG_S) * os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return math.inf


def _waiting(roots: Roots, found: _Found) -> Waiting:
    stat = parse_stat(found.line)
    return Waiting(
        pid=int(found.pid),
        name=clean(stat.name, 64),
        start_ticks=stat.start_ticks,
        cpu_ticks=stat.cpu_ticks,
        is_of_gpu=stat.name.startswith(_GPU_NAME) or _holds_gpu(roots, found.pid),
    )


def _holds_gpu(roots: Roots, pid: str) -> bool:
    """Whether a process has a device of the driver open, as far as that may be looked at."""
    folder = f"{roots.proc}/{pid}/fd"
    try:
        names = os.listdir(folder)[:_MOST_DESCRIPTORS]  # noqa: PTH208 - speed
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"{folder}/{name}").startswith("/dev/nvidia"):  # noqa: PTH115 - speed
                return True
        except OSError:
            continue
    return False


def _name(roots: Roots, pid: int) -> str:
    try:
        return f"{clean(read_bytes(roots.proc / str(pid) / 'comm', 64).strip(), 64)} ({pid})"
    except OSError:
        return str(pid)


def read_handles(roots: Roots) -> Handles:
    """Open files: `fs.file-nr` (proc_sys_fs(5)). Raises OSError, ValueError and IndexError."""
    fields = read_bytes(roots.proc / "sys/fs/file-nr", 128).split()
    allocated, free, most = int(fields[0]), int(fields[1]), int(fields[2])
    if most <= 0:
        raise ValueError("no maximum")
    return Handles(age_s=0.0, files=Pool(name="system", used=max(0, allocated - free), most=most))


def read_pids(roots: Roots) -> Pids:
    """Threads against `kernel.pid_max` and `kernel.threads-max`, and tasks against `pids.max` of the groups.

    Raises OSError, ValueError and IndexError.
    """
    threads = int(read_bytes(roots.proc / "loadavg", 256).split()[3].split(b"/")[1])
    limits = [read_int(roots.proc / "sys/kernel" / name) for name in ("pid_max", "threads-max")]
    known = [limit for limit in limits if limit is not None and limit > 0]
    if not known:
        raise ValueError("no kernel.pid_max")
    try:
        groups = tuple(pid_pools(roots))
    except OSError:  # no control groups here
        groups = ()
    return Pids(age_s=0.0, pools=(Pool(name="system", used=threads, most=min(known)), *groups))
