"""What every change of jobs shares: one at a time, and the old content kept first, for its owner alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from mltop.jobs.place import make
from mltop.system.file import try_lock

KEPT = 50
"""So many old contents stay of a kind."""
_PAUSE_S = 0.02


@contextlib.contextmanager
def alone(path: Path, patience_s: float) -> Iterator[None]:
    """Hold a lock, waiting for who has it; raises TimeoutError where they keep it, and OSError."""
    make(path.parent)
    deadline = time.monotonic() + patience_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_PAUSE_S)
    try:
        yield
    finally:
        os.close(descriptor)


def keep(path: Path, data: bytes) -> None:
    """Write a copy that outlives a crash (0600, in a folder of 0700), over nothing; raises OSError."""
    make(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # half a copy is none, and takes room on a disk that is full
        raise


def hint(error: OSError, otherwise: str = "sudo") -> str:
    """Behind an error of writing: what to do about it; nothing where there is nothing to say."""
    if not isinstance(error, PermissionError):
        return ""
    if os.geteuid() == 0:
        return ": not even root may write it (chattr +i, or a network file system)"
    return f": not yours to write; {otherwise}"
