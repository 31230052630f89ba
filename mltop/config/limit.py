"""Limits: from which value on something is WARNING or CRITICAL, and when it is well again (D41)."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from mltop.model.finding import Level

Direction = Literal["high", "low"]
"""Which end is the bad one."""


class Range(msgspec.Struct, frozen=True):
    """A Nagios range: alerts outside `start` to `end` (both belong to the range), or inside where `inside` is set.

    Source: Monitoring Plugins Development Guidelines, "Threshold and Ranges".
    """

    start: float = -math.inf
    end: float = math.inf
    inside: bool = False

    def alerts(self, value: float) -> bool:
        """Whether a value alerts; one that is not a number always does."""
        if value != value:
            return True
        return (self.start <= value <= self.end) == self.inside

    @classmethod
    def parse(cls, text: str) -> Range:
        """The range of `10`, `10:`, `~:10`, `10:20`, `@10:20`; raises ValueError."""
        inside = text.startswith("@")
        low, colon, high = text.removeprefix("@").strip().rpartition(":")
        start = -math.inf if low == "~" else _number(low) if colon and low else 0.0
        end = math.inf if colon and not high else _number(high)
        if start > end:
            raise ValueError(f"{text!r} begins above its end")
        return cls(start, end, inside)

    @classmethod
    def from_number(cls, number: float, direction: Direction) -> Range:
        """Alerts at the number and beyond it, in the direction that is bad."""
        return cls(start=number, inside=True) if direction == "high" else cls(end=number, inside=True)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        at = "@" if self.inside else ""
        if self.start == 0 and self.end != math.inf:
            return f"{at}{_plain(self.end)}"
        start = "~" if self.start == -math.inf else _plain(self.start)
        return f"{at}{start}:" + ("" if self.end == math.inf else _plain(self.end))


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """When one check's value is not OK; without `warn` and `crit` it never is."""

    warn: Range | None = None
    crit: Range | None = None
    clear: Range | None = None
    """Once WARNING, it stays so while this alerts (hysteresis)."""
    clear_crit: Range | None = None
    """The same for CRITICAL."""
    for_s: float = 0.0
    """How long it must last to be a WARNING; a CRITICAL is said at once."""
    unless_free: int | None = None
    """Bytes: not a WARNING while so much is free."""
    unless_free_crit: int | None = None
    """Bytes: not CRITICAL while so much is free."""

    def level(self, value: float | None, held: Level = Level.OK) -> Level:
        """The level of a value, where `held` is the level so far; what is not known is UNKNOWN."""
        if value is None or value != value:
            return Level.UNKNOWN
        if _alerts(self.crit, value) or (held is Level.CRITICAL and _alerts(self.clear_crit, value)):
            return Level.CRITICAL
        if _alerts(self.warn, value) or (held >= Level.WARNING and _alerts(self.clear, value)):
            return Level.WARNING
        return Level.OK


def _alerts(limit: Range | None, value: float) -> bool:
    return limit is not None and limit.alerts(value)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"no number: {text!r}")
    return number


def _plain(number: float) -> str:
    """All of its digits, and no exponent where it is whole."""
    return str(int(number)) if number == int(number) else repr(number)
