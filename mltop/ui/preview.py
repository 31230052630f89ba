"""When a schedule would run, as it is typed: its next times, what to know of it, what is wrong with it (J17, J19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mltop.model.job import Job

COUNT = 10
"""Next runs (J17)."""


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
    from mltop.jobs.schedule.advice import advice, crowded, too_often
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
    begins = [[datetime.fromisoformat(time) for time in job.next_runs] for job in others if job.enabled]
    notes += [*too_often(ahead, [] if took_s is None else [took_s]), *crowded(ahead, begins)]
    return Preview(text, tuple(shown(time) for time in ahead), tuple(dict.fromkeys(notes)))
