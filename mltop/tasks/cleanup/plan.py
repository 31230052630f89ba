"""What would go: a walk through one folder that follows no link, leaves its file system nowhere, and writes nothing."""

# Descriptors, and a million files
# ruff: noqa: PTH118

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.cleanup.look import Below, Look, Parts, Terms, by_folder, mark_of
from mltop.tasks.cleanup.survey import FOLDER, survey
from mltop.tasks.inuse import InUse
from mltop.tasks.outcome import Control, Problem, problem

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

    folder: Parts
    name: str
    is_folder: bool
    device: int
    mark: int
    """Of a file: `look.mark_of`; of a folder: its inode, for its own times move when its files go."""
    disk_bytes: int
    """What its removal frees: 0 for a file with other names."""
    age_s: float

    def is_same(self, status: os.stat_result) -> bool:
        """Whether it still is what was planned."""
        if status.st_dev != self.device:
            return False
        return self.mark == (status.st_ino if self.is_folder else mark_of(status))


@dataclass(slots=True)
class RootPlan:
    """What is in one folder, what is to go, and why the rest stays."""

    path: str
    identity: tuple[int, int]
    files: int = 0
    disk_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    """How many stay, by reason: `young`, `open`, `locked`, `mount`, `other`, `special`, `archives`, `changed` …"""
    problems: list[Problem] = field(default_factory=list)
    now: float = 0.0
    looks: dict[Parts, Look] = field(default_factory=dict)
    leaving: set[Parts] = field(default_factory=set)
    """Folders that go with all in them."""
    unit: Unit = "file"

    @property
    def items(self) -> Iterator[Item]:
        """What is to go, one after the other; what is in a folder before the folder, its folders before its files."""
        pending: list[tuple[Parts, Below | None, bool]] = [((), None, False)]
        while pending:
            parts, itself, is_open = pending.pop()
            seen = self.looks[parts]
            if not is_open:
                pending.append((parts, itself, True))
                for each in reversed(seen.below):
                    below = (*parts, each[0])
                    if below in self.leaving or self.unit == "file":
                        pending.append((below, each, False))
                continue
            for name, mark, freed, moment in zip(seen.names, seen.marks, seen.freed, seen.latest, strict=True):
                yield Item(parts, name, False, self.identity[0], mark, freed, self.now - moment)
            if itself is not None and parts in self.leaving:
                yield Item(parts[:-1], itself[0], True, self.identity[0], itself[1], 0, self.now - itself[3])


def plan(root: str, job: CleanupJob, held: InUse, mounts: Collection[str], now: float, control: Control) -> RootPlan:
    """Return what of `root`, a real path, is to go. `now` is in seconds since the epoch."""
    fd = os.open(root, FOLDER)
    try:
        status = os.fstat(fd)
        has_atime = not os.fstatvfs(fd).f_flag & os.ST_NOATIME
        result = RootPlan(root, (status.st_dev, status.st_ino), now=now, unit=job.unit)
        if not has_atime:
            message = "mounted without access times: files have to lie still four times as long"
            result.problems.append(problem("noatime", root, message))
        terms = Terms(
            root=root,
            device=status.st_dev,
            cutoff=now - job.older_than_s * (1 if has_atime else _NO_ATIME_FACTOR),
            has_atime=has_atime,
            own_uid=os.geteuid() if job.own_only else None,
            excludes=Excludes(job.exclude),
            held=held,
            held_inodes=held.inodes | held.locked,
            held_names=by_folder(held.paths),
            mounts=by_folder(mounts),
        )
        result.looks = survey(fd, status.st_ino, terms, control)
    finally:
        os.close(fd)
    _add_up(result)
    _choose_folders(result, terms)
    return result


def _add_up(result: RootPlan) -> None:
    linked: dict[int, int] = {}
    for parts, seen in result.looks.items():
        result.files += seen.files
        result.disk_bytes += seen.disk_bytes
        linked.update(seen.linked)
        for reason, count in seen.kept.items():
            result.kept[reason] = result.kept.get(reason, 0) + count
        if seen.problem is not None:
            result.problems.append(problem("unreadable", os.path.join(result.path, *parts), seen.problem))
    result.disk_bytes += sum(linked.values())


def _choose_folders(result: RootPlan, terms: Terms) -> None:
    """Find the folders that are left empty, from the deepest up; never the root."""
    for parts in reversed(result.looks):
        for name, inode, uid, latest in result.looks[parts].below:
            below = (*parts, name)
            seen = result.looks[below]
            if _is_left_empty(below, seen, result.leaving) and _may_go(below, inode, uid, latest, seen, terms):
                result.leaving.add(below)


def _is_left_empty(parts: Parts, seen: Look, leaving: set[Parts]) -> bool:
    if seen.kept or seen.problem is not None or seen.has_changed:
        return False
    return all((*parts, name) in leaving for name, _, _, _ in seen.below)


def _may_go(parts: Parts, inode: int, uid: int, latest: float, seen: Look, terms: Terms) -> bool:
    """A folder goes with its last file; one that was empty before has to be old itself."""
    if terms.held.holds(inode, os.path.join(terms.root, *parts)) or terms.own_uid not in (None, uid):
        return False
    return bool(seen.names or seen.below) or latest < terms.cutoff
