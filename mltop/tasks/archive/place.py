"""A folder to restore into, from which nothing gets out.

Every path is walked from the folder's descriptor, one component at a time, never through a link; files are written
under a name at work and get their own only when they are whole. So neither what an archive claims nor what lies in
the folder already can make a write land elsewhere, on every Python (`tarfile`'s filters are not needed).
"""

# Descriptors
# ruff: noqa: PTH100, PTH103, PTH111, PTH112, PTH116, PTH120, PTH208

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType

from mltop.tasks.archive.new_file import NO_LINKS, NewFile, give, is_at_work, sweep
from mltop.tasks.outcome import TaskError, os_reason

Parts = tuple[str, ...]
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_AT_WORK = 0o1700
"""The mode of a folder until it is finished: nobody else's, and told apart when a killed restore is taken up again."""


_DEPTH_MAX = 4096
"""A path of a megabyte of slashes would take for ever: a folder is opened for each of them."""


class EntryRefusedError(Exception):
    """An entry that is not restored, and why."""


def parts_of(name: str) -> Parts:
    """Return the components of a member's name; raises `EntryRefusedError` for one that leads out."""
    if name.startswith("/"):
        raise EntryRefusedError("an absolute path")
    if "\0" in name:
        raise EntryRefusedError("a zero byte in its name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise EntryRefusedError("it leads out of the folder (..)")
    if len(parts) > _DEPTH_MAX:
        raise EntryRefusedError(f"a path of {len(parts)} folders")
    if any(is_at_work(part) for part in parts):
        raise EntryRefusedError("a name that files at work have")
    return parts


class Place:
    """The folder, opened once."""

    def __init__(self, path: str, dry_run: bool = False) -> None:
        """Open it, made (0700) when missing unless this is a dry run. Raises `TaskError`."""
        self.path = os.path.abspath(os.path.expanduser(path))
        self._dry_run = dry_run
        self._near: tuple[Parts, int] | None = None
        self.made_folders: set[Parts] = set()
        self._swept: set[Parts] = set()
        self.fd = -1
        try:
            if not dry_run:
                os.makedirs(self.path, 0o700, exist_ok=True)
            if not dry_run or os.path.isdir(self.path):
                self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise TaskError(f"{self.path} cannot be restored to: {os_reason(error)}") from error

    def __enter__(self) -> Place:
        """It is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all descriptors."""
        if self._near:
            os.close(self._near[1])
        if self.fd >= 0:
            os.close(self.fd)

    def free_bytes(self) -> int:
        """Return what may be written here, with a reserve of 2 % (at most 1 GiB) left alone."""
        return free_bytes(self.fd if self.fd >= 0 else self.path)

    def is_empty(self) -> bool:
        """Whether nothing is in it, or it is not there."""
        return self.fd < 0 or not os.listdir(self.fd)

    def folder(self, parts: Parts) -> int:
        """Return a descriptor of a folder below, made where it is missing; it stays open until the next call.

        Raises `EntryRefusedError` where a link or a file is in the way, `FileNotFoundError` in a dry run.
        """
        if self._near and self._near[0] == parts:
            return self._near[1]
        if self.fd < 0:
            raise FileNotFoundError(errno.ENOENT, "not there", self.path)
        begin, near = 0, self.fd
        if self._near and parts[: len(self._near[0])] == self._near[0]:  # on the way already
            begin, near = len(self._near[0]), self._near[1]
        fd = os.dup(near)
        try:
            for index in range(begin, len(parts)):
                below = self._step(fd, parts[index], parts[: index + 1])
                os.close(fd)
                fd = below
        except BaseException:
            os.close(fd)
            raise
        if self._near:
            os.close(self._near[1])
        self._near = parts, fd
        if not self._dry_run and parts not in self._swept:
            self._swept.add(parts)
            sweep(fd)
        return fd

    def _step(self, fd: int, part: str, parts: Parts) -> int:
        try:
            return os.open(part, _FOLDER, dir_fd=fd)
        except FileNotFoundError:
            if self._dry_run:
                raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise EntryRefusedError(f"{'/'.join(parts)} is a link or a file, not a folder") from error
            raise
        os.mkdir(part, FOLDER_AT_WORK, dir_fd=fd)
        self.made_folders.add(parts)
        self._swept.add(parts)
        return os.open(part, _FOLDER, dir_fd=fd)

    def existing(self, parts: Parts) -> os.stat_result | None:
        """Return the `lstat` of what is there by that name, or `None`."""
        try:
            if not parts:
                return os.stat(self.fd) if self.fd >= 0 else None
            return os.stat(parts[-1], dir_fd=self.folder(parts[:-1]), follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, parts: Parts) -> int:
        """Return a descriptor of a regular file that is there, to read."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(parts[-1], flags, dir_fd=self.folder(parts[:-1]))

    def new_file(self, parts: Parts) -> NewFile:
        """Begin a file."""
        return NewFile(os.dup(self.folder(parts[:-1])), parts[-1])

    def link_of(self, parts: Parts) -> str | None:
        """Return where a symbolic link that is there points to, or `None` when it is none."""
        try:
            return os.readlink(parts[-1], dir_fd=self.folder(parts[:-1]))
        except OSError:
            return None

    def remove(self, parts: Parts) -> None:
        """Remove a file or a link; never a folder."""
        os.unlink(parts[-1], dir_fd=self.folder(parts[:-1]))

    def hardlink(self, parts: Parts, target: Parts) -> None:
        """Make another name of a regular file in this folder, or a copy where the file system has no hard links."""
        source = os.dup(self.folder(target[:-1]))
        try:
            if not stat.S_ISREG(os.stat(target[-1], dir_fd=source, follow_symlinks=False).st_mode):
                raise EntryRefusedError("it is another name of something that is no file")
            into = self.folder(parts[:-1])
            try:
                os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=into, follow_symlinks=False)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                self._copy(source, target[-1], parts)
        finally:
            os.close(source)

    def _copy(self, folder_fd: int, name: str, parts: Parts) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
        try:
            status = os.fstat(fd)
            file = self.new_file(parts)
            offset = 0
            while count := os.sendfile(file.fd, fd, offset, 1 << 30):
                offset += count
            file.place(
                status.st_size, status.st_mode, status.st_mtime_ns, (status.st_uid, status.st_gid), replace=False
            )
        finally:
            os.close(fd)

    def symlink(self, parts: Parts, target: str, mtime_ns: int) -> None:
        """Make a symbolic link."""
        fd = self.folder(parts[:-1])
        os.symlink(target, parts[-1], dir_fd=fd)
        os.utime(parts[-1], ns=(mtime_ns, mtime_ns), dir_fd=fd, follow_symlinks=False)

    def finish_folder(
        self, parts: Parts, mode: int | None, mtime_ns: int | None, owner: tuple[int, int] | None
    ) -> str | None:
        """Give a folder its owner, mode and time; return what it could not be given.

        With a mode that keeps us out, what is in it comes first.
        """
        return give(self.folder(parts), owner, None if mode is None else mode & 0o1777, mtime_ns)


def free_bytes(folder: int | str) -> int:
    """Return what may be written in a folder, there or to be made, with a reserve of 2 % (at most 1 GiB) left alone."""
    status = os.statvfs(folder if isinstance(folder, int) else _nearest(folder))
    free = status.f_bavail * status.f_frsize
    return max(0, free - min(1 << 30, status.f_blocks * status.f_frsize // 50))


def _nearest(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
