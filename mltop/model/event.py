"""An event: what changed on the box, when, from what to what."""

from __future__ import annotations

import msgspec

from mltop.model.finding import Level


class Event(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One change between two snapshots."""

    time: str
    """RFC 3339 in UTC: that of the snapshot that showed it."""
    item: str
    """What changed, for a reader: `GPU 3`, `/data`, `driver`."""
    from_: str
    to: str
    level: Level
    """How bad it is now; OK for what got well or is only worth knowing."""
