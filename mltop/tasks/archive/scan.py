"""What is in the sources now: one walk, by `lstat`, sorted, folders before what is in them.

Nothing is opened. What cannot be read, does not belong (sockets, devices) or points out of the tree is a problem by
path; the walk goes on.
"""

# Names are surrogate-escaped strings and every microsecond is paid 100,000 times
# ruff: noqa: PTH110, PTH116, PTH117, PTH118

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from mltop.tasks.archive.exclude import Excludes, is_cache
from mltop.tasks.archive.far import link_of, names_in, status_of
from mltop.tasks.archive.found import LARGE_BYTES, Found, Scan, facts_of, name_sources
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.mount import kernel_mounts
from mltop.tasks.archive.new_file import is_at_work
from mltop.tasks.archive.record import Source
from mltop.tasks.outcome import Control, Problem, RefusedError, UsageError, os_reason, problem

_HUB = re.compile(r"(^|/)(models|datasets|spaces)--[^/]+/(blobs|snapshots)/")
"""In a Hugging Face hub: its links are the weights, the newer ones to a blob store that repositories share."""


def scan(
    job: BackupJob,
    target_identity: tuple[int, int] | None,
    control: Control,
    look: Callable[[Found], Problem | None] | None = None,
) -> Scan:
    """Walk all sources of `job` for their sum. `target_identity` is device and inode of the target, which is left out.

    `look` says what is wrong with a thing itself; that is a problem where the job is strict, else a note.
    """
    result = Scan()
    for found in walk(job, target_identity, control, result):
        if look is not None and (fault := look(found)) is not None:
            (result.problems if job.strict_models else result.notes).append(fault)
    _check_exclusions(job, result)
    return result


def walk(job: BackupJob, target_identity: tuple[int, int] | None, control: Control, result: Scan) -> Iterator[Found]:
    """Yield what is in the sources of `job`, folder by folder, and note in `result` what there is to say of it.

    A folder comes before what is in it, and all that is in it before anything else: GNU tar sets a folder's time when
    it sees the first thing that is not in it.
    """
    result.sources = name_sources(job.sources)
    of = _Walk(job, result, target_identity, control)
    for source in sorted(result.sources, key=lambda each: each.name.split("/")):
        yield from of.source(source)


def _check_exclusions(job: BackupJob, result: Scan) -> None:
    dropped = result.excluded_bytes
    if dropped > 9 * result.source_bytes and dropped > 1 << 20 and not job.allow_large_exclusions:
        raise RefusedError(
            f"the exclusions drop {dropped} of {dropped + result.source_bytes} bytes",
            "check exclude and exclude_caches, or allow it (allow_large_exclusions)",
        )


class _Folder(NamedTuple):
    path: str
    name: str
    """In the tar."""
    relative: str
    """Below its source."""
    above: tuple[tuple[int, int], ...]
    """Device and inode of it and all that it is in."""


