"""What of the box itself mltop's jobs rest upon: the clock, room for processes, and a journal that can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, unknown, warning
from mltop.jobs.runner.journal import SOCKET
from mltop.jobs.user import local_user
from mltop.model.doctor import Symptom
from mltop.model.host_facts import Clock
from mltop.model.snapshot import Status
from mltop.sampling.host.clock import read_clock
from mltop.sampling.root import Roots

JOURNAL_GROUPS = ("systemd-journal", "adm", "wheel")
"""Who may read the system's journal (journalctl(1))."""
_FULL = 0.9


def look(scene: Scene, roots: Roots) -> Report:
    """Look at the box."""
    user, _ = local_user(scene.environment)
    found = [*_clock(roots), *_pids(roots)]
    if os.path.exists(SOCKET):  # noqa: PTH110 - a text
        found += journal(user, _groups(), is_root=scene.site.is_root)
    return Report(tuple(found))


def clock(told: Clock) -> Iterator[Symptom]:
    """Whether the time can be trusted; a container's is its host's to keep."""
    if told.status is not Status.OK or told.is_synchronised is None:
        return
    if told.is_synchronised:
        yield ok("box.clock", "the clock is kept by the network's time")
    else:
        what = "the clock is not synchronised: jobs may run at the wrong time"
        yield warning("box.clock", what, "timedatectl set-ntp true, or start chronyd")


def pids(used: int, limit: int, where: str) -> Symptom:
    """Room for a job's processes."""
    if used >= _FULL * limit:
        what = f"{used} of {limit} processes are in use: jobs may find no pid"
        return fault("box.pids", what, f"end what is not needed, or raise {where}", where)
    return ok("box.pids", f"{used} of {limit} processes are in use", where)


def journal(user: str, groups: frozenset[str], *, is_root: bool) -> Iterator[Symptom]:
    """A journal that hides others' lines looks as if nothing had happened."""
    if is_root or groups & frozenset(JOURNAL_GROUPS):
        yield ok("journal.group", f"{user} can read the system's journal")
    else:
        what = f"{user} sees only its own lines of the journal, and no word of others' timers"
        yield warning("journal.group", what, f"sudo usermod -aG {JOURNAL_GROUPS[0]} {user}, and log in again")


def _clock(roots: Roots) -> Iterator[Symptom]:
    try:
        yield from clock(read_clock(roots))
    except OSError as error:
        yield unknown("box.clock", f"the kernel does not tell: {error.strerror}", "timedatectl may")


def _pids(roots: Roots) -> Iterator[Symptom]:
    """The cgroup's limit where there is one, and the kernel's."""
    for used, limit in (
        (roots.sys / "fs/cgroup/pids.current", roots.sys / "fs/cgroup/pids.max"),
        (roots.proc / "loadavg", roots.proc / "sys/kernel/pid_max"),
    ):
        count, most = _number(used), _number(limit)
        if count is not None and most:
            yield pids(count, most, str(limit))


def _number(path: Path) -> int | None:
    """A file's number; of /proc/loadavg the threads that exist. `None`: no limit, or not told."""
    try:
        word = path.read_text("ascii", "replace").split()
        return int(word[3].partition("/")[2] if len(word) > 3 else word[0])
    except (OSError, ValueError, IndexError):
        return None


def _groups() -> frozenset[str]:
    """Ours, by the local table alone: a name service may hang (D4)."""
    ids = {os.getegid(), *os.getgroups()}
    try:
        lines = Path("/etc/group").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    found = set()
    for line in lines:
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdigit() and int(fields[2]) in ids:
            found.add(fields[0])
    return frozenset(found)
