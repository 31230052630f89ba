"""One look at one folder: what in it is old, why the rest stays, and which folders are below. It writes nothing.

A million files are a million of these loops, so the common file, one that is young, is passed with a few comparisons;
what is remembered of an old one is its name and eight bytes of everything that would show a change.
"""

# Descriptors
# ruff: noqa: PTH118

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.archive.target import is_target
from mltop.tasks.inuse import InUse
from mltop.tasks.outcome import os_reason

Parts = tuple[str, ...]
Below = tuple[str, int, int, float]
"""A folder below: name, inode, owner, and when it last changed (seconds since the epoch)."""
_DEPTH_MAX = 200
"""Anybody may make a tree in `/tmp` that takes for ever to reach the end of."""
_KIND = 0o170000
_FOLDER, _FILE, _LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds in all of one root. Times are seconds."""

    root: str
    device: int
    cutoff: float
    """Since the epoch: what was read, written or changed after it is young."""
    has_atime: bool
    own_uid: int | None
    """Only what belongs to this user; `None`: whoever owns it."""
    excludes: Excludes
    held: InUse
    held_inodes: frozenset[int]
    """Open, mapped or locked."""
    held_names: Mapping[str, frozenset[str]]
    """Of what is held, by folder: see `by_folder`."""
    mounts: Mapping[str, frozenset[str]]
    """Names of mount points, by folder."""


def by_folder(paths: Collection[str]) -> Mapping[str, frozenset[str]]:
    """Return the last components of absolute paths by the folder that each is in."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found.setdefault(folder or "/", set()).add(name)
    return {folder: frozenset(names) for folder, names in found.items()}


@dataclass(slots=True)
class Look:
    """What is in one folder. The columns of `names` are those of what is old, in order."""

    names: list[str] = field(default_factory=list)
    marks: array[int] = field(default_factory=lambda: array("q"))
    """Of inode, times and size: another file, or the same one read or written to, has another mark."""
    freed: array[int] = field(default_factory=lambda: array("q"))
    """Bytes on the disk that the removal of each frees: 0 for a file with other names."""
    latest: array[float] = field(default_factory=lambda: array("d"))
    """When each was last read, written or changed."""
    below: list[Below] = field(default_factory=list)
    linked: list[tuple[int, int]] = field(default_factory=list)
    """Inode and bytes of each file that has other names."""
    kept: dict[str, int] = field(default_factory=dict)
    """How many stay, by reason; nothing: all of it may go."""
    files: int = 0
    disk_bytes: int = 0
    """Of all files with one name."""
    problem: str | None = None
    has_changed: bool = False
    """Something in it went or came while it was looked at."""

    def keep(self, reason: str, count: int = 1) -> None:
        """Note that something stays."""
        self.kept[reason] = self.kept.get(reason, 0) + count

    def packed(self) -> tuple[object, ...]:
        """All of it in what `marshal` takes."""
        columns = (self.marks.tobytes(), self.freed.tobytes(), self.latest.tobytes())
        rest = (self.below, self.linked, self.kept, self.files, self.disk_bytes, self.problem, self.has_changed)
        return ("/".join(self.names), *columns, *rest)

    @classmethod
    def unpacked(cls, data: tuple[Any, ...]) -> Look:
        """The reverse of `packed`."""
        names, marks, freed, latest, *rest = data
        seen = cls(names.split("/") if names else [], array("q"), array("q"), array("d"), *rest)
        seen.marks.frombytes(marks)
        seen.freed.frombytes(freed)
        seen.latest.frombytes(latest)
        return seen


def mark_of(status: os.stat_result) -> int:
    """Return what tells whether a file still is the one that was looked at."""
    return hash((status.st_ino, status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns, status.st_size))


def look(fd: int, parts: Parts, terms: Terms) -> Look:
    """Look at the folder `parts` of a root, open as `fd`; never raises for what is on the disk."""
    found = Look()
    if is_target(fd):  # their age is for retention to judge, which never takes the last good one
        found.keep("archives")
        return found
    old: list[tuple[str, int, int, float]] = []
    try:
        with os.scandir(fd) as listing:
            _read(listing, parts, terms, found, old)
    except FileNotFoundError:
        found.has_changed = True
    except OSError as error:
        found.problem = os_reason(error)
    old.sort()
    found.below.sort()
    if old:
        names, marks, freed, latest = zip(*old, strict=True)
        found.names, found.marks = list(names), array("q", marks)
        found.freed, found.latest = array("q", freed), array("d", latest)
    return found


