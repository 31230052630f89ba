"""The memory limit of the control group that mltop runs in, for cgroup v2 and v1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mltop.sampling.host.mount import Mount, parse
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes

_V2_FILE = "memory.max"
_V1_FILE = "memory.limit_in_bytes"


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    top: Path
    """Where the part of the hierarchy that can be seen is mounted."""
    below: PurePosixPath
    """The group of this process, relative to `top`."""
    file: str


def memory_limit(roots: Roots) -> int | None:
    """The lowest memory limit, in bytes, of this process's group and the groups above it that can be seen.

    `None` where there is none, or none that can be read. A v1 sentinel (a number near 2**63) comes back as it is: the
    caller only takes what is lower than the host's memory.
    """
    try:
        groups = read_bytes(roots.proc / "self" / "cgroup").decode("utf-8", "surrogateescape").split("\n")
        mounts = parse(read_bytes(roots.proc / "self" / "mountinfo"))
    except OSError:
        return None
    limits = [limit for hierarchy in _hierarchies(roots, groups, mounts) for limit in _limits(hierarchy)]
    return min(limits, default=None)


def _hierarchies(roots: Roots, groups: list[str], mounts: list[Mount]) -> list[_Hierarchy]:
    found = []
    for line in groups:
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            mount = _mount_of(mounts, "cgroup2", None)
            file = _V2_FILE
        elif "memory" in controllers.split(","):
            mount = _mount_of(mounts, "cgroup", "memory")
            file = _V1_FILE
        else:
            continue
        if mount is not None:
            found.append(_Hierarchy(_place(roots, mount), _below(group, mount.root), file))
    return found


def _mount_of(mounts: list[Mount], fstype: str, controller: str | None) -> Mount | None:
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


def _limits(hierarchy: _Hierarchy) -> list[int]:
    limits = []
    for group in (hierarchy.below, *hierarchy.below.parents):
        try:
            text = read_bytes(hierarchy.top / group / hierarchy.file, 64)
            limits.append(int(text))
        except (OSError, ValueError):  # the root group has no such file; `max` is no limit
            continue
    return [limit for limit in limits if limit > 0]
