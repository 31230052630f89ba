"""A small file that one run leaves for the next: read whole, replaced whole, by one run at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable

from mltop.system.descriptor import write_all

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class BusyError(Exception):
    """Another run has the file."""


class KeptFile:
    """The file `name` of a folder, at most `most` bytes of it. A folder that is not there is made by the first write.

    `is_private`: the folder lies where others may write (/dev/shm), so it must be ours alone, and no link.
    """

    def __init__(self, folder: str, name: str, most: int, *, is_private: bool = False) -> None:
        self.folder = folder
        self._name = name
        self._most = most
        self._is_private = is_private
        self._fd: int | None = None
        self._lock: int | None = None
        self._was_there = False

    def open(self) -> None:
        """Take the folder, and its lock; raises BusyError where another run has that, and OSError.

        An OSError means that nothing can be written there: refused, read-only, no folder above it.
        """
        try:
            self._take_folder()
        except FileNotFoundError:
            above = os.path.dirname(self.folder) if self._is_private else _nearest(self.folder)  # noqa: PTH120
            _demand_writable(above)
            return
        _demand_writable(self.folder)
        self._take_lock()

    def read(self) -> bytes | None:
        """Its content; `None` where there is none. Raises OSError, and ValueError for what cannot be such a file."""
        if self._fd is None:
            return None
        try:
            descriptor = os.open(self._name, _READ, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        finally:
            self._was_there = True
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("no plain file")
            data = bytearray()
            while len(data) <= self._most and (more := os.read(descriptor, 1 << 16)):
                data += more
        finally:
            os.close(descriptor)
        if not data:
            raise ValueError("it is empty")
        if len(data) > self._most:
            raise ValueError(f"more than {self._most} bytes")
        return bytes(data)

    def set_aside(self) -> None:
        """Keep what is there under another name, over what was kept so before; raises OSError."""
        if self._fd is not None:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._name, f"{self._name}.bad", src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def replace(self, data: bytes, written: Callable[[], object] = lambda: None) -> None:
        """Replace its content: readers see the old or the new, also after a crash. Raises OSError and BusyError.

        `written` is called when the data have found room, before the wait for the disk.
        """
        if self._fd is None:
            _make(self.folder)
            self._take_folder()
            self._take_lock()
            if not self._was_there and self._is_there():
                raise BusyError  # another first run was faster
        folder, beside = self._fd, f".{self._name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=folder)  # of a run that was killed
        descriptor = os.open(beside, _NEW, 0o600, dir_fd=folder)
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            write_all(descriptor, data)
            written()
            os.fsync(descriptor)
            os.rename(beside, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the folder and the lock."""
        for descriptor in (self._fd, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._fd = self._lock = None

    def _take_folder(self) -> None:
        self._fd = os.open(self.folder, _FOLDER | (os.O_NOFOLLOW if self._is_private else 0))
        status = os.fstat(self._fd)
        if self._is_private and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
            raise PermissionError(1, "not a folder of ours alone", self.folder)

    def _take_lock(self) -> None:
        """Lock the folder itself, which leaves no file; NFS has locks of files that can be written only."""
        assert self._fd is not None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError from None
        except OSError:
            self._lock = os.open(f".{self._name}.lock", _LOCK, 0o600, dir_fd=self._fd)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError from None

    def _is_there(self) -> bool:
        try:
            os.stat(self._name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


def _make(folder: str) -> None:
    """Make a folder and those above it that are missing, for their owner only."""
    above = os.path.dirname(folder)  # noqa: PTH120
    if above and not os.path.lexists(above):
        _make(above)
    with contextlib.suppress(FileExistsError):  # another run may be as fast
        os.mkdir(folder, 0o700)  # noqa: PTH102


def _nearest(path: str) -> str:
    """The folder above a path that is there."""
    path = os.path.abspath(path)  # noqa: PTH100
    while not os.path.lexists(path):
        path = os.path.dirname(path)  # noqa: PTH120
    return path


def _demand_writable(folder: str) -> None:
    """Raise the OSError that a write there would meet; writes nothing."""
    if os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return
    is_readonly = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    number = 30 if is_readonly else 13  # EROFS, EACCES
    raise OSError(number, os.strerror(number), folder)
