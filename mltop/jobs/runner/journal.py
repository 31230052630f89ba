"""One line to the system's journal, with fields, where there is a journal; never waited for.

The protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

from __future__ import annotations

import contextlib
import os

SOCKET = "/run/systemd/journal/socket"
INFO = 6
WARNING = 4
ERROR = 3
_MAX_BYTES = 48 << 10


def send(message: str, priority: int, fields: dict[str, str], path: str = SOCKET) -> None:
    """Send it, or not: a journal that is full or gone is no fault of a job."""
    if not os.path.exists(path):  # noqa: PTH110 - before anything is imported
        return
    import socket

    named = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "mltop", **fields}
    data = b"".join(_field(name, value) for name, value in named.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto(data[:_MAX_BYTES], path)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")[: _MAX_BYTES // 2]
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
