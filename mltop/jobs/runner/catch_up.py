"""Which persistent jobs missed their time while the box was off, asleep, or without its cron daemon (D31, J36)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mltop.config.job import JobConfig
from mltop.jobs.schedule.schedule import ScheduleFault, parse
from mltop.model.job import Run, RunState

PATIENCE = timedelta(minutes=2)
"""A slot this new is still cron's own to serve."""


def missed(job: JobConfig, last: Run | None, now: datetime) -> datetime | None:
    """The first slot after a job's last start that nobody served; `None` where there is none.

    Any run serves it, however it ended: a catch-up that failed is not repeated. A job that never ran missed nothing.
    """
    if not (job.persistent and job.enabled) or last is None or last.started_at is None:
        return None
    if last.state is RunState.RUNNING:
        return None  # what it keeps from running is looked at again in an hour
    started = datetime.fromisoformat(last.started_at).astimezone(UTC)
    latest = now - PATIENCE - timedelta(seconds=job.jitter_s)
    slots = [slot for text in job.schedule if (slot := _first(text, started)) is not None and slot <= latest]
    return min(slots, default=None)


def _first(text: str, after: datetime) -> datetime | None:
    try:
        slots = parse(text).next_runs(after, 1)
    except ScheduleFault:
        return None  # said where schedules are shown
    return slots[0] if slots else None
