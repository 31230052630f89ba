"""Extended attributes: a user's own, access lists and capabilities, as other tars store them (`SCHILY.xattr.` records).

The labels of security modules stay out: they belong to a system and not to a file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mltop.tasks.outcome import os_reason

CAPABILITY = "security.capability"
_STORED = ("user.", "system.posix_acl_", CAPABILITY)
_RESTORED = ("user.", "system.posix_acl_")
"""Capabilities are dropped as setuid bits are."""
_PREFIX = "SCHILY.xattr."
_MAX_BYTES = 512 << 10
"""Of one file: what a header may hold is bounded."""


class TooLargeError(Exception):
    """Attributes that no header holds."""


def attributes_of(file: int | str) -> dict[str, bytes]:
    """Return the attributes of an open file, or of what a path itself is; none where there can be none.

    Raises `TooLargeError`.
    """
    follow = isinstance(file, int)  # a descriptor cannot be asked otherwise
    try:
        names = os.listxattr(file, follow_symlinks=follow)
        if not names:  # as nearly always
            return {}
        found = {name: os.getxattr(file, name, follow_symlinks=follow) for name in names if name.startswith(_STORED)}
    except OSError:
        return {}  # a file system without them, or one went away meanwhile
    if sum(len(name) + len(value) for name, value in found.items()) > _MAX_BYTES:
        raise TooLargeError
    return found


def records(attributes: Mapping[str, bytes]) -> dict[bytes, bytes]:
    """Return the PAX records of attributes; an equals sign in a name is escaped, as GNU tar has it."""
    return {
        os.fsencode(_PREFIX + name.replace("%", "%25").replace("=", "%3D")): value for name, value in attributes.items()
    }


def from_records(pax: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the attributes that are among PAX records."""
    return {
        key[len(_PREFIX) :].replace("%3D", "=").replace("%25", "%"): value
        for key, value in pax.items()
        if key.startswith(_PREFIX)
    }


def put(fd: int, attributes: Mapping[str, bytes]) -> str | None:
    """Give an open file its attributes; return why one could not be given, or `None`."""
    fault = None
    for name, value in attributes.items():
        if not name.startswith(_RESTORED):
            continue
        try:
            os.setxattr(fd, name, value)
        except (OSError, ValueError) as error:  # a zero byte in a name
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            fault = f"its attribute {name} could not be given back: {reason}"
    return fault
