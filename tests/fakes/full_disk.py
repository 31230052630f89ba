"""A disk without room: files of this process that grow no further (RLIMIT_FSIZE)."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def short_of_room(size_bytes: int | None = None) -> Iterator[Callable[[int], None]]:
    """No file gets more than so many bytes, or than what is told to what this yields: a write is cut there, then fails.

    Python is kept from writing what it compiles meanwhile: it takes a write that was cut for a whole one, and whoever
    imports the module afterwards finds half of it.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True

    def limit(size_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))

    try:
        if size_bytes is not None:
            limit(size_bytes)
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        sys.dont_write_bytecode = before
