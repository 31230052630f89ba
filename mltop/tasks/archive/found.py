"""What a walk through the sources finds, one thing at a time, and the sum of it all."""

# Names are surrogate-escaped strings
# ruff: noqa: PTH100, PTH111, PTH119

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import Source
from mltop.tasks.outcome import Problem

LARGE_BYTES = 1 << 20
"""A file above this is missed when it goes away while its backup is made."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a source: where it is, what it is called in the tar, and its `lstat` (`stat` when followed)."""

    path: str
    name: str
    status: os.stat_result
    link: str | None = None
    is_followed: bool = False


@dataclass(slots=True)
class Scan:
    """What a walk found, but for the things themselves: a source may have millions."""

    sources: tuple[Source, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    """What makes the backup partial."""
    notes: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    count: int = 0
    """All things, folders and links too."""
    files: int = 0
    excluded: int = 0
    excluded_bytes: int = 0
    source_bytes: int = 0
    """Apparent size of all files, each inode once."""
    stored_bytes: int = 0
    """The same without the holes of sparse files."""
    names: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of all names, eight bytes each."""
    large: dict[int, str] = field(default_factory=dict)
    """The names of the files that are missed whoever had them, by their hashes."""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def fingerprint(self, job: BackupJob) -> str:
        """Return the hash of all that would show a change without reading a file, and of the options that choose."""
        digest = self.digest.copy()
        options = (self.sources, job.exclude, job.exclude_caches, job.external)
        digest.update(repr(options).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()


def facts_of(found: Found) -> tuple[object, ...]:
    """Return what would show a change; a folder's own times move with files that are excluded, its list is walked."""
    s = found.status
    if stat.S_ISDIR(s.st_mode):
        return s.st_mode, s.st_uid, s.st_gid
    times = (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev)
    return (s.st_mode, s.st_uid, s.st_gid, *times, found.link)


def name_sources(paths: Iterable[str]) -> tuple[Source, ...]:
    """Return each source with its name in the tar: its last component, or the whole path where two are the same."""
    absolute = [os.path.abspath(os.path.expanduser(path)) for path in dict.fromkeys(paths)]
    names = [os.path.basename(path) or "root" for path in absolute]
    return tuple(
        Source(path=path, name=name if names.count(name) == 1 else path.strip("/"))
        for path, name in zip(absolute, names, strict=True)
    )


def path_of(name: str, sources: Iterable[Source]) -> str:
    """Return where the thing called `name` in the tar was."""
    for source in sources:
        if name == source.name or name.startswith(source.name + "/"):
            return source.path + name[len(source.name) :]
    return name
