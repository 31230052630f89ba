"""What asking a service came to, before it is held against limits and against the last run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mltop.model.finding import Level


class ServiceAnswer(msgspec.Struct, frozen=True):
    """One service's answer, as it comes from the child that asked."""

    check: str
    name: str
    level: Level | None
    """What the answer itself says, before any limit; `None`: there is nothing to judge (SKIP)."""
    summary: str
    reason: str = "down"
    action: str | None = None
    duration_s: float | None = None
    """How long it took to answer, in seconds; `None` where it did not, or that says nothing of it."""
    values: Mapping[str, float] = {}
    """What it told of itself, by the row of the limits that it is held against."""
    counters: Mapping[str, float] = {}
    """What only grows, by the row of the limits that its growth since the last run is held against."""
    place: str = ""
    """Where it was asked (`host:port`, a socket's path), for who is told that something is wrong; "" for nowhere."""
    data: dict[str, Any] = {}
