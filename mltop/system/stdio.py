"""Standard input, output and error, where whoever started mltop closed some of them."""

from __future__ import annotations

import os
import sys


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
