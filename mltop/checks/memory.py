"""What earlier judgements of one box found: levels for hysteresis and `for`, counters, since when a state lasts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import msgspec

from mltop.checks.remembered import Found, Held, Remembered
from mltop.model.finding import Level
from mltop.model.verdict import Result, State

_NOTES = 16
"""At most so many values of one counter are kept, spread over the time that is asked about."""


class Growth(msgspec.Struct, frozen=True):
    """By how much a counter grew, and in how long."""

    amount: float
    seconds: float


class Memory:
    """What the last judgements said; the caller keeps one for each box that it watches.

    Moments are seconds of one boot. `is_stepwise`: the judgements are runs that lie apart, as those of `--check`.
    """

    def __init__(self, kept: Remembered | None = None, *, is_stepwise: bool = False) -> None:
        self.kept = Remembered() if kept is None else kept
        self.is_first = kept is None
        """Whether there was no judgement before this one."""
        self.last_time, self.last_boot_id = self.kept.time, self.kept.boot_id
        self.is_stepwise = is_stepwise
        self._touched: set[tuple[str, str]] = set()
        self._found: dict[str, dict[str, Found]] = {}

    def belong(self, host: str, boot_id: str | None) -> None:
        """Say whose judgement this is: what another box left (another name, and another boot) is nothing to it."""
        if self.kept.host not in ("", host) and self.kept.boot_id != boot_id:
            self.kept = Remembered()
            self.is_first, self.last_time, self.last_boot_id = True, 0.0, None
        self.kept.host = host

    def begin(self, boot_id: str | None, now: float) -> None:
        """Begin a judgement at a moment. Another boot began its counters at 0, and its time too."""
        kept = self.kept
        if boot_id != kept.boot_id or now < kept.moment:
            kept.counters.clear()
            kept.xids_at = -1.0
            for check, targets in kept.held.items():
                kept.held[check] = {target: held for target, held in targets.items() if not held.is_of_boot}
                for held in kept.held[check].values():
                    held.since = None
        kept.boot_id, kept.moment = boot_id, now

    # -- levels

    def level(self, check: str, target: str) -> Level:
        """The level so far."""
        held = self._of(check, target)
        return held.level if held is not None else Level.OK

    def settle(self, check: str, target: str, level: Level, for_s: float, *, momentary: bool) -> Level:
        """The level that holds, where `level` is that of this moment; what is not known leaves things as they were.

        A WARNING has to last for so many seconds, where `momentary` from the first look on.
        """
        now = self.kept.moment
        held = self._of(check, target)
        if held is None:
            # the first look takes things as they are, where one look says anything
            held = self._hold(check, target, Level.OK if momentary or level is Level.UNKNOWN else level)
        self._touched.add((check, target))
        if level is Level.UNKNOWN:
            return Level.UNKNOWN
        if level is not Level.WARNING or held.level >= Level.WARNING:
            held.level, held.since = level, None
            return level
        if held.since is None or held.since > now:  # or another boot
            held.since = now
        if now - held.since >= for_s:
            held.level, held.since = level, None
        return held.level

    def is_known(self, check: str, target: str, level: Level) -> bool:
        """Whether the last judgement looked at it and found this level."""
        held = self._of(check, target)
        return held is not None and held.level is level

    def keep(self, check: str, target: str, level: Level) -> None:
        """Note a level that a check settled by itself, for this boot."""
        self._touched.add((check, target))
        self._hold(check, target, level).is_of_boot = True

    def _of(self, check: str, target: str) -> Held | None:
        return self.kept.held.get(check, {}).get(target)

    def _hold(self, check: str, target: str, level: Level) -> Held:
        held = self.kept.held.setdefault(check, {})[target] = Held(level)
        return held

    # -- counters

    def growth(self, check: str, target: str, value: float, *, name: str = "", over_s: float = 0.0) -> Growth | None:
        """The growth of a counter since the last judgement, and note its value for the next one.

        With `over_s` it is that since the oldest note of the last so many seconds (the last note of all, where there is
        none so young), so that an event is told for that long. `name` tells several counters of one target apart.
        `None` where there is no note: on the first look, after another boot, after the counter went backwards.
        """
        if not math.isfinite(value):
            return None
        self._touched.add((check, target))
        now, counters = self.kept.moment, self.kept.counters.setdefault(check, {}).setdefault(target, {})
        notes = counters.get(name)
        if not notes or value < notes[-1][1]:
            counters[name] = [(now, value)]
            return None
        kept = [note for note in notes if note[0] >= now - over_s] or notes[-1:]
        at, before = kept[0]
        if not over_s:
            kept = []
        elif len(kept) > 1 and kept[-1][0] - kept[-2][0] < over_s / _NOTES:
            kept = kept[:-1]  # the last one is there to be the last; those before it are spread
        counters[name] = [*kept, (now, value)]
        return Growth(value - before, now - at) if now > at else None

    # -- since when

    def last(self, check: str) -> dict[str, Found]:
        """What a check last said of each of its targets, before this judgement."""
        return self.kept.found.get(check, {})

    def since(self, check: str, target: str, state: State, time: float) -> float:
        """When a state began that is found now, at a time, and note it for the next run."""
        known = self.last(check).get(target)
        lasts = known is not None and known.state is state and 0 <= known.since <= time
        began = known.since if known is not None and lasts else time
        self._found.setdefault(check, {})[target] = Found(state, began)
        return began

    # -- the end of a judgement

    def forget(self, checks: Collection[str]) -> None:
        """Drop what these checks did not look at this time: a mount that went, a GPU that was taken out."""
        for check in checks:
            for kept in (self.kept.held, self.kept.counters):
                targets = kept.get(check, {})
                for target in [target for target in targets if (check, target) not in self._touched]:
                    del targets[target]
        self._touched = {key for key in self._touched if key[0] not in checks}

    def settled(self, checks: Collection[str], time: float) -> Remembered:
        """What the next run has to know, where this one ran these checks at a time and leaves the others as they were.

        Of those that ran, what was not found is gone.
        """
        others = {check: found for check, found in self.kept.found.items() if check not in checks}
        return msgspec.structs.replace(self.kept, time=time, found={**others, **self._found})


def dated(results: Iterable[Result], memory: Memory, time: float) -> tuple[Result, ...]:
    """The results of a run at a time (seconds since 1970), with since when each is so; and note that for the next."""
    words: dict[float, str] = {}
    made = []
    for one in results:
        began = memory.since(one.check, one.target, one.state, time)
        if began not in words:
            words[began] = rfc3339(began)
        made.append(msgspec.structs.replace(one, since=words[began]))
    return tuple(made)


def rfc3339(time: float) -> str:
    """A time in seconds since 1970, in UTC; "long ago" where it is none."""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "long ago"


def seconds(time: str) -> float:
    """A snapshot's time in seconds since 1970; 0 where it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
