"""What would go: a walk through one folder that follows no link, leaves its file system nowhere, and writes nothing."""

# Descriptors, and a million files
# ruff: noqa: PTH118

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.inuse import InUse
from mltop.tasks.outcome import Control, Problem, os_reason, problem

_DEPTH_MAX = 200
"""Anybody may make a tree in `/tmp` that is deeper than Python's stack."""
Unit = Literal["file", "top"]
_NO_ATIME_FACTOR = 4
"""Where reading leaves no trace, a file has to lie still four times as long."""


class CleanupJob(msgspec.Struct, frozen=True, kw_only=True):
    """Which folders to clean of what. Times are seconds."""

    paths: tuple[str, ...]
    older_than_s: float
    """Since a file was last read, written or changed (the latest of the three)."""
    unit: Unit = "file"
    """`top`: what lies directly in a folder goes as a whole, when nothing in it is younger."""
    own_only: bool = False
    """Only what belongs to this user, for folders that all share."""
    exclude: tuple[str, ...] = ()
    """Patterns of what stays, below each folder: as those of a backup."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is to go, and what it was when that was decided."""

    parts: tuple[str, ...]
    is_folder: bool
    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int
    size: int
    disk_bytes: int
    """What its removal frees: 0 for a file with other names."""
    age_s: float

    def is_same(self, status: os.stat_result) -> bool:
        """Whether it still is what was planned; a folder's own times moved when its files went."""
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            return False
        times = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        return self.is_folder or times == (self.mtime_ns, self.ctime_ns, self.size)


@dataclass(slots=True)
class RootPlan:
    """What is in one folder, what is to go, children before their folders, and why the rest stays."""

    path: str
    identity: tuple[int, int]
    items: list[Item] = field(default_factory=list)
    files: int = 0
    disk_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    """How many stay, by reason: `young`, `open`, `locked`, `mount`, `other`, `special`, `changed` …"""
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Branch:
    """What a walk says of one thing: what of it may go, and whether all of it may."""

    items: list[Item]
    is_whole: bool


def plan(root: str, job: CleanupJob, held: InUse, mounts: Collection[str], now: float, control: Control) -> RootPlan:
    """Return what of `root`, a real path, is to go. `now` is in seconds since the epoch."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        result = RootPlan(root, (status.st_dev, status.st_ino))
        has_atime = not os.fstatvfs(fd).f_flag & os.ST_NOATIME
        walk = _Walk(result, job, held, mounts, now, has_atime, control)
        walk.root(fd)
    finally:
        os.close(fd)
    return result


class _Walk:
    def __init__(
        self,
        result: RootPlan,
        job: CleanupJob,
        held: InUse,
        mounts: Collection[str],
        now: float,
        has_atime: bool,
        control: Control,
    ) -> None:
        self.result, self.job, self.held, self.mounts = result, job, held, mounts
        self.now, self.has_atime, self.control = now, has_atime, control
        self.uid = os.geteuid()
        self.excludes = Excludes(job.exclude)
        self.seen: set[int] = set()
        self.limit_s = job.older_than_s * (1 if has_atime else _NO_ATIME_FACTOR)
        if not has_atime:
            message = "mounted without access times: files have to lie still four times as long"
            result.problems.append(problem("noatime", result.path, message))

    def root(self, fd: int) -> None:
        for branch in self._children(fd, ()):
            if branch.is_whole or self.job.unit == "file":
                self.result.items += branch.items

    def _children(self, fd: int, parts: tuple[str, ...]) -> list[_Branch]:
        branches = []
        try:
            with os.scandir(fd) as listing:
                entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in listing]
        except FileNotFoundError:
            return [_Branch([], False)]
        except OSError as error:
            self._problem(parts, os_reason(error))
            return [_Branch([], False)]
        for name, status in sorted(entries):
            branches.append(self._one(fd, (*parts, name), status))
        return branches

    def _one(self, fd: int, parts: tuple[str, ...], status: os.stat_result) -> _Branch:
        path = os.path.join(self.result.path, *parts)
        if status.st_dev != self.result.identity[0] or path in self.mounts:
            return self._keep("mount")
        if self.job.exclude and self.excludes.match("/".join(parts), stat.S_ISDIR(status.st_mode)):
            return self._keep("excluded")
        if stat.S_ISDIR(status.st_mode):
            return self._folder(fd, parts, path, status)
        self.result.files += 1
        disk_bytes = status.st_blocks * 512
        if status.st_ino not in self.seen:
            self.result.disk_bytes += disk_bytes
        if status.st_nlink > 1:
            self.seen.add(status.st_ino)
            disk_bytes = 0
        reason = self._reason(path, status)
        return self._keep(reason) if reason else _Branch([self._item(parts, status, disk_bytes)], True)

    def _folder(self, fd: int, parts: tuple[str, ...], path: str, status: os.stat_result) -> _Branch:
        self.control.check()
        if status.st_ino in self.held.locked:
            return self._keep("locked")
        if len(parts) > _DEPTH_MAX:
            return self._keep("too deep")
        try:
            below = os.open(parts[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        except OSError as error:
            self._problem(parts, os_reason(error))
            return _Branch([], False)
        try:
            now = os.fstat(below)
            if (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
                return self._keep("changed")
            branches = self._children(below, parts)
        finally:
            os.close(below)
        items = [item for branch in branches for item in branch.items]
        is_whole = all(branch.is_whole for branch in branches) and self._folder_may_go(path, status, bool(items))
        if is_whole:
            items.append(self._item(parts, status, 0))
        return _Branch(items, is_whole)

    def _folder_may_go(self, path: str, status: os.stat_result, is_emptied: bool) -> bool:
        """A folder goes with its last file; one that was empty before has to be old itself."""
        if self.held.holds(status.st_ino, path) or (self.job.own_only and status.st_uid != self.uid):
            return False
        return is_emptied or self.now - max(status.st_mtime, status.st_ctime) > self.limit_s

    def _reason(self, path: str, status: os.stat_result) -> str | None:
        """Return why a file stays, or `None`."""
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            return "special"
        if self.job.own_only and status.st_uid != self.uid:
            return "other"
        if self._age(status) <= self.limit_s:
            return "young"
        if status.st_ino in self.held.locked:
            return "locked"
        return "open" if self.held.holds(status.st_ino, path) else None

    def _age(self, status: os.stat_result) -> float:
        atime = status.st_atime if self.has_atime and not stat.S_ISLNK(status.st_mode) else 0.0
        return self.now - max(atime, status.st_mtime, status.st_ctime)

    def _item(self, parts: tuple[str, ...], status: os.stat_result, disk_bytes: int) -> Item:
        return Item(
            parts=parts,
            is_folder=stat.S_ISDIR(status.st_mode),
            device=status.st_dev,
            inode=status.st_ino,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            size=status.st_size,
            disk_bytes=disk_bytes,
            age_s=self._age(status),
        )

    def _keep(self, reason: str) -> _Branch:
        self.result.kept[reason] = self.result.kept.get(reason, 0) + 1
        return _Branch([], False)

    def _problem(self, parts: tuple[str, ...], message: str) -> None:
        self.result.problems.append(problem("unreadable", os.path.join(self.result.path, *parts), message))