def _read(
    listing: Iterable[os.DirEntry[str]], parts: Parts, terms: Terms, found: Look, old: list[tuple[str, int, int, float]]
) -> None:
    folder = os.path.join(terms.root, *parts)
    others = _others(folder, parts, terms)
    device, cutoff, has_atime = terms.device, terms.cutoff, terms.has_atime
    surely_young, surely_old = floor(cutoff) + 1, floor(cutoff)
    held = terms.held_inodes
    held_names = terms.held_names.get(folder, frozenset())
    files = young = blocks = 0
    for entry in listing:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            found.has_changed = True
            continue
        mode, inode, on, names, uid, _, size, read, written, changed = status
        kind = mode & _KIND
        if others is not None or on != device or kind != _FILE:
            if (reason := _stays(entry.name, kind, on, others, terms)) is not None:
                found.keep(reason)
                continue
            if kind == _FOLDER:
                _below(entry.name, parts, status, terms, found)
                continue
        files += 1
        if names > 1:
            found.linked.append((inode, status.st_blocks * 512))
        else:
            blocks += status.st_blocks
        if kind == _FILE and (terms.own_uid is None or uid == terms.own_uid):
            latest = written if written > changed else changed
            if has_atime and read > latest:
                latest = read
            if latest >= surely_young:
                young += 1
                continue
            if latest < surely_old and inode not in held and entry.name not in held_names:
                mark = hash((inode, status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns, size))
                old.append((entry.name, mark, status.st_blocks * 512 if names == 1 else 0, latest))
                continue
        reason, moment = _old(folder, entry.name, status, kind, terms)
        if reason is None:
            old.append((entry.name, mark_of(status), status.st_blocks * 512 if names == 1 else 0, moment))
        else:
            found.keep(reason)
    found.files, found.disk_bytes = files, blocks * 512
    if young:
        found.keep("young", young)


@dataclass(frozen=True, slots=True)
class _Others:
    """What makes names of one folder special."""

    mounts: frozenset[str]
    excludes: Excludes | None
    prefix: str


def _others(folder: str, parts: Parts, terms: Terms) -> _Others | None:
    """What is to be asked of every name of a folder; `None`, as nearly always: nothing."""
    mounts = terms.mounts.get(folder, frozenset())
    excludes = terms.excludes if terms.excludes.patterns else None
    if not mounts and excludes is None:
        return None
    return _Others(mounts, excludes, "".join(f"{part}/" for part in parts))


def _stays(name: str, kind: int, device: int, others: _Others | None, terms: Terms) -> str | None:
    if device != terms.device or (others is not None and name in others.mounts):
        return "mount"
    if (
        others is not None
        and others.excludes is not None
        and others.excludes.match(others.prefix + name, kind == _FOLDER)
    ):
        return "excluded"
    return None


def _below(name: str, parts: Parts, status: os.stat_result, terms: Terms, found: Look) -> None:
    if status.st_ino in terms.held.locked:
        found.keep("locked")
    elif len(parts) >= _DEPTH_MAX:
        found.keep("too deep")
    else:
        found.below.append((name, status.st_ino, status.st_uid, max(status.st_mtime, status.st_ctime)))


def _old(folder: str, name: str, status: os.stat_result, kind: int, terms: Terms) -> tuple[str | None, float]:
    """Return why a file or link stays, `None` when it does not, and when it was last used."""
    latest = max(status.st_mtime, status.st_ctime)
    if terms.has_atime and kind != _LINK:
        latest = max(latest, status.st_atime)
    if kind not in (_FILE, _LINK):
        return "special", latest
    if terms.own_uid is not None and status.st_uid != terms.own_uid:
        return "other", latest
    if latest >= terms.cutoff:
        return "young", latest
    if status.st_ino in terms.held.locked:
        return "locked", latest
    return "open" if terms.held.holds(status.st_ino, f"{folder}/{name}") else None, latest
