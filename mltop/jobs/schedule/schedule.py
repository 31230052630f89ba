"""When a job runs: cron's fields and `@` names, OnCalendar, `every 15m`; and what each scheduler can say of it."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Literal

import msgspec

from mltop.jobs.schedule.cron_field import ScheduleFault, reads_as_cron
from mltop.jobs.schedule.on_calendar import UnknownTimesError, beyond_cron, check, judged, read
from mltop.jobs.schedule.pattern import Pattern, cron_runs, of_cron

__all__ = ["Schedule", "ScheduleFault", "cron_times", "local_zone", "next_runs", "parse", "shown"]

_AT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EVERY = re.compile(r"every\s+(?P<count>\d{1,6})?\s*(?P<unit>[a-z]+)")
_FIELDS_ONLY = re.compile(r"[\d*/,-]+(?:\s+[\d*/,-]+){2,}")
"""Three words and more of digits and stars: cron's, with too few of them or too many."""
_TOO_MANY = re.compile(r"(?:[\d*][\w*/,~-]*\s+){2}[^:]*")
"""A minute and an hour, and no time with a colon: cron's, perhaps with a user or a command behind it."""
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_DAY_MIN = 1440
_LOCALTIME = Path("/etc/localtime")
_WHOLE = frozenset


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule as it was written, and what it means."""

    text: str
    form: Literal["cron", "calendar", "every"]
    patterns: tuple[Pattern, ...] = ()
    """When it runs; none where only systemd can say it, and for `@reboot`."""
    is_reboot: bool = False
    calendar: tuple[str, ...] = ()
    """OnCalendar as it was written, or for less than a minute."""

    def cron(self) -> tuple[str, ...]:
        """What goes before the command in a crontab, a line each; raises ScheduleFault where cron cannot say it."""
        if self.form == "cron":
            return (" ".join(self.text.split()),)
        if not self.patterns:
            reason = "less than a minute" if self.form == "every" else beyond_cron(self.text)
            raise ScheduleFault(f'cron cannot say "{self.text}"' + (f": {reason}" if reason else ""))
        try:
            return tuple(pattern.cron() for pattern in self.patterns)
        except ScheduleFault as fault:
            raise ScheduleFault(f'cron cannot say "{self.text}": {fault}') from None

    def on_calendar(self) -> tuple[str, ...]:
        """OnCalendar expressions for a timer; raises ScheduleFault for `@reboot`."""
        if self.is_reboot:
            raise ScheduleFault(
                "OnCalendar has no @reboot: use cron, or a unit of your own with WantedBy=default.target"
            )
        if self.calendar:
            return self.calendar
        return tuple(expression for pattern in self.patterns for expression in pattern.on_calendar())

    def next_runs(self, after: datetime, count: int, zone: tzinfo | None = None) -> tuple[datetime, ...]:
        """The next times after an aware one, in the zone of the box (or the one given).

        None where they cannot be told: `unknown` says why.
        """
        found = next_runs((self,), after, count, zone)
        return found[0] if found else ()

    @property
    def unknown(self) -> str | None:
        """Why its next runs cannot be told; `None` where they can."""
        if self.is_reboot:
            return "runs when the box starts"
        if self.patterns:
            return None
        try:
            judged(self.calendar, datetime.now(UTC), 1)
        except UnknownTimesError as error:
            return f"only systemd can tell when: {error}"
        return None


def parse(text: str) -> Schedule:
    """Read a schedule; raises ScheduleFault for one that is wrong, that never runs, or that misleads."""
    stripped = text.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable():
        raise ScheduleFault(f"{text!r}: not a schedule" if stripped else "an empty schedule")
    if stripped.startswith("every"):
        return _every(stripped)
    if reads_as_cron(stripped) or _FIELDS_ONLY.fullmatch(stripped) or _TOO_MANY.fullmatch(stripped):
        return _cron(stripped)
    pattern = read(stripped)
    if pattern is not None:
        return Schedule(text=stripped, form="calendar", patterns=(pattern,), calendar=(stripped,))
    with contextlib.suppress(
        UnknownTimesError
    ):  # then it is accepted unseen: `unknown` says so, and apply asks systemd
        check(stripped)
    return Schedule(text=stripped, form="calendar", calendar=(stripped,))


def _cron(text: str) -> Schedule:
    if text == "@reboot":
        return Schedule(text=text, form="cron", is_reboot=True)
    if text.startswith("@"):
        if text not in _AT:
            raise ScheduleFault(f'"{text}": cron knows {", ".join(_AT)} and @reboot')
        return Schedule(text=text, form="cron", patterns=(of_cron(_AT[text]),))
    return Schedule(text=text, form="cron", patterns=(of_cron(text),))


def _every(text: str) -> Schedule:
    """`every N`: divides an hour or a day, aligned to the wall clock (D36)."""
    match = _EVERY.fullmatch(text.lower())
    unit = _UNITS.get(match["unit"]) if match else None
    if match is None or unit is None:
        raise ScheduleFault(f'"{text}": write every 15m, every 6h or every 1d')
    seconds = int(match["count"] or 1) * unit
    if 0 < seconds < 60 and 60 % seconds == 0:
        return Schedule(text=text, form="every", calendar=(f"*-*-* *:*:00/{seconds}",))
    minutes = seconds // 60
    if seconds % 60 or minutes == 0 or _DAY_MIN % minutes:
        raise ScheduleFault(f'"{text}": does not divide {_nearest(seconds)}')
    times: dict[frozenset[int], set[int]] = {}
    for minute, hours in _by_minute(minutes):
        times.setdefault(hours, set()).add(minute)
    patterns = tuple(
        Pattern(frozenset(at), hours, _WHOLE(range(1, 32)), _WHOLE(range(1, 13)), _WHOLE(range(7)))
        for hours, at in times.items()
    )
    return Schedule(text=text, form="every", patterns=patterns)


def _by_minute(step: int) -> Iterator[tuple[int, frozenset[int]]]:
    """The hours in which each minute comes up, through a day in steps."""
    for minute in sorted({time % 60 for time in range(0, _DAY_MIN, step)}):
        yield minute, frozenset(time // 60 for time in range(0, _DAY_MIN, step) if time % 60 == minute)


def _nearest(seconds: int) -> str:
    """What it should divide, with the closest that does."""
    if seconds < 60:
        return "a minute"
    minutes = seconds / 60
    good = [n for n in range(1, 60) if 60 % n == 0] + [n for n in range(60, _DAY_MIN + 1, 60) if _DAY_MIN % n == 0]
    best = min(good, key=lambda n: abs(n - minutes))
    words = f"{best}m" if best % 60 else f"{best // 60}h" if best < _DAY_MIN else "1d"
    return f"an hour or a day evenly; every {words} does" + ("" if seconds <= 86400 else ", or a cron schedule")


def next_runs(
    schedules: tuple[Schedule, ...], after: datetime, count: int, zone: tzinfo | None = None
) -> list[tuple[datetime, ...]]:
    """The next times of each of many schedules; systemd is asked once for all that it has to tell.

    OnCalendar is told by systemd where it is there, for it treats a change of the clocks otherwise than cron does.
    """
    zone = zone or local_zone()
    start = after.astimezone(zone)
    asked = tuple(dict.fromkeys(text for one in schedules for text in one.calendar))
    try:
        told = judged(asked, after, count, zone)
    except UnknownTimesError:
        told = {}
    found = []
    for schedule in schedules:
        if schedule.calendar and all(text in told for text in schedule.calendar):
            times = sorted({time for text in schedule.calendar for time in told[text]})
            found.append(tuple(time.astimezone(zone) for time in times[:count]))
        else:
            found.append(cron_times(schedule, start, count))
    return found


def cron_times(schedule: Schedule, start: datetime, count: int) -> tuple[datetime, ...]:
    """Its next times after an aware one, in that one's zone, by cron's rules; none where cron cannot say it."""
    try:
        lines = (
            [_AT.get(text, text) for text in schedule.cron()]
            if schedule.form == "cron" and not schedule.is_reboot
            else [pattern.cron() for pattern in schedule.patterns]
        )
        all_times = (time for line in lines for time in itertools.islice(cron_runs(line, start), count))
        times = {time.timestamp(): time for time in all_times}  # times of a repeated hour are equal, and not the same
    except ScheduleFault:
        return ()
    return tuple(times[key] for key in sorted(times)[:count])


def local_zone() -> tzinfo:
    """The zone of the box, which its schedulers keep to, whatever TZ says in this process."""
    from zoneinfo import ZoneInfo

    try:
        target = str(_LOCALTIME.readlink())
        _, found, name = target.partition("zoneinfo/")
        if found:
            return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        pass
    try:
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


def shown(time: datetime) -> str:
    """A time for people, with its zone and its distance from UTC: `Wed 2026-11-25 02:00 CET (+01:00)`."""
    offset = time.strftime("%z")
    clock = f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"
    return f"{time:%a %Y-%m-%d} {clock} {time.tzname()} ({offset[:3]}:{offset[3:5]})"
