"""What to know of a schedule that is right and may still not be meant (J19)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

from mltop.jobs.schedule.pattern import Pattern
from mltop.jobs.schedule.schedule import Schedule


def advice(schedule: Schedule, times: Sequence[datetime] = ()) -> list[str]:
    """Lines for people; `times` are its next runs, in the box's zone."""
    found = [line for pattern in schedule.patterns for line in _of_pattern(pattern)]
    return [*dict.fromkeys(found), *_of_clock(schedule, times)]


def _of_pattern(pattern: Pattern) -> list[str]:
    found = []
    if pattern.is_either and len(pattern.weekdays) < 7 and len(pattern.days) < 31:
        found.append("runs on those days of the month and on those weekdays too, on either of them")
    minutes = sorted(pattern.minutes)
    steps = {after - before for before, after in itertools.pairwise(minutes)}
    if len(minutes) > 2 and len(steps) == 1 and minutes[0] + 60 - minutes[-1] not in steps:
        found.append("the step does not divide an hour: the last interval of each hour is shorter")
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
