"""A file that is being restored: under a name at work until it is whole, and swept away when its restore was killed."""

# Descriptors
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable

from mltop.tasks.outcome import os_reason

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
"""What `link` ends with on a file system that has no hard links, or no more of them."""
_AT_WORK = ".mltop-restore-"
_LEFT = re.compile(re.escape(_AT_WORK) + "[0-9a-f]{16}")


def is_at_work(name: str) -> bool:
    """Whether a file at work is called so: never anything of a source, which would be swept away when it is back."""
    return name.startswith(_AT_WORK) and _LEFT.fullmatch(name) is not None


class NewFile:
    """A file at work: it has its own name only after `place`; `discard` leaves nothing."""

    def __init__(self, folder_fd: int, name: str) -> None:
        """Make it; owns `folder_fd`."""
        self._folder, self._name = folder_fd, name
        self._at_work = _AT_WORK + secrets.token_hex(8)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.fd = os.open(self._at_work, flags, 0o600, dir_fd=folder_fd)
        except BaseException:
            os.close(folder_fd)
            raise
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # so that nobody takes it for one that was left

    def write(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`."""
        while data:
            count = os.pwrite(self.fd, data, offset)
            data, offset = data[count:], offset + count

    def place(self, size: int, mode: int, mtime_ns: int, owner: tuple[int, int] | None, replace: bool) -> str | None:
        """Finish it and give it its name; return what it could not be given.

        Without `replace`, `FileExistsError` when there is something by that name.
        """
        try:
            status = os.fstat(self.fd)
            if status.st_size != size:
                os.ftruncate(self.fd, size)  # a hole at the end
            if owner == (status.st_uid, status.st_gid):
                owner = None  # as nearly always: nothing to give
            lacks = give(self.fd, owner, mode & 0o777, mtime_ns)
            if replace:
                os.rename(self._at_work, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            else:
                self._name_if_free()
        except BaseException:
            self._remove()
            raise
        finally:
            self._close()
        return lacks

    def discard(self) -> None:
        """Leave nothing of it."""
        self._remove()
        self._close()

    def _name_if_free(self) -> None:
        try:
            os.link(self._at_work, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            # a file system without hard links: looked at first, then renamed
            if self._name in os.listdir(self._folder):
                raise FileExistsError(errno.EEXIST, "it is there", self._name) from error
            os.rename(self._at_work, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            return
        self._remove()

    def _remove(self) -> None:
        try:
            os.unlink(self._at_work, dir_fd=self._folder)
        except FileNotFoundError:
            return

    def _close(self) -> None:
        os.close(self.fd)
        os.close(self._folder)


def give(fd: int, owner: tuple[int, int] | None, mode: int | None, mtime_ns: int | None) -> str | None:
    """Give an open file or folder what is its own; return what could not be given, and why.

    A disk without owners, a server that trusts no root, a folder of somebody else: the content is there all the same.
    """
    lacks: list[str] = []
    reason = ""
    gifts: tuple[tuple[str, object, Callable[[], None]], ...] = (
        ("owner", owner, lambda: os.fchown(fd, *(owner or (-1, -1)))),
        ("mode", mode, lambda: os.fchmod(fd, mode or 0)),
        ("time", mtime_ns, lambda: os.utime(fd, ns=(mtime_ns or 0, mtime_ns or 0))),
    )
    for name, wanted, make in gifts:
        if wanted is None:
            continue
        try:
            make()
        except OSError as error:
            lacks.append(name)
            reason = os_reason(error)
    return f"its {' and '.join(lacks)} could not be given back: {reason}" if lacks else None


def sweep(fd: int) -> None:
    """Remove the files at work that a killed restore left in a folder; those of one at work are locked, and stay."""
    for each in os.listdir(fd):
        if not is_at_work(each):
            continue
        with contextlib.suppress(OSError):  # not ours
            file = os.open(each, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(each, dir_fd=fd)
            finally:
                os.close(file)
