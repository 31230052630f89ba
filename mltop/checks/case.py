"""What a check gets to judge: the snapshot, the limits, and what was known before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from mltop.checks.judgement import Judgement
from mltop.checks.memory import Growth, Memory, seconds
from mltop.config.limit import Limit
from mltop.config.limits import TABLE, Limits
from mltop.model.finding import Level
from mltop.model.snapshot import Reading, Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.system.text import clean

NOT_READ = frozenset({Status.STALE, Status.TIMEOUT, Status.ERROR, Status.LOST})
"""What is there is old, or should be there and is not: never OK (M13)."""


class Case:
    """One judgement of a whole box. A check yields a `Judgement` for each of its targets, whatever it finds."""

    def __init__(
        self, snapshot: Snapshot, limits: Limits, memory: Memory | None, surroundings: Surroundings | None = None
    ) -> None:
        self.snapshot = snapshot
        self.limits = limits
        self.memory = memory
        self.surroundings = surroundings
        """`None` where only the snapshot is known: another box's, or the dashboard's."""
        self.now = _moment(snapshot)
        if memory is not None:
            memory.begin(snapshot.boot_id, self.now)

    def level(self, check: str, target: str, value: float, free: int | None = None, row: str | None = None) -> Level:
        """The level of a value by the limits; `free` bytes may make it bearable, `row` names another limit."""
        limit = _bearable(self.limits[row or check], free)
        held = self.memory.level(check, target) if self.memory is not None else Level.OK
        return self.settled(check, target, limit.level(value, held), row)

    def settled(self, check: str, target: str, level: Level, row: str | None = None) -> Level:
        """A level after hysteresis in time (`for`).

        Runs that lie apart wait for nothing but what one look cannot tell, and what the config says: a card that is too
        hot is told at once, for the next run may be in an hour.
        """
        name = row or check
        momentary, for_s = TABLE[name].is_momentary, self.limits[name].for_s
        if self.memory is None:
            return Level.OK if momentary and level is Level.WARNING else level
        if self.memory.is_stepwise and not momentary and for_s == TABLE[name].limit.for_s:
            for_s = 0.0
        return self.memory.settle(check, target, level, for_s, momentary=momentary)

    def growth(self, check: str, target: str, counter: float, *, name: str = "", over_s: float = 0.0) -> Growth | None:
        """The growth of a counter since the last run, and note its value for the next one: `Memory.growth`."""
        if self.memory is None:
            return None
        return self.memory.growth(check, target, counter, name=name, over_s=over_s)

    def measured(
        self,
        check: str,
        value: float,
        summary: str,
        action: str | None = None,
        *,
        target: str = "",
        name: str = "",
        free: int | None = None,
        most: Level = Level.CRITICAL,
        group: Reading | None = None,
    ) -> Judgement:
        """A value against its limits; no worse than `most`, and by the age of its `group` where one is given."""
        limit = self.limits[check]
        level = min(self.level(check, target, value, free), most)
        if level is Level.OK and limit.warn is None and limit.crit is None:
            return skip(check, f"{summary}, no limit set", target=target, name=name, reason="no-limit", value=value)
        if group is not None:
            level, summary = aged(group, level, summary)
        return judgement(check, level, summary, action, target=target, name=name, value=value, limit=limit)

    def unread(self, check: str, group: Reading, what: str, *, target: str = "", name: str = "") -> Judgement:
        """Why a check has no value: its group was not read, is refused, or does not have it."""
        if group.status in NOT_READ:
            summary = f"not read: {group.reason or group.status}"
            reason = REASONS.get(group.status, "error")
            return judgement(
                check, Level.UNKNOWN, summary, target=target, name=name, reason=reason, is_quiet=is_awaited(group)
            )
        if group.status is Status.NO_PERMISSION:
            return skip(check, group.reason or "not permitted", target=target, name=name, reason="permission")
        return skip(check, f"no {what}", target=target, name=name, reason="unsupported")


REASONS = {
    Status.TIMEOUT: "timeout",
    Status.STALE: "stale",
    Status.LOST: "lost",
    Status.NO_PERMISSION: "permission",
    Status.ERROR: "error",
    Status.ABSENT: "absent",
    Status.UNSUPPORTED: "unsupported",
}
"""A group's status as a judgement's reason."""


def judgement(
    check: str,
    level: Level,
    summary: str,
    action: str | None = None,
    *,
    target: str = "",
    name: str = "",
    reason: str = "limit",
    value: float | None = None,
    limit: Limit | None = None,
    is_quiet: bool = False,
    data: dict[str, Any] | None = None,
) -> Judgement:
    """A judgement of a target, or of the box; `name` is what a reader calls it, where that is not the target."""
    return Judgement(
        check=check,
        target=target,
        target_name=name or target,
        level=level,
        summary=summary,
        action=action,
        reason=reason,
        value=_finite(value),
        limit=limit,
        is_quiet=is_quiet,
        data=data,
    )


def skip(
    check: str, summary: str, *, target: str = "", name: str = "", reason: str = "absent", value: float | None = None
) -> Judgement:
    """There is nothing to judge here, and nothing wrong with that."""
    return Judgement(
        check=check,
        target=target,
        target_name=name or target,
        level=None,
        summary=summary,
        reason=reason,
        value=_finite(value),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def surviving(
    found: Iterable[Judgement], checks: Iterable[str], *, target: str = "", name: str = ""
) -> Iterator[Judgement]:
    """The judgements of a target; where one fails, the checks not told yet are UNKNOWN, and all else goes on."""
    told = set()
    try:
        for one in found:
            told.add((one.check, one.target))
            yield one
    except Exception as error:  # noqa: BLE001 - whatever it is: could not tell, and why
        why = f"could not be judged: {type(error).__name__}: {clean(str(error), 160)}"
        for check in checks:
            if (check, target) not in told:
                yield judgement(check, Level.UNKNOWN, why, target=target, name=name, reason="error")


def aged(group: Reading, level: Level, summary: str) -> tuple[Level, str]:
    """The level and words of a value of a group: an old one is UNKNOWN or worse, and says how old."""
    if group.status not in NOT_READ:
        return level, summary
    return max(level, Level.UNKNOWN), f"{summary}, {age(group)}"


def is_awaited(group: Reading) -> bool:
    """Whether the first reading is still under way: nothing to tell yet, in either direction."""
    return group.status is Status.STALE and group.age_s is None


def age(group: Reading) -> str:
    """How old the values are, in words."""
    return f"{group.age_s:.0f} s ago" if group.age_s is not None else "never read"


def _bearable(limit: Limit, free: int | None) -> Limit:
    if free is None:
        return limit
    if limit.unless_free and free >= limit.unless_free:
        limit = msgspec.structs.replace(limit, warn=None, clear=None)
    if limit.unless_free_crit and free >= limit.unless_free_crit:
        limit = msgspec.structs.replace(limit, crit=None, clear_crit=None)
    return limit


def _moment(snapshot: Snapshot) -> float:
    """Seconds that only go forward within a boot; where the uptime is not known, those of the wall clock."""
    if snapshot.uptime_s is not None:
        return snapshot.uptime_s
    return seconds(snapshot.time)
