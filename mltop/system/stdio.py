"""Standard input, output and error, where whoever started mltop closed some of them."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def hold_standard_streams() -> None:
    """Take the numbers of standard streams that this process was started without.

    Else the next pipe would get one, and what is printed would go into it. Reading and writing fails as before; only
    what is said to a standard error that is not there is dropped.
    """
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good


def leave(code: int) -> NoReturn:
    """End this process at once, all that it printed written.

    To take an interpreter apart costs 10 ms, and the kernel does it as well. For a command whose files are closed.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
    os._exit(code)
