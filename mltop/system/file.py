"""Files that survive a crash and a full disk: whole or not at all, appended in one piece, locked and never unlinked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from mltop.system.descriptor import write_all

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file's content: readers see the old or the new, also after a crash; raises OSError.

    Written beside it, synced, renamed over it, and the folder synced. A link at `path` is replaced, not followed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()  # of an earlier process of this number, that was killed
    descriptor = os.open(beside, _NEW, mode)
    try:
        try:
            os.fchmod(descriptor, mode)  # whatever the umask
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        beside.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_directory(path.parent)


def write_named(path: Path, data: bytes, mode: int) -> None:
    """Write to a place that somebody named; raises OSError.

    A file is replaced whole. What is no file (`/dev/null`, a terminal, a pipe that is read) is written into: renaming a
    file over it would take it away from everybody.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode) and not str(path).startswith(("/dev/", "/proc/"))
    except FileNotFoundError:
        is_file = True
    if is_file:
        write_atomic(path, data, mode)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)  # no reader: no wait
    try:
        os.set_blocking(descriptor, True)
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes, mode: int = 0o600) -> None:
    """Append one line (its end is added) in a single write, so that writers do not mix; raises OSError.

    A line that did not fit whole is taken back; its torn rest, where even that fails, is for the reader to skip.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        append(descriptor, line + b"\n")
    finally:
        os.close(descriptor)


def append(descriptor: int, data: bytes) -> None:
    """Append to an open file, all or nothing; raises OSError."""
    written = os.write(descriptor, data)
    if written != len(data):
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(28, "no space left on device")  # ENOSPC: the one cause of a short write to a file


def try_lock(path: Path) -> int | None:
    """Take a lock: its descriptor, which holds it until it is closed; `None` while another has it. Raises OSError.

    The file is never unlinked: who locks a file that another unlinks holds nothing.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def lock_within(descriptor: int, patience_s: float) -> None:
    """Lock an open file; raises BlockingIOError where another has it for longer, OSError."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def sync_directory(path: Path) -> None:
    """Make a rename last; a file system that cannot (some network ones) is left as it is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
