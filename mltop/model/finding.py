"""A finding: what is wrong with one part of the box, how badly, and what to do."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Level(IntEnum):
    """How bad; the order is that of the worst-of (C's aggregate)."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    CRITICAL = 3


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not OK."""

    check: str
    """The check's id, e.g. `disk.space`."""
    target: str
    """What it is about, by identity: a mount, a GPU's uuid or bus id; "" for the box."""
    target_name: str
    """The same for a reader: `GPU 3`, `/data`."""
    level: Level
    summary: str
    """A few words: `91 % used`, `lost, Xid 79`."""
    action: str | None = None
    """What to do."""
