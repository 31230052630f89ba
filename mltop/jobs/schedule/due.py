"""For which times a job was scheduled, looking back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, local_zone, next_runs, parse


def due_times(texts: Sequence[str], after: datetime, until: datetime, most: int) -> tuple[datetime, ...]:
    """The first times after one and up to another (both aware), at most so many.

    A schedule that is wrong has none: that is said where schedules are shown.
    """
    found = sorted({slot for text in texts for slot in _of(text, after, until, most)})
    return tuple(found[:most])


def _of(text: str, after: datetime, until: datetime, most: int) -> Iterable[datetime]:
    try:
        schedule = parse(text)
        slots: Iterator[datetime] | tuple[datetime, ...]
        if schedule.patterns:  # needs nobody's help
            start = after.astimezone(local_zone())
            slots = _of_patterns(schedule, start, most)
        else:
            slots = next_runs((schedule,), after, most)[0]
        return list(itertools.takewhile(lambda slot: slot <= until, slots))
    except ScheduleFault:
        return ()


def _of_patterns(schedule: Schedule, start: datetime, most: int) -> Iterator[datetime]:
    runs = (itertools.islice(pattern.runs(start), most) for pattern in schedule.patterns)
    yield from sorted(itertools.chain.from_iterable(runs), key=lambda slot: slot.timestamp())
