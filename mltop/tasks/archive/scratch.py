"""A folder to restore into for a while: made for its owner alone where there is room, and removed with all in it."""

# Descriptors
# ruff: noqa: PTH118

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from types import TracebackType

from mltop.tasks.archive.place import free_bytes
from mltop.tasks.outcome import NoSpaceError, TaskError, os_reason

_NAME = ".mltop-drill-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Scratch:
    """The scratch folder of one job, in the first of some folders that has the room. Use it in `with`."""

    def __init__(self, job: str, folders: Sequence[str], needed_bytes: int) -> None:
        """Remove what a killed run left in any of them, and choose; raises `NoSpaceError`, `TaskError`."""
        self._name = _NAME + job
        for folder in folders:
            sweep(job, folder)
        self.path = os.path.join(_roomy(folders, needed_bytes), self._name)

    def __enter__(self) -> Scratch:
        """Make it."""
        try:
            os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)  # noqa: PTH103, PTH120
            os.mkdir(self.path, 0o700)  # noqa: PTH102
        except OSError as error:
            raise TaskError(f"{self.path} cannot be made: {os_reason(error)}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it; raises `TaskError` when that fails, for it may fill the disk."""
        try:
            _clear(self.path)
        except OSError as failure:
            raise TaskError(f"{self.path} cannot be removed: {os_reason(failure)}", "remove it by hand") from failure


def sweep(job: str, folder: str) -> None:
    """Remove what a killed drill of `job` left in a folder, as large as a backup may be; under its lock.

    Raises `OSError`.
    """
    _clear(os.path.join(folder, _NAME + job))


def _roomy(folders: Sequence[str], needed_bytes: int) -> str:
    """Return the first folder with so much room, a reserve left alone."""
    most = 0
    for folder in folders:
        try:
            room = free_bytes(folder)
        except OSError:
            continue
        if needed_bytes <= room:
            return folder
        most = max(most, room)
    raise NoSpaceError(
        f"{needed_bytes} bytes are needed to restore, {most} may be written in {' or '.join(folders)}",
        "free space in one of them",
    )


def _clear(path: str) -> None:
    """Remove a folder and all in it; none there is fine. Raises `OSError`.

    What lies in its folders is lifted up into it before they go, so that no depth is too deep; links are not followed.
    """
    try:
        top = os.open(path, _FOLDER)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # not there, or in a folder that is not ours
    try:
        os.fchmod(top, 0o700)
        while folders := _unlink_files(top):
            for name in folders:
                _lift(top, name)
    finally:
        os.close(top)
    os.rmdir(path)  # noqa: PTH106


def _lift(top: int, name: str) -> None:
    os.chmod(name, 0o700, dir_fd=top)
    fd = os.open(name, _FOLDER, dir_fd=top)
    try:
        for each in _unlink_files(fd):
            os.chmod(each, 0o700, dir_fd=fd)
            os.rename(each, secrets.token_hex(16), src_dir_fd=fd, dst_dir_fd=top)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=top)


def _unlink_files(fd: int) -> list[str]:
    """Remove all but folders; return these."""
    folders = []
    with os.scandir(fd) as listing:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        if is_folder:
            folders.append(name)
        else:
            os.unlink(name, dir_fd=fd)
    return folders
