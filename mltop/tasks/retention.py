"""Which archives to keep: a pure function on times, under guards; no clock, no files.

The buckets are those that people know from other backup tools: for each archive, newest first, a bucket keeps the
first one of each hour, day, ISO week, month or year until its count is used up, and the oldest of all while counts are
left. `within` is relative to the newest verified archive, never to the clock, so a box whose backups fail keeps what
it has. An empty policy keeps everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

KEEP_MIN = 3
"""Verified archives that no policy goes below (R2)."""


class Keep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A retention policy. 0 is "none of that kind"; `within_s` is seconds before the newest verified archive."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_s: float = 0
    min: int = KEEP_MIN

    @classmethod
    def days(cls, days: float) -> Keep:
        """`keep_days`: what is not older than that, and never fewer than `KEEP_MIN`."""
        return cls(within_s=days * 86400)

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing, which deletes nothing."""
        return not (
            self.last or self.hourly or self.daily or self.weekly or self.monthly or self.yearly or self.within_s
        )


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """What retention knows of an archive. `sequence` orders (R5); `created` decides the buckets, in its own zone."""

    id: str
    sequence: int
    created: datetime
    is_verified: bool


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one archive, and why."""

    id: str
    keep: bool
    reasons: tuple[str, ...]


def choose(archives: Sequence[Dated], keep: Keep, now: datetime) -> tuple[Choice, ...]:
    """Return one choice for each archive, newest first.

    Verified archives are judged by themselves, so that a run of partial ones cannot push a good one out; the others
    go by the same policy among themselves, without a minimum. Those dated after `now` are kept (R5).
    """
    ordered = sorted(archives, key=lambda archive: (archive.sequence, archive.id), reverse=True)
    if keep.is_empty:
        return tuple(Choice(id=each.id, keep=True, reasons=("no policy",)) for each in ordered)
    verified = [each for each in ordered if each.is_verified]
    others = [each for each in ordered if not each.is_verified]
    anchor = verified[0].created if verified else None
    reasons = _judge(verified, keep, now, anchor, max(1, keep.min)) | _judge(others, keep, now, anchor, 0)
    if anchor is None:
        # with no good archive at all, a bad one is all there is
        reasons = {each.id: reasons[each.id] or ["no verified archive yet"] for each in ordered}
    return tuple(Choice(id=each.id, keep=bool(reasons[each.id]), reasons=tuple(reasons[each.id])) for each in ordered)


def _judge(
    ordered: list[Dated], keep: Keep, now: datetime, anchor: datetime | None, minimum: int
) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {each.id: [] for each in ordered}
    for index, each in enumerate(ordered):
        if index < minimum:
            reasons[each.id].append("newest verified" if index == 0 else f"one of the last {minimum} verified")
        if each.created > now:
            reasons[each.id].append("dated in the future")
        if keep.within_s and anchor is not None and anchor - each.created <= _span(keep.within_s):
            reasons[each.id].append("within")
    for name, count, key in _buckets(keep):
        for kept in _fill(ordered, count, key):
            reasons[kept].append(name)
    return reasons


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, 86400 * 365000))


def _fill(ordered: list[Dated], count: int, key: Callable[[Dated], object]) -> list[str]:
    kept: list[str] = []
    previous: object = None
    for index, each in enumerate(ordered):
        if len(kept) >= count:
            break
        value = key(each)
        if value != previous or index == len(ordered) - 1:
            kept.append(each.id)
            previous = value
    return kept


def _buckets(keep: Keep) -> list[tuple[str, int, Callable[[Dated], object]]]:
    return [
        ("last", keep.last, lambda each: each.id),
        ("hourly", keep.hourly, lambda each: (each.created.date(), each.created.hour)),
        ("daily", keep.daily, lambda each: each.created.date()),
        ("weekly", keep.weekly, lambda each: each.created.isocalendar()[:2]),
        ("monthly", keep.monthly, lambda each: (each.created.year, each.created.month)),
        ("yearly", keep.yearly, lambda each: each.created.year),
    ]
