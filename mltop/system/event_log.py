"""What happened, a line of JSON each, for a shipper of logs (Filebeat, Vector): appended whole, and bounded.

A file that has grown to its limit is renamed to `NAME.1`, over the one before it: shippers follow a rename.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltop.system.file import append, lock_within

SCHEMA = "mltop.event/1"
MAX_BYTES = 64 << 20
_LONGEST = 2000
"""Characters of a text."""
_LONGEST_LINE = 64 << 10
"""Bytes: of what is longer, only the plain values stay, with `"cut": true`."""
_PATIENCE_S = 1.0


def note(path: Path, kind: str, values: Mapping[str, Any], max_bytes: int = MAX_BYTES) -> None:
    """Append an event of a kind (`run`, `verdict`, …) that was seen now; raises OSError. Makes no folder.

    It waits for no other end (a FIFO, a file locked for long): the event is lost rather than its job delayed.
    """
    import json

    now = time.time()
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    event: dict[str, Any] = {"schema": SCHEMA, "event": kind, "time": stamp, "host": os.uname().nodename}
    event |= {key: value[:_LONGEST] if isinstance(value, str) else value for key, value in values.items()}
    line = json.dumps(event, ensure_ascii=False, default=str).encode("utf-8", "replace")
    if len(line) > _LONGEST_LINE:
        plain = {key: value for key, value in event.items() if not isinstance(value, list | tuple | dict)}
        line = json.dumps(plain | {"cut": True}, ensure_ascii=False, default=str).encode("utf-8", "replace")
    line += b"\n"
    descriptor = _opened(path, len(line), max_bytes)
    try:
        append(descriptor, line)
    finally:
        os.close(descriptor)


def _opened(path: Path, coming: int, max_bytes: int) -> int:
    """The file, locked, with room for the line: it, or a fresh one in its place."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        try:
            lock_within(descriptor, _PATIENCE_S)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a plain file", str(path))
            if _is_at(path, status) and (status.st_size + coming <= max_bytes or status.st_size == 0):
                return descriptor
            if _is_at(path, status):
                path.rename(path.with_name(f"{path.name}.1"))
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, status: os.stat_result) -> bool:
    """Whether a file that was opened is still the one of that name."""
    try:
        return os.path.samestat(status, path.stat())
    except FileNotFoundError:
        return False
