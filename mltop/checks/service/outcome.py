"""How asking a service ends: it told something, it could not be used, or it was too slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mltop.model.finding import Level


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a service that answers said of itself."""

    words: str
    level: Level = Level.OK
    reason: str = "ok"
    action: str | None = None
    took_s: float | None = None
    """How long the first answer took, in seconds, where asking on says nothing of that."""
    values: Mapping[str, float] = {}
    counters: Mapping[str, float] = {}
    data: Mapping[str, Any] = {}


class Refused(Exception):  # noqa: N818 - what the service did, in words for a reader
    """The service cannot be used, or does not let itself be asked; the message says why."""

    def __init__(
        self, message: str, level: Level = Level.CRITICAL, reason: str = "down", action: str | None = None
    ) -> None:
        super().__init__(message)
        self.level = level
        self.reason = reason
        self.action = action
        """What to do."""


class Unasked(Refused):
    """mltop itself could not ask as it is configured: nothing is said of the service."""

    def __init__(self, message: str, reason: str = "error", action: str | None = None) -> None:
        super().__init__(message, Level.UNKNOWN, reason, action)


class Slow(Exception):  # noqa: N818
    """The service did not answer in its time."""
