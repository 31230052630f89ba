"""Reading the kernel's small files: whole, by plain calls, and a failure in the snapshot's words."""

from __future__ import annotations

import os
from pathlib import Path

from mltop.model.snapshot import Status

_CHUNK = 1 << 16


def read_bytes(path: str | bytes | Path, limit: int | None = None) -> bytes:
    """The bytes of a file of /proc or /sys, or its first `limit`. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, limit or _CHUNK)
        if limit is not None or len(data) == 0:
            return data
        chunks = [data]
        while data := os.read(fd, _CHUNK):
            chunks.append(data)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    finally:
        os.close(fd)


def read_int(path: str | Path) -> int | None:
    """The number in a file of one number; `None` where there is none."""
    try:
        return int(read_bytes(path, 64))
    except (OSError, ValueError):
        return None


def entries(folder: Path) -> list[Path]:
    """What is in a folder of /proc or /sys, sorted; nothing where there is no such folder."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]  # noqa: PTH208 - a name is all that is needed
    except OSError:
        return []


def numbered(folder: Path, start: str, end: str = "") -> list[Path]:
    """Those of its entries whose names are `start`, a number (and what belongs to it) and `end`."""
    at = len(start)
    return [
        path
        for path in entries(folder)
        if path.name.startswith(start) and path.name[at : at + 1].isdigit() and path.name.endswith(end)
    ]


def _remedy() -> str:
    return "run as root" if os.geteuid() else "allow it in this container's or unit's security options"


def why_not(fault: Exception, what: str) -> tuple[Status, str]:
    """Status and reason for a source that could not be read (`OSError`) or understood (`ValueError`, `LookupError`)."""
    if isinstance(fault, PermissionError):
        return Status.NO_PERMISSION, f"no permission to read {what}: {_remedy()}"
    if isinstance(fault, FileNotFoundError):
        return Status.UNSUPPORTED, f"{what} is not there"
    if isinstance(fault, OSError):
        return Status.ERROR, f"cannot read {what}: {fault.strerror or fault}"
    return Status.ERROR, f"cannot make sense of {what}"