class _Walk:
    def __init__(self, job: BackupJob, result: Scan, target: tuple[int, int] | None, control: Control) -> None:
        self.job, self.result, self.target, self.control = job, result, target, control
        self.excludes = Excludes(job.exclude)
        self.counted: set[tuple[int, int]] = set()
        self.roots = tuple(os.path.realpath(source.path).rstrip("/") + "/" for source in result.sources)
        self.below: _Folder | None = None
        """The folder that was found just now, to be gone into next."""

    @cached_property
    def kernel_mounts(self) -> dict[int, str]:
        """Asked for where a source has another file system in it."""
        return kernel_mounts()

    def source(self, source: Source) -> Iterator[Found]:
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
        yield self._add(Found(root, source.name, status))
        if not stat.S_ISDIR(status.st_mode):
            return
        # a list and not recursion: trees can be deeper than Python's stack
        open_folders = [self._open(_Folder(root, source.name, "", ((status.st_dev, status.st_ino),)))]
        while open_folders:
            folder, names = open_folders[-1]
            if not names:
                open_folders.pop()
                continue
            found = self._of(folder, names.pop())
            if found is not None:
                yield found
            if self.below is not None:
                open_folders.append(self._open(self.below))
                self.below = None

    def _open(self, folder: _Folder) -> tuple[_Folder, list[str]]:
        """Return the names in a folder, the first one last: they go as they are used, for there may be a million."""
        self.control.check()
        try:
            return folder, sorted(names_in(folder.path), reverse=True)
        except OSError as error:
            self._not_listed(folder, error)
            return folder, []

    def _not_listed(self, folder: _Folder, error: OSError) -> None:
        if folder.relative and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            # what was in it is missed by its names
            self.result.notes.append(problem("vanished", folder.path, "it went away before it was read"))
            return
        hint = "check the disk"
        if isinstance(error, PermissionError):
            right = f"setfacl -R -m u:USER:rX {shlex.quote(folder.path)}"
            hint = f"give the user of this job the right to read it: {right}"
        self._problem("unreadable", folder.path, os_reason(error), hint)

    def _of(self, folder: _Folder, name: str) -> Found | None:
        below = f"{folder.relative}/{name}" if folder.relative else name
        path = f"{folder.path}/{name}" if folder.path != "/" else f"/{name}"
        try:
            status = status_of(path)
        except FileNotFoundError:
            return None  # gone between the listing and the look: as if it had gone a moment earlier
        except OSError as error:
            self._problem("unreadable", path, os_reason(error))
            return None
        mode = status.st_mode
        if stat.S_ISREG(mode) and not is_at_work(name) and not self.excludes.match(below, is_folder=False):
            return self._add(Found(path, f"{folder.name}/{name}", status))  # as nearly all are
        return self._entry(path, f"{folder.name}/{name}", below, status, folder.above)

    def _entry(
        self, path: str, name: str, relative: str, status: os.stat_result, above: tuple[tuple[int, int], ...]
    ) -> Found | None:
        is_folder = stat.S_ISDIR(status.st_mode)
        identity = (status.st_dev, status.st_ino)
        if is_folder and identity == self.target:
            self.result.notes.append(problem("target", path, "the target lies in the source: left out"))
        elif is_at_work(name.rpartition("/")[2]):
            self.result.notes.append(problem("left", path, "a killed restore left it: left out"))
        elif self.excludes.match(relative, is_folder) or (is_folder and self.job.exclude_caches and is_cache(path)):
            self.result.excluded += 1
            self.result.excluded_bytes += _weight(path, status)
        elif is_folder and identity[0] != above[-1][0] and (kind := self.kernel_mounts.get(identity[0])):
            self.result.notes.append(problem("mount", path, f"the kernel's own file system ({kind}): left out"))
        elif is_folder:
            if identity in above:
                self._problem("external", path, "a loop of links: not followed again")
                return None
            self.below = _Folder(path, name, relative, (*above, identity))
            return self._add(Found(path, name, status))
        elif stat.S_ISLNK(status.st_mode):
            return self._link(path, name, relative, status, above)
        elif stat.S_ISREG(status.st_mode):
            return self._add(Found(path, name, status))
        else:
            self.result.notes.append(problem("special", path, "a socket, FIFO or device: not a file, left out"))
        return None

    def _link(
        self, path: str, name: str, relative: str, status: os.stat_result, above: tuple[tuple[int, int], ...]
    ) -> Found | None:
        try:
            target = link_of(path)
        except OSError as error:
            self._problem("unreadable", path, os_reason(error))
            return None
        kept = Found(path, name, status, link=target)
        resolved = os.path.realpath(path)
        in_hub = _HUB.search(path) is not None
        if not os.path.exists(resolved):
            return self._dangling(kept, target, in_hub)
        if f"{resolved}/".startswith(self.roots):
            if os.path.isabs(target):
                message = f"an absolute link into the source, to {target}: restored elsewhere it points back here"
                self.result.notes.append(problem("external", path, message))
            return self._add(kept)
        if self.job.external == "follow" or (self.job.external == "auto" and in_hub):
            return self._follow(path, name, relative, resolved, above)
        return self._external(kept, target)

    def _follow(
        self, path: str, name: str, relative: str, resolved: str, above: tuple[tuple[int, int], ...]
    ) -> Found | None:
        try:
            status = os.stat(resolved)
        except OSError as error:
            self._problem("unreadable", path, os_reason(error))
            return None
        if stat.S_ISREG(status.st_mode):
            self.result.notes.append(problem("followed", path, f"holds the content of {resolved}"))
            return self._add(Found(resolved, name, status, is_followed=True))
        return self._entry(resolved, name, relative, status, above)

    def _dangling(self, kept: Found, target: str, in_hub: bool) -> Found:
        if in_hub:
            self._problem("dangling", kept.path, f"its content is not there: {target}", "download the model again")
        else:
            self.result.notes.append(problem("dangling", kept.path, f"a link to nothing: {target}"))
        return self._add(kept)

    def _external(self, kept: Found, target: str) -> Found:
        if self.job.external != "keep":
            message = f"a link out of the source, to {target}: only the link is in the archive"
            self._problem("external", kept.path, message, 'set external to "follow" or "keep"')
        return self._add(kept)

    def _add(self, found: Found) -> Found:
        result, status = self.result, found.status
        result.digest.update(repr((found.name, facts_of(found))).encode("utf-8", "backslashreplace"))
        result.count += 1
        result.names.append(hash(found.name))
        result.files += stat.S_ISREG(status.st_mode)
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode) and status.st_size > LARGE_BYTES:
            result.large[hash(found.name)] = found.name
        if stat.S_ISREG(status.st_mode) and identity not in self.counted:
            if status.st_nlink > 1 or found.is_followed:
                self.counted.add(identity)
            result.source_bytes += status.st_size
            result.stored_bytes += _stored(status)
        return found

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
