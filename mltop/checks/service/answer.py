"""What asking a service came to."""

from __future__ import annotations

from typing import Any

import msgspec

from mltop.model.finding import Level


class Answer(msgspec.Struct, frozen=True):
    """One service's answer, as it comes from the child that asked."""

    check: str
    name: str
    level: Level | None
    """`None`: there is nothing to judge (SKIP)."""
    summary: str
    reason: str = "down"
    action: str | None = None
    duration_s: float | None = None
    data: dict[str, Any] = {}


class Refused(Exception):  # noqa: N818 - what the service did, in words for a reader
    """The service cannot be used, or does not let itself be asked; the message says why."""

    def __init__(self, message: str, level: Level = Level.CRITICAL, reason: str = "down") -> None:
        super().__init__(message)
        self.level = level
        self.reason = reason


class Slow(Exception):  # noqa: N818
    """The service did not answer in its time."""
