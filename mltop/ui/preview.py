"""When a schedule would run, as it is typed: its next times, what to know of it, what is wrong with it (J17, J19)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mltop.model.job import Job

COUNT = 10
"""Next runs (J17)."""
CROWD = 3
"""Jobs of the same minute that are one too many beside this one."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a schedule."""

    text: str
    times: tuple[str, ...] = ()
    """The next runs, with their zone."""
    notes: tuple[str, ...] = ()
    fault: str = ""


def preview(text: str, took_s: float | None, others: Sequence[Job], now: datetime) -> Preview:
    """Look at schedules with `;` between them. May ask systemd, so it runs beside the loop (`aside`)."""
    from mltop.jobs.schedule.advice import advice
    from mltop.jobs.schedule.schedule import ScheduleFault, parse, shown

    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        return Preview(text, notes=("No schedule: it runs by hand only.",))
    times: set[datetime] = set()
    notes: list[str] = []
    for part in parts:
        try:
            schedule = parse(part)
        except ScheduleFault as fault:
            return Preview(text, fault=str(fault))
        found = schedule.next_runs(now, COUNT)
        times.update(found)
        notes += [*([schedule.unknown] if schedule.unknown else []), *advice(schedule, found)]
    ahead = sorted(times, key=lambda time: time.timestamp())[:COUNT]
    notes += [*_too_often(ahead, took_s), *_crowded(ahead, others)]
    return Preview(text, tuple(shown(time) for time in ahead), tuple(dict.fromkeys(notes)))


def _too_often(times: Sequence[datetime], took_s: float | None) -> list[str]:
    """Whether the next run begins before the one before it is likely to have ended."""
    gaps = [after.timestamp() - before.timestamp() for before, after in itertools.pairwise(times)]
    if not gaps or took_s is None or took_s <= min(gaps):
        return []
    return [f"the last run took {took_s:.0f} s, longer than the {min(gaps):.0f} s between two runs"]


def _crowded(times: Sequence[datetime], others: Sequence[Job]) -> list[str]:
    """Whether many jobs begin in the minute of the next run."""
    minutes = Counter(time[:16] for job in others if job.enabled for time in job.next_runs[:1])
    for time in times[:1]:
        count = minutes[f"{time.astimezone(UTC):%Y-%m-%dT%H:%M}"]
        if count >= CROWD:
            return [f"{count} other jobs begin in the same minute: another minute spreads the load"]
    return []
