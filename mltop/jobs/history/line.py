"""An entry as a line of JSON, as the spool has it. Only who has to spool, or finds something spooled, loads this."""

from __future__ import annotations

import msgspec

from mltop.jobs.history.entry import WHO_FIELDS, Entry
from mltop.model.job import Run


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    run: Run
    pid: int = 0
    start_ticks: int | None = None
    pid_namespace: int = 0


def encode(entry: Entry) -> bytes:
    """The line, its end with it."""
    who = {name: getattr(entry, name) for name in WHO_FIELDS}
    return msgspec.json.encode(_Line(run=entry.run(), **who)) + b"\n"


def decode(line: bytes) -> Entry:
    """The entry; raises ValueError for a torn line."""
    found = msgspec.json.decode(line, type=_Line)
    return Entry.of(found.run, found.pid, found.start_ticks, found.pid_namespace)
