"""Writing to the descriptor of a file or a pipe."""

from __future__ import annotations

import os


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write everything, however little is taken at a time (write(2): fewer bytes than asked for is no error).

    For descriptors that wait. Raises OSError; some of the data may have been written by then.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
