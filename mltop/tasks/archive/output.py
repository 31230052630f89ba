"""The archive on its way to the disk: a file at work in the target, synced, then given its final name."""

# Everything here goes through the target's descriptor

from __future__ import annotations

import errno
import io
import os

from mltop.tasks.outcome import NoSpaceError, TaskError, os_reason

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CHECK_BYTES = 256 << 20


def full_or_failed(error: OSError, what: str) -> TaskError:
    """Return the error to raise for a write that failed: a full disk has its own exit code."""
    if error.errno in _FULL:
        return NoSpaceError(f"no space left for {what}: {os_reason(error)}", "free space, or keep fewer archives")
    return TaskError(f"{what} cannot be written: {os_reason(error)}")


class Output(io.RawIOBase):
    """A new file (0600) below a folder's descriptor; writes all it is given or raises a `TaskError`.

    Once a write has failed, or after `abandon`, it swallows what a compressor still has to say.
    """

    def __init__(self, folder_fd: int, name: str, reserve_bytes: int) -> None:
        super().__init__()
        self.name = name
        self.size = 0
        self.failure: TaskError | None = None
        self._reserve = reserve_bytes
        self._next_check = _CHECK_BYTES
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(name, flags, 0o600, dir_fd=folder_fd)
        except OSError as error:
            raise full_or_failed(error, name) from error
        self._is_abandoned = False

    def writable(self) -> bool:
        """It is only for writing."""
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Write all of `data`."""
        view = memoryview(data).cast("B")
        if self._is_abandoned or self.failure is not None:
            return len(view)
        count = len(view)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.failure = full_or_failed(error, "the archive")
            raise self.failure from error
        self.size += count
        if self.size >= self._next_check:
            self._next_check = self.size + _CHECK_BYTES
            self._check_reserve()
        return count

    def _check_reserve(self) -> None:
        status = os.fstatvfs(self._fd)
        if status.f_bavail * status.f_frsize < self._reserve:
            self.failure = NoSpaceError(
                "the target's reserve of free space is reached", "free space, or keep fewer archives"
            )
            raise self.failure

    def abandon(self) -> None:
        """Write nothing more."""
        self._is_abandoned = True

    def sync(self) -> None:
        """Bring the data to the disk and out of the page cache, so that what is read back comes from the disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise full_or_failed(error, "the archive") from error
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the descriptor; what is not synced may be lost."""
        if not self.closed:
            os.close(self._fd)
        super().close()
