"""Which folders may be cleaned at all."""

# A root is looked at as text first
# ruff: noqa: PTH111

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from mltop.tasks.outcome import RefusedError, os_reason

_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
_ALLOWED = ("/dev/shm", "/run/user", "/usr/local")


def allowed_root(text: str, mounts: Collection[str], home: str | None = None) -> str | None:
    """Return the real path of a folder that may be cleaned, or `None` when there is none there.

    Raises `RefusedError` for what no cleanup may be let loose on: `/`, a home, a mount point (`mounts` has them all), a
    folder of the system, a path of fewer than two components, a link, what is not absolute or has a variable in it.
    """
    path = os.path.expanduser(text)
    if not path.startswith("/") or "$" in path or "\0" in path or ".." in path.split("/"):
        raise RefusedError(f"{text!r} is not an absolute path without variables and ..")
    path = os.path.normpath(path)
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise RefusedError(f"{text} is a link: name the folder itself")
        real = os.path.realpath(path, strict=True)
        is_folder = stat.S_ISDIR(os.lstat(real).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        _refuse_text(path, text, home)
        return None
    except OSError as error:
        raise RefusedError(f"{text} cannot be looked at: {os_reason(error)}") from error
    if not is_folder:
        raise RefusedError(f"{text} is not a folder")
    for each in (path, real):
        _refuse_text(each, text, home)
    if real in mounts:
        raise RefusedError(f"{text} is a mount point: name folders in it")
    return real


def _refuse_text(path: str, text: str, home: str | None) -> None:
    if len([part for part in path.split("/") if part]) < 2:
        raise RefusedError(f"{text} is too near to / to be cleaned")
    homes = {os.path.realpath(each) for each in (home, os.path.expanduser("~"), "/root") if each}
    if any(f"{each}/".startswith(path + "/") for each in homes):
        raise RefusedError(f"{text} is a home, or has one in it")
    if any(_below(path, each) for each in _SYSTEM) and not any(
        _below(path, each) and path != each for each in _ALLOWED
    ):
        raise RefusedError(f"{text} is a folder of the system")


def _below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(folder + "/")
