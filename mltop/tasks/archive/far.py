"""Paths beyond what one system call takes (PATH_MAX, 4096 bytes): reached in steps, each from the folder before."""

# Descriptors and surrogate-escaped strings
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

_STEP_BYTES = 2048
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
T = TypeVar("T")


def names_in(path: str) -> list[str]:
    """Return the names in a folder; raises `OSError`."""

    def from_there(folder: int, name: str) -> list[str]:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    return _near_or_far(path, os.listdir, from_there)


def status_of(path: str) -> os.stat_result:
    """Return the `lstat` of a path; raises `OSError`."""
    return _near_or_far(path, os.lstat, lambda fd, name: os.stat(name, dir_fd=fd, follow_symlinks=False))


def link_of(path: str) -> str:
    """Return what a symbolic link says; raises `OSError`."""
    near: Callable[[str], str] = os.readlink
    return _near_or_far(path, near, lambda fd, name: os.readlink(name, dir_fd=fd))


def opened(path: str, flags: int) -> int:
    """Return a descriptor of a file; raises `OSError`."""
    return _near_or_far(path, lambda near: os.open(near, flags), lambda fd, name: os.open(name, flags, dir_fd=fd))


def _near_or_far(path: str, near: Callable[[str], T], far: Callable[[int, str], T]) -> T:
    try:
        return near(path)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or len(os.fsencode(path)) < _STEP_BYTES:
            raise
    with _folder_of(path) as folder:
        return far(folder, path.rpartition("/")[2])


@contextlib.contextmanager
def _folder_of(path: str) -> Iterator[int]:
    """Open the folder that an absolute path is in."""
    fd = os.open("/", _FOLDER)
    try:
        for step in _steps(path):
            below = os.open(step, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _steps(path: str) -> Iterator[str]:
    step = ""
    for part in path.split("/")[1:-1]:
        if step and len(os.fsencode(step)) + len(os.fsencode(part)) > _STEP_BYTES:
            yield step
            step = ""
        step = f"{step}/{part}" if step else part
    if step:
        yield step
