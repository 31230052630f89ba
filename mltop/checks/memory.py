"""What earlier judgements of one box found: levels for hysteresis and `for`, and counters for their growth."""

from __future__ import annotations

from collections.abc import Container

import msgspec

from mltop.config.limit import Limit
from mltop.model.finding import Level

_NOTES = 16
"""At most so many values of one counter are kept, spread over the time that is asked about."""


class Growth(msgspec.Struct, frozen=True):
    """By how much a counter grew, and in how long."""

    amount: float
    seconds: float


class _Held(msgspec.Struct):
    """What is known of one check of one target."""

    level: Level
    since: float | None = None
    """Since when it would be a WARNING but has not lasted yet."""


class Memory:
    """What the last judgements said; the caller keeps one for each box that it watches. Moments are of one boot."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], _Held] = {}
        self._counters: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        self._touched: set[tuple[str, str]] = set()
        self._boot_id: str | None = None
        self._now = 0.0

    def begin(self, boot_id: str | None, now: float) -> None:
        """Begin a judgement at a moment, in seconds. Another boot began its counters at 0, and its time too."""
        if boot_id != self._boot_id or now < self._now:
            self._counters.clear()
            for held in self._held.values():
                held.since = None
        self._boot_id, self._now = boot_id, now

    def level(self, check: str, target: str) -> Level:
        """The level so far."""
        held = self._held.get((check, target))
        return held.level if held is not None else Level.OK

    def settle(self, check: str, target: str, level: Level, limit: Limit, now: float, *, momentary: bool) -> Level:
        """The level that holds, where `level` is that of this moment; what is not known leaves things as they were."""
        key = check, target
        self._touched.add(key)
        held = self._held.get(key)
        if held is None:
            # the first look takes things as they are, where one look says anything
            held = self._held[key] = _Held(Level.OK if momentary or level is Level.UNKNOWN else level)
        if level is Level.UNKNOWN:
            return Level.UNKNOWN
        if level is not Level.WARNING or held.level >= Level.WARNING:
            held.level, held.since = level, None
            return level
        if held.since is None or held.since > now:  # or another boot
            held.since = now
        if now - held.since >= limit.for_s:
            held.level, held.since = level, None
        return held.level

    def is_known(self, check: str, target: str, level: Level) -> bool:
        """Whether the last judgement looked at it and found this level."""
        held = self._held.get((check, target))
        return held is not None and held.level is level

    def keep(self, check: str, target: str, level: Level) -> None:
        """Note a level that a check settled by itself."""
        self._touched.add((check, target))
        self._held[check, target] = _Held(level)

    def growth(self, check: str, target: str, value: float, *, name: str = "", over_s: float = 0.0) -> Growth | None:
        """The growth of a counter since the last judgement, and note its value for the next one.

        With `over_s` it is that since the oldest note of the last so many seconds (the last note of all, where there is
        none so young), so that an event is told for that long. `name` tells several counters of one target apart.
        `None` where there is no note: on the first look, after another boot, after the counter went backwards.
        """
        if value != value:
            return None
        self._touched.add((check, target))
        key, note = (check, target, name), (self._now, value)
        notes = self._counters.get(key)
        if not notes or value < notes[-1][1]:
            self._counters[key] = [note]
            return None
        kept = [old for old in notes if old[0] >= self._now - over_s] or notes[-1:]
        at, before = kept[0]
        if not over_s:
            kept = []
        elif len(kept) > 1 and kept[-1][0] - kept[-2][0] < over_s / _NOTES:
            kept = kept[:-1]  # the last one is there to be the last; those before it are spread
        self._counters[key] = [*kept, note]
        return Growth(value - before, self._now - at) if self._now > at else None

    def forget(self, checks: Container[str]) -> None:
        """Drop what these checks did not look at this time: a mount that went, a GPU that was taken out."""
        for key in [key for key in self._held if key[0] in checks and key not in self._touched]:
            del self._held[key]
        for name in [name for name in self._counters if name[0] in checks and name[:2] not in self._touched]:
            del self._counters[name]
        self._touched = {key for key in self._touched if key[0] not in checks}
