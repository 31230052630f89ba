"""What is in the sources now: one walk, by `lstat`, sorted, folders before what is in them.

Nothing is opened. What cannot be read, does not belong (sockets, devices) or points out of the tree is a problem by
path; the walk goes on.
"""

# Names are surrogate-escaped strings and every microsecond is paid 100,000 times
# ruff: noqa: PTH100, PTH110, PTH111, PTH115, PTH116, PTH117, PTH118, PTH119

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mltop.tasks.archive.exclude import Excludes, is_cache
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import Source
from mltop.tasks.outcome import Control, Problem, RefusedError, UsageError, os_reason, problem

_HUB = re.compile(r"(^|/)(models|datasets|spaces)--[^/]+/(blobs|snapshots)/")
"""In a Hugging Face hub: its links are the weights, the newer ones to a blob store that repositories share."""


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
    """All that a walk found."""

    sources: tuple[Source, ...] = ()
    found: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What makes the backup partial."""
    notes: list[Problem] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    excluded: int = 0
    excluded_bytes: int = 0
    source_bytes: int = 0
    """Apparent size of all files, each inode once."""
    stored_bytes: int = 0
    """The same without the holes of sparse files."""

    @property
    def files(self) -> int:
        """How many files it found."""
        return sum(stat.S_ISREG(each.status.st_mode) for each in self.found)

    def fingerprint(self, job: BackupJob) -> str:
        """Return the hash of all that would show a change without reading a file, and of the options that choose."""
        digest = hashlib.sha256()
        options = (self.sources, job.exclude, job.exclude_caches, job.external)
        digest.update(repr(options).encode("utf-8", "backslashreplace"))
        for each in sorted(self.found, key=lambda found: found.name):
            s = each.status
            facts: tuple[object, ...] = (s.st_mode, s.st_uid, s.st_gid)
            if not stat.S_ISDIR(s.st_mode):
                # a folder's own times move with files that are excluded; its content is listed anyway
                facts = (*facts, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, s.st_dev, each.link)
            digest.update(repr((each.name, facts)).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()


def name_sources(paths: Iterable[str]) -> tuple[Source, ...]:
    """Return each source with its name in the tar: its last component, or the whole path where two are the same."""
    absolute = [os.path.abspath(os.path.expanduser(path)) for path in dict.fromkeys(paths)]
    names = [os.path.basename(path) or "root" for path in absolute]
    return tuple(
        Source(path=path, name=name if names.count(name) == 1 else path.strip("/"))
        for path, name in zip(absolute, names, strict=True)
    )


def scan(job: BackupJob, target_identity: tuple[int, int] | None, control: Control) -> Scan:
    """Walk all sources of `job`. `target_identity` is device and inode of the target folder, which is left out."""
    result = Scan(sources=name_sources(job.sources))
    walk = _Walk(job, result, target_identity, control)
    for source in result.sources:
        walk.source(source)
    # folder by folder: GNU tar sets a folder's time when it sees the first thing that is not in it
    result.found.sort(key=lambda found: found.name.split("/"))
    _check_exclusions(job, result)
    return result


def _check_exclusions(job: BackupJob, result: Scan) -> None:
    dropped = result.excluded_bytes
    if dropped > 9 * result.source_bytes and dropped > 1 << 20 and not job.allow_large_exclusions:
        raise RefusedError(
            f"the exclusions drop {dropped} of {dropped + result.source_bytes} bytes",
            "check exclude and exclude_caches, or allow it (allow_large_exclusions)",
        )


class _Walk:
    def __init__(self, job: BackupJob, result: Scan, target: tuple[int, int] | None, control: Control) -> None:
        self.job, self.result, self.target, self.control = job, result, target, control
        self.excludes = Excludes(job.exclude)
        self.counted: set[tuple[int, int]] = set()
        self.roots = tuple(os.path.realpath(source.path).rstrip("/") + "/" for source in result.sources)
        self.pending: list[tuple[str, str, str, tuple[tuple[int, int], ...]]] = []
        """Folders to list; a list and not recursion, because trees can be deeper than Python's stack."""

    def source(self, source: Source) -> None:
        root = os.path.realpath(source.path)
        try:
            status = os.stat(root)
        except OSError as error:
            self.result.missing.append(source.path)
            message = f"the source cannot be read: {os_reason(error)}"
            self.result.problems.append(problem("missing", source.path, message))
            return
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{source.path} is neither a folder nor a file")
        self._add(Found(root, source.name, status))
        if stat.S_ISDIR(status.st_mode):
            self.pending.append((root, source.name, "", ((status.st_dev, status.st_ino),)))
        while self.pending:
            self._folder(*self.pending.pop())

    def _folder(self, path: str, name: str, relative: str, above: tuple[tuple[int, int], ...]) -> None:
        self.control.check()
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            hint = f"give the user of this job the right to read it: setfacl -R -m u:USER:rX {path}"
            self._problem("unreadable", path, os_reason(error), hint)
            return
        for entry in entries:
            below = f"{relative}/{entry.name}" if relative else entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone between the listing and the look: as if it had gone a moment earlier
            except OSError as error:
                self._problem("unreadable", entry.path, os_reason(error))
                continue
            self._entry(entry.path, f"{name}/{entry.name}", below, status, above)

    def _entry(
        self, path: str, name: str, relative: str, status: os.stat_result, above: tuple[tuple[int, int], ...]
    ) -> None:
        is_folder = stat.S_ISDIR(status.st_mode)
        identity = (status.st_dev, status.st_ino)
        if is_folder and identity == self.target:
            self.result.notes.append(problem("target", path, "the target lies in the source: left out"))
        elif self.excludes.match(relative, is_folder) or (is_folder and self.job.exclude_caches and is_cache(path)):
            self.result.excluded += 1
            self.result.excluded_bytes += _weight(path, status)
        elif is_folder:
            if identity in above:
                self._problem("external", path, "a loop of links: not followed again")
                return
            self._add(Found(path, name, status))
            self.pending.append((path, name, relative, (*above, identity)))
        elif stat.S_ISLNK(status.st_mode):
            self._link(path, name, relative, status, above)
        elif stat.S_ISREG(status.st_mode):
            self._add(Found(path, name, status))
        else:
            self.result.notes.append(problem("special", path, "a socket, FIFO or device: not a file, left out"))

    def _link(
        self, path: str, name: str, relative: str, status: os.stat_result, above: tuple[tuple[int, int], ...]
    ) -> None:
        try:
            target = os.readlink(path)
        except OSError as error:
            self._problem("unreadable", path, os_reason(error))
            return
        kept = Found(path, name, status, link=target)
        resolved = os.path.realpath(path)
        in_hub = _HUB.search(path) is not None
        if not os.path.exists(resolved):
            self._dangling(kept, target, in_hub)
        elif f"{resolved}/".startswith(self.roots):
            if os.path.isabs(target):
                message = f"an absolute link into the source, to {target}: restored elsewhere it points back here"
                self.result.notes.append(problem("external", path, message))
            self._add(kept)
        elif self.job.external == "follow" or (self.job.external == "auto" and in_hub):
            self._follow(path, name, relative, resolved, above)
        else:
            self._external(kept, target)

    def _follow(self, path: str, name: str, relative: str, resolved: str, above: tuple[tuple[int, int], ...]) -> None:
        try:
            status = os.stat(resolved)
        except OSError as error:
            self._problem("unreadable", path, os_reason(error))
            return
        if stat.S_ISREG(status.st_mode):
            self.result.notes.append(problem("followed", path, f"holds the content of {resolved}"))
            self._add(Found(resolved, name, status, is_followed=True))
        else:
            self._entry(resolved, name, relative, status, above)

    def _dangling(self, kept: Found, target: str, in_hub: bool) -> None:
        self._add(kept)
        if in_hub:
            self._problem("dangling", kept.path, f"its content is not there: {target}", "download the model again")
        else:
            self.result.notes.append(problem("dangling", kept.path, f"a link to nothing: {target}"))

    def _external(self, kept: Found, target: str) -> None:
        self._add(kept)
        if self.job.external != "keep":
            message = f"a link out of the source, to {target}: only the link is in the archive"
            self._problem("external", kept.path, message, 'set external to "follow" or "keep"')

    def _add(self, found: Found) -> None:
        self.result.found.append(found)
        status = found.status
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode) and identity not in self.counted:
            if status.st_nlink > 1 or found.is_followed:
                self.counted.add(identity)
            self.result.source_bytes += status.st_size
            self.result.stored_bytes += _stored(status)

    def _problem(self, kind: str, path: str, message: str, hint: str | None = None) -> None:
        self.result.problems.append(problem(kind, path, message, hint))


def _stored(status: os.stat_result) -> int:
    """Return a file's size, or its blocks when it is mostly holes; compressing file systems are not taken for that."""
    blocks = status.st_blocks * 512
    return blocks if status.st_size > 1 << 20 and blocks < status.st_size // 8 else status.st_size


def _weight(path: str, status: os.stat_result) -> int:
    """Return how many bytes an excluded path holds, as far as it can be seen."""
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return sum(_sizes(path))


def _sizes(path: str) -> Iterator[int]:
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue  # only a sum for the guard
            yield status.st_size if stat.S_ISREG(status.st_mode) else 0
