"""Remove what was planned: each thing through its folder's descriptor, and only when it is what it was."""

# Descriptors
# ruff: noqa: PTH118

from __future__ import annotations

import errno
import os
import time

import msgspec

from mltop.tasks.archive.mount import mount_points
from mltop.tasks.cleanup.guard import allowed_root
from mltop.tasks.cleanup.plan import CleanupJob, Item, RootPlan, plan
from mltop.tasks.cleanup.survey import FOLDER, open_below
from mltop.tasks.inuse import Held, InUse, in_use
from mltop.tasks.outcome import Control, Exit, Problem, RefusedError, TaskError, display, os_reason, problem


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went (would go, in a dry run)."""

    path: str
    bytes: int
    """What it took on the disk."""
    age_s: float
    is_folder: bool = False


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """One folder before and after."""

    path: str
    files_before: int = 0
    files_removed: int = 0
    folders_removed: int = 0
    bytes_before: int = 0
    bytes_removed: int = 0
    bytes_after: int = 0
    kept: dict[str, int] = {}
    removed: tuple[Removed, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused: str | None = None
    is_missing: bool = False


class CleanupReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one cleanup ended."""

    exit_code: Exit
    dry_run: bool
    paths: tuple[Cleaned, ...] = ()
    files_removed: int = 0
    bytes_removed: int = 0
    blind: int = 0
    """Processes whose open files this user may not see."""
    duration_s: float = 0.0
    message: str | None = None


def clean(
    job: CleanupJob, dry_run: bool = False, control: Control | None = None, now: float | None = None
) -> CleanupReport:
    """Clean all folders of `job`; a refused one does not stop the others. Nothing is raised for what is on the disk.

    Ages are as of `now`, in seconds since the epoch; `None` is this moment.
    """
    control = control or Control()
    began = time.monotonic()
    paths: list[Cleaned] = []
    message, code = None, Exit.OK
    held = in_use()
    try:
        control.begin("cleanup")
        for text in dict.fromkeys(job.paths):
            paths.append(_clean_root(text, job, held, dry_run, control, time.time() if now is None else now))
    except TaskError as error:
        message, code = str(error), error.code
    if code is Exit.OK and any(each.refused for each in paths):
        code = Exit.REFUSED
    if code is Exit.OK and any(each.kind == "failed" for root in paths for each in root.problems):
        code = Exit.FAILED
    return CleanupReport(
        exit_code=code,
        dry_run=dry_run,
        paths=tuple(paths),
        files_removed=sum(each.files_removed for each in paths),
        bytes_removed=sum(each.bytes_removed for each in paths),
        blind=held.blind,
        duration_s=time.monotonic() - began,
        message=message,
    )


def _clean_root(text: str, job: CleanupJob, held: InUse, dry_run: bool, control: Control, now: float) -> Cleaned:
    try:
        mounts = mount_points()
        root = allowed_root(text, mounts)
        if root is None:
            return Cleaned(path=display(text), is_missing=True)
        planned = plan(root, job, held, mounts, now, control)
    except RefusedError as error:
        return Cleaned(path=display(text), refused=str(error))
    except OSError as error:
        return Cleaned(path=display(text), problems=(problem("failed", text, os_reason(error)),))
    removal = _Removal(planned, control)
    removal.run(dry_run)
    return removal.report()


class _Removal:
    def __init__(self, planned: RootPlan, control: Control) -> None:
        self.planned, self.control = planned, control
        self.removed: list[Item] = []
        self.problems = list(planned.problems)
        self.kept = dict(planned.kept)
        self._near: tuple[tuple[str, ...], int] | None = None

    def run(self, dry_run: bool) -> None:
        if dry_run:
            self.removed = list(self.planned.items)
            return
        fd = os.open(self.planned.path, FOLDER)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != self.planned.identity:
                self.problems.append(problem("failed", self.planned.path, "it was replaced since the plan"))
                return
            mounts, held = mount_points(), Held()
            for item in self.planned.items:
                self._remove(fd, item, mounts, held)
        finally:
            if self._near:
                os.close(self._near[1])
            os.close(fd)

    def _remove(self, root_fd: int, item: Item, mounts: frozenset[str], held: Held) -> None:
        path = os.path.join(self.planned.path, *item.folder, item.name)
        self.control.file(path)
        try:
            folder = self._folder(root_fd, item.folder)
            status = os.stat(item.name, dir_fd=folder, follow_symlinks=False)
            if not item.is_same(status) or path in mounts:
                self.kept["changed"] = self.kept.get("changed", 0) + 1
                return
            if not item.is_folder and held.holds(status.st_ino, path):
                self.kept["open"] = self.kept.get("open", 0) + 1
                return
            if item.is_folder:
                os.rmdir(item.name, dir_fd=folder)
            else:
                os.unlink(item.name, dir_fd=folder)
        except FileNotFoundError:
            return  # gone by itself: not ours to count
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):  # a link or a file where a folder was
                self.kept["changed"] = self.kept.get("changed", 0) + 1
            elif item.is_folder and error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # something came into it, or stayed
                self.kept["not empty"] = self.kept.get("not empty", 0) + 1
            else:
                self.problems.append(problem("failed", path, os_reason(error)))
            return
        self.control.advance(item.disk_bytes)
        self.removed.append(item)

    def _folder(self, root_fd: int, parts: tuple[str, ...]) -> int:
        """Return a descriptor of a folder below the root, reached through no link; valid until the next call."""
        if self._near and self._near[0] == parts:
            return self._near[1]
        fd = open_below(root_fd, parts)
        if self._near:
            os.close(self._near[1])
        self._near = parts, fd
        return fd

    def report(self) -> Cleaned:
        planned = self.planned
        freed = sum(item.disk_bytes for item in self.removed)
        return Cleaned(
            path=display(planned.path),
            files_before=planned.files,
            files_removed=sum(not item.is_folder for item in self.removed),
            folders_removed=sum(item.is_folder for item in self.removed),
            bytes_before=planned.disk_bytes,
            bytes_removed=freed,
            bytes_after=planned.disk_bytes - freed,
            kept=self.kept,
            removed=tuple(
                Removed(
                    path=display(os.path.join(planned.path, *item.folder, item.name)),
                    bytes=item.disk_bytes,
                    age_s=item.age_s,
                    is_folder=item.is_folder,
                )
                for item in self.removed
            ),
            problems=tuple(self.problems),
        )
