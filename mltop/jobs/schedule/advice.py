"""What to know of a schedule that is right and may still not be meant (J19)."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mltop.jobs.schedule.cron_field import FIELDS
from mltop.jobs.schedule.pattern import Pattern
from mltop.jobs.schedule.schedule import Schedule

CROWD = 3
"""More jobs than these in one minute are a crowd."""
_DATES = 3


def advice(schedule: Schedule, times: Sequence[datetime] = ()) -> list[str]:
    """Lines for people; `times` are its next runs, in the box's zone."""
    found = _of_steps(schedule)
    found += [line for pattern in schedule.patterns for line in _of_pattern(pattern, times)]
    return [*dict.fromkeys(found), *_of_clock(schedule, times)]


def too_often(times: Sequence[datetime], durations_s: Sequence[float]) -> list[str]:
    """Whether a run is to begin before the one before it is likely to have ended.

    `durations_s` are those of earlier runs: what nineteen of twenty stay below counts (p95).
    """
    gaps = [after.timestamp() - before.timestamp() for before, after in itertools.pairwise(times)]
    if not gaps or not durations_s:
        return []
    ordered = sorted(durations_s)
    usual = ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
    if usual <= min(gaps):
        return []
    what = f"a run takes up to {usual:.0f} s (95 of 100)" if len(ordered) > 1 else f"the last run took {usual:.0f} s"
    return [f"{what}, longer than the {min(gaps):.0f} s between two"]


def crowded(times: Sequence[datetime], others: Iterable[Sequence[datetime]]) -> list[str]:
    """Whether many jobs begin in the minute of the next run; `others` are the next runs of each other job."""
    if not times:
        return []
    first = _minute(times[0])
    count = 1 + sum(1 for one in others if first in {_minute(time) for time in one})
    if count <= CROWD:
        return []
    free = _free_minute(times[0], others)
    better = f"; nothing begins at minute {free}" if free is not None else ""
    return [f'{count} jobs begin at {times[0]:%H:%M}: another minute, or jitter = "10m", spreads them{better}']


def _minute(time: datetime) -> int:
    return int(time.timestamp()) // 60


def _free_minute(time: datetime, others: Iterable[Sequence[datetime]]) -> int | None:
    """A minute of that hour in which no other job begins; not one that everybody takes."""
    hour = _minute(time) - time.minute
    taken = Counter(_minute(other) - hour for one in others for other in one)
    usual = range(0, 60, 5)
    return next((minute for minute in range(60) if minute not in usual and not taken[minute]), None)


def _of_pattern(pattern: Pattern, times: Sequence[datetime]) -> list[str]:
    found = []
    if len(pattern.weekdays) < 7 and len(pattern.days) < 31:
        dates = dict.fromkeys(f"{time:%a %Y-%m-%d}" for time in times)
        next_dates = f" (next {', '.join(list(dates)[:_DATES])})" if dates else ""
        if pattern.is_either:
            what = "on those days of the month and on those weekdays too, on either of them"
        else:
            what = "only on those days of the month that are those weekdays too, both of them"
        found.append(f"runs {what}{next_dates}")
    minutes = sorted(pattern.minutes)
    steps = {after - before for before, after in itertools.pairwise(minutes)}
    if len(minutes) > 2 and len(steps) == 1 and minutes[0] + 60 - minutes[-1] not in steps:
        found.append("the step does not divide an hour: the last interval of each hour is shorter")
    return found


def _of_steps(schedule: Schedule) -> list[str]:
    """A step beyond the end of its field: cron counts from the field's beginning, each time anew."""
    if schedule.form != "cron":
        return []
    found = []
    for field, word in zip(FIELDS, schedule.text.split(), strict=False):
        for first, step in re.findall(r"(?:^|,)(\*|\d+-\d+)/(\d+)", word):
            low, high = (field.low, field.high) if first == "*" else map(int, first.split("-"))
            if int(step) > high - low:
                found.append(f"the step of {step} goes beyond the {field.name}'s {high}: only {low} is left")
    return found


def _of_clock(schedule: Schedule, times: Sequence[datetime]) -> list[str]:
    """Whether it falls into the hour that the next change of the clocks leaves out or repeats."""
    if not times or not schedule.patterns:
        return []
    day = times[0].replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(366):
        begin, end = day.replace(hour=0), (day + timedelta(days=1)).replace(hour=0)
        if begin.utcoffset() != end.utcoffset():
            hours = {hour for pattern in schedule.patterns for hour in pattern.hours if len(pattern.hours) < 24}
            moved = [hour for hour in range(24) if _is_moved(day.replace(hour=hour))]
            if hours.intersection(moved):
                return [f"on {day:%Y-%m-%d} the clocks change at that hour: it may run at another, or not"]
            return []
        day = end
    return []


def _is_moved(time: datetime) -> bool:
    """Whether an hour does not exist, or exists twice."""
    return time.replace(fold=0).utcoffset() != time.replace(fold=1).utcoffset()
