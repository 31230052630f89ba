"""Compress a rotated log: written beside it, read back, named, and only then is the log itself removed."""

# Descriptors

from __future__ import annotations

import errno
import hashlib
import os
import stat

from mltop.tasks.archive.compression import BLOCK, packer, unpacker
from mltop.tasks.archive.output import Output
from mltop.tasks.outcome import Control, CorruptError
from mltop.tasks.rotate.rule import ENDINGS

PARTIAL = ".partial"
"""The end of the name of a file at work, which begins with a dot."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_log(folder_fd: int, name: str, flags: int = _READ) -> int:
    """Return a descriptor of a regular file that has no other name; raises `OSError`.

    A link or a second name in a folder that others may write to could stand for any file of the system.
    """
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder_fd)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file with one name", name)
    return fd


def pack(folder_fd: int, name: str, kind: str, level: int, control: Control) -> tuple[str, int] | None:
    """Compress a file and remove it; return the new name and what that saved, `None` when it was still written to."""
    packed = name + ENDINGS[kind]
    at_work = f".{packed}{PARTIAL}"
    fd = open_log(folder_fd, name)
    try:
        before = os.fstat(fd)
        _remove(folder_fd, at_work)
        try:
            size = _write(fd, folder_fd, at_work, packed, kind, level, control)
            if _was_written(fd, before):
                return None
            _keep_attributes(folder_fd, at_work, before)
            os.rename(at_work, packed, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
            os.fsync(folder_fd)
        finally:
            _remove(folder_fd, at_work)
        if _was_written(fd, before):  # the disk may have been busy for long
            _remove(folder_fd, packed)
            return None
        os.unlink(name, dir_fd=folder_fd)
        return packed, before.st_size - size
    finally:
        os.close(fd)


def _was_written(fd: int, before: os.stat_result) -> bool:
    now = os.fstat(fd)
    return (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)


def _write(fd: int, folder_fd: int, at_work: str, packed: str, kind: str, level: int, control: Control) -> int:
    digest = hashlib.sha256()
    with Output(folder_fd, at_work, 0) as output:
        stream = packer(kind, level, 0, output)
        try:
            while block := os.read(fd, BLOCK):
                control.advance(len(block))
                digest.update(block)
                stream.write(block)
            stream.close()
        except BaseException:
            output.abandon()
            stream.close()
            raise
        output.sync()
    _read_back(folder_fd, at_work, packed, digest.hexdigest())
    return output.size


def _read_back(folder_fd: int, at_work: str, packed: str, expected: str) -> None:
    digest = hashlib.sha256()
    with os.fdopen(os.open(at_work, _READ, dir_fd=folder_fd), "rb") as file:
        reader = unpacker(packed, file)
        while block := reader.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise CorruptError(f"{packed}: read back, it is not what was written")


def _keep_attributes(folder_fd: int, name: str, like: os.stat_result) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        if os.geteuid() == 0:
            os.fchown(fd, like.st_uid, like.st_gid)
        os.fchmod(fd, stat.S_IMODE(like.st_mode) & 0o777)
        os.utime(fd, ns=(like.st_atime_ns, like.st_mtime_ns))
    finally:
        os.close(fd)


def _remove(folder_fd: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return
