"""The control groups that mltop runs in, for cgroup v2 and v1, and what they leave it: memory, pids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from mltop.model.host_facts import MemoryGroup, Pool
from mltop.model.snapshot import Status
from mltop.sampling.host.mount import Mount, parse
from mltop.sampling.host.sensor import word
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, read_int


class Group(msgspec.Struct, frozen=True):
    """One control group, as a folder that can be seen."""

    folder: Path
    is_v2: bool


def groups(roots: Roots, controller: str, pid: str = "self") -> list[Group]:
    """A process's group and the groups above it that can be seen, the innermost first. Raises OSError."""
    lines = read_bytes(roots.proc / pid / "cgroup").decode("utf-8", "surrogateescape").split("\n")
    mounts = parse(read_bytes(roots.proc / "self" / "mountinfo"))
    return [group for line in lines for group in _groups(roots, line, mounts, controller)]


def memory_limit(roots: Roots) -> int | None:
    """The lowest memory limit, in bytes, of this process's group and the groups above it that can be seen.

    `None` where there is none, or none that can be read. A v1 sentinel (a number near 2**63) comes back as it is: the
    caller only takes what is lower than the host's memory.
    """
    try:
        found = groups(roots, "memory")
    except OSError:
        return None
    limits = (read_int(_limit_file(group)) for group in found)  # `max` is no number
    return min((limit for limit in limits if limit is not None and limit > 0), default=None)


def read_memory_group(roots: Roots) -> MemoryGroup:
    """The group that leaves the smallest part of its limit; UNSUPPORTED where no limit is below the host's memory.

    What a group uses is without `inactive_file`, the cache that it can drop at once: Kubernetes' working set. Raises
    OSError and ValueError.
    """
    from mltop.sampling.host.memory import parse as parse_meminfo

    total = parse_meminfo(read_bytes(roots.proc / "meminfo", 4096)).get("MemTotal", 0)
    tightest: MemoryGroup | None = None
    for group in groups(roots, "memory"):
        limit = _limit(_limit_file(group))
        if limit is None or limit >= total:
            continue
        used = _working_set(group)
        if tightest is None or used / limit > (tightest.used_bytes or 0) / (tightest.limit_bytes or 1):
            tightest = MemoryGroup(age_s=0.0, limit_bytes=limit, used_bytes=used)
    return tightest or MemoryGroup(status=Status.UNSUPPORTED, reason="no memory limit of a control group")


def pid_pools(roots: Roots) -> Iterator[Pool]:
    """Tasks of each group that has a limit of them. Raises OSError and ValueError."""
    for group in groups(roots, "pids"):
        most = _limit(group.folder / "pids.max")
        if most is not None:
            yield Pool(name="control group", used=int(read_bytes(group.folder / "pids.current", 64)), most=most)


def group_oom_kills(roots: Roots) -> int | None:
    """Processes of this container that were killed for want of memory. Raises OSError.

    By the top of what it can see, where that is a group of its own; where it sees the whole tree, whose top counts
    nothing (cgroup v2), or the host's, by the group that this process is in.
    """
    found = groups(roots, "memory")
    if not found:
        return None
    own, top = found[0], found[-1]
    if own.is_v2 and top.is_v2 and (top.folder / "memory.events").exists():
        own = top
    text = read_bytes(own.folder / ("memory.events" if own.is_v2 else "memory.oom_control"))
    return _entries(text).get(b"oom_kill")


def is_frozen(roots: Roots, pid: str) -> bool:
    """Whether a process is paused with its group: the freezer of cgroup v1 shows it in state D for as long."""
    try:
        found = groups(roots, "freezer", pid)
    except OSError:
        return False
    return any(word(group.folder / "freezer.state") in ("FROZEN", "FREEZING") for group in found if not group.is_v2)


def _groups(roots: Roots, line: str, mounts: Sequence[Mount], controller: str) -> Iterator[Group]:
    number, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    is_v2 = number == "0" and not controllers
    if not is_v2 and controller not in controllers.split(","):
        return
    mount = _mount_of(mounts, "cgroup2", None) if is_v2 else _mount_of(mounts, "cgroup", controller)
    if mount is None:
        return
    top, below = _place(roots, mount), _below(path, mount.root)
    for group in (below, *below.parents):
        yield Group(top / group, is_v2)


def _mount_of(mounts: Sequence[Mount], fstype: str, controller: str | None) -> Mount | None:
    """Where a hierarchy is mounted; a v1 one has its controllers in the last part of its path (`/…/cpu,memory`)."""
    for mount in mounts:
        if mount.fstype == fstype and (controller is None or controller in mount.path.rpartition("/")[2].split(",")):
            return mount
    return None


def _place(roots: Roots, mount: Mount) -> Path:
    return roots.sys / mount.path.removeprefix("/sys/") if mount.path.startswith("/sys/") else Path(mount.path)


def _below(group: str, root: str) -> PurePosixPath:
    """The group's path below the mount.

    A container without a namespace of its own sees the host's path in /proc/self/cgroup and the same path as the root
    of the mount; a group outside what is mounted begins with `/..`.
    """
    relative = PurePosixPath(group)
    if ".." in relative.parts:
        return PurePosixPath()
    if relative.is_relative_to(root):
        return relative.relative_to(root)
    return PurePosixPath()


def _limit_file(group: Group) -> Path:
    return group.folder / ("memory.max" if group.is_v2 else "memory.limit_in_bytes")


def _limit(path: Path) -> int | None:
    """The limit in a group's file; the root group has no such file, and `max` is no limit.

    Raises OSError, and ValueError of one that makes no sense.
    """
    try:
        text = read_bytes(path, 64).strip()
    except FileNotFoundError:
        return None
    limit = None if text == b"max" else int(text)
    return limit if limit is not None and limit > 0 else None


def _working_set(group: Group) -> int:
    used = int(read_bytes(group.folder / ("memory.current" if group.is_v2 else "memory.usage_in_bytes"), 64))
    stat = _entries(read_bytes(group.folder / "memory.stat"))
    return max(0, used - stat.get(b"inactive_file" if group.is_v2 else b"total_inactive_file", 0))


def _entries(text: bytes) -> dict[bytes, int]:
    """Read lines of a name and a number."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
