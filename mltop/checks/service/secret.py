"""Passwords and tokens: from a file or the environment, and in no message."""

from __future__ import annotations

import os
import stat

from mltop.checks.service.outcome import Unasked

_LONGEST_BYTES = 65536
_OTHERS = 0o007
_ALL_BUT_ITS_OWNER = 0o077


def secret(file: str | None, variable: str | None = None, *, is_private: bool = False) -> str | None:
    """What the file, else the variable, has; `None` where neither is named. Raises Unasked.

    A file that everybody may read is refused, and one that must be private where its group may: as libpq refuses such
    a .pgpass.
    """
    if file is not None:
        found = _read(file, is_private=is_private)
    elif variable is not None:
        found = os.environ.get(variable, "")
    else:
        return None
    found = found.strip("\r\n")
    if not found:
        raise Unasked(f"{file or f'the variable {variable}'} has no secret", "absent", "fill it")
    if not found.isprintable():
        raise Unasked(f"{file or variable} has more than one line, or no text", action="one line, the secret alone")
    return found


def _read(path: str, *, is_private: bool) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise Unasked(f"{path} is not a regular file", action="name a file with the secret alone")
            if mode & (_ALL_BUT_ITS_OWNER if is_private else _OTHERS):
                raise Unasked(f"{path} can be read by others", "permission", f"chmod 600 {path}")
            return os.read(fd, _LONGEST_BYTES).decode()
        finally:
            os.close(fd)
    except UnicodeDecodeError:
        raise Unasked(f"{path} is no text", action="one line, the secret alone") from None
    except PermissionError:
        raise Unasked(f"{path}: no permission", "permission", f"let this user read {path}") from None
    except OSError as error:
        raise Unasked(f"{path}: {error.strerror}", action=f"create {path}") from None
