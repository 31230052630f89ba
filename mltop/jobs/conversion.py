"""From cron to systemd and back: only where both would run a job at the same times (J24)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from mltop.jobs.schedule.on_calendar import UnknownTimesError, judged
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, cron_times, local_zone, shown

COUNT = 50
"""So many runs have to be the same."""
_MORE = 30
"""Runs that may lie on days that do not count."""


class ConversionError(Exception):
    """Why a schedule cannot change its scheduler."""


def exempt_days(schedules: Sequence[Schedule], after: datetime | None = None, zone: tzinfo | None = None) -> list[str]:
    """The days on which cron and systemd differ, among those of the next runs: the clocks change then.

    Raises ConversionError where one of them cannot say the schedule, or any other run differs. Cron makes up for an
    hour that is left out, and systemd leaves out what would be in it (systemd.time(7), cron(8)).
    """
    zone = zone or local_zone()
    start = _beyond_change((after or datetime.now(UTC)).astimezone(zone))
    by_cron, by_systemd = _by_cron(schedules, start), _by_systemd(schedules, start, zone)
    if not by_cron or not by_systemd:
        raise ConversionError("it would never run")
    until = min(by_cron[-1], by_systemd[-1])
    changes = sorted({time.date() for time in (*by_cron, *by_systemd) if _changes_clock(time) and time <= until})
    pair = [
        [time for time in times if time <= until and time.date() not in changes][:COUNT]
        for times in (by_cron, by_systemd)
    ]
    for number, (one, other) in enumerate(zip(*pair, strict=False), 1):
        if one != other:
            what = f"run {number} of the next {COUNT} differs: cron {shown(one)}, systemd {shown(other)}"
            raise ConversionError(what)
    return [line for day in changes if (line := _said(day, by_cron, by_systemd))]


def _said(day: date, by_cron: Sequence[datetime], by_systemd: Sequence[datetime]) -> str:
    """How the two differ on a day; nothing where they do not."""
    pair = [{time.timestamp(): time for time in times if time.date() == day} for times in (by_cron, by_systemd)]
    parts = []
    for name, mine, other in (("cron", pair[0], pair[1]), ("systemd", pair[1], pair[0])):
        alone = [f"{mine[key]:%H:%M %Z}" for key in sorted(mine.keys() - other.keys())]
        if alone:
            parts.append(f"only {name} runs it at {', '.join(alone[:4])}{' …' if len(alone) > 4 else ''}")
    return f"on {day} the clocks change: {', '.join(parts)}" if parts else ""


def _by_cron(schedules: Sequence[Schedule], start: datetime) -> list[datetime]:
    try:
        for one in schedules:
            if one.is_reboot:
                one.on_calendar()
            one.cron()
    except ScheduleFault as fault:
        raise ConversionError(str(fault)) from None
    return _earliest(time for one in schedules for time in cron_times(one, start, COUNT + _MORE))


def _by_systemd(schedules: Sequence[Schedule], start: datetime, zone: tzinfo) -> list[datetime]:
    try:
        texts = tuple(dict.fromkeys(text for one in schedules for text in one.on_calendar()))
        told = judged(texts, start, COUNT + _MORE, zone)
    except (ScheduleFault, UnknownTimesError) as error:
        raise ConversionError(str(error)) from None
    if missing := [text for text in texts if text not in told]:
        raise ConversionError(f'systemd cannot tell when "{missing[0]}" runs')
    return _earliest(time.astimezone(zone) for times in told.values() for time in times)


def _earliest(times: Iterable[datetime]) -> list[datetime]:
    found = {time.timestamp(): time for time in times}
    return [found[key] for key in sorted(found)][: COUNT + _MORE]


def _beyond_change(time: datetime) -> datetime:
    """A moment from which days count: not within one on which the clocks change."""
    if not _changes_clock(time):
        return time
    return (time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0) + timedelta(days=1)) - timedelta(seconds=1)


def _changes_clock(time: datetime) -> bool:
    """Whether the clocks change on its day."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()
