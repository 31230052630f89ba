"""Passwords and tokens: from a file or the environment, and in no message."""

from __future__ import annotations

import os
import stat

from mltop.checks.service.outcome import Refused
from mltop.model.finding import Level

_LONGEST_BYTES = 65536
_OTHERS = 0o077


def secret(file: str | None, variable: str | None = None, *, is_private: bool = False) -> str | None:
    """What the file, else the variable, has; `None` where neither is named. Raises Refused.

    A file that must be private is refused where others can read it, as libpq refuses such a .pgpass.
    """
    if file is not None:
        found = _read(file, is_private=is_private)
    elif variable is not None:
        found = os.environ.get(variable, "")
    else:
        return None
    found = found.strip("\r\n")
    if not found:
        raise Refused(f"{file or f'the variable {variable}'} has no secret", Level.UNKNOWN, "absent", "fill it")
    if not found.isprintable():
        raise Refused(f"{file or variable} has more than one line, or no text", Level.UNKNOWN, "error")
    return found


def _read(path: str, *, is_private: bool) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise Refused(f"{path} is not a regular file", Level.UNKNOWN, "error")
            if is_private and mode & _OTHERS:
                raise Refused(f"{path} can be read by others", Level.UNKNOWN, "permission", f"chmod 600 {path}")
            return os.read(fd, _LONGEST_BYTES).decode()
        finally:
            os.close(fd)
    except UnicodeDecodeError:
        raise Refused(f"{path} is no text", Level.UNKNOWN, "error") from None
    except PermissionError:
        raise Refused(f"{path}: no permission", Level.UNKNOWN, "permission", f"let this user read {path}") from None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", Level.UNKNOWN, "error", f"create {path}") from None
