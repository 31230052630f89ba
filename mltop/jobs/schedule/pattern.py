"""When something runs, as sets of minutes, hours, days, months and weekdays: what cron and OnCalendar can both say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from mltop.jobs.schedule.cron_field import DAY, FIELDS, HOUR, MINUTE, MONTH, WEEKDAY, Field, ScheduleFault, squeezed

_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_ALONE = re.compile(r"\b(\w+)-\1/\d+", re.IGNORECASE)
"""A range of one value, with a step."""
NEVER = "there is no such day: it would never run"


class Pattern(msgspec.Struct, frozen=True):
    """One line of cron, or one expression of OnCalendar. Weekdays are 0 (Sunday) to 6."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_either: bool = False
    """Runs on the days of the month and on the weekdays too: cron's rule where neither field begins with `*`."""

    def __post_init__(self) -> None:
        if not self._has_a_day():
            raise ScheduleFault(NEVER)

    def _has_a_day(self) -> bool:
        if self.is_either and self.weekdays:
            return True
        return any(min(self.days) <= _LONGEST[month] for month in self.months)

    def cron(self) -> str:
        """The five fields; raises ScheduleFault where cron cannot say it."""
        if self.is_either or self._every(self.days, DAY) or self._every(self.weekdays, WEEKDAY):
            days, weekdays = squeezed(self.days, DAY), squeezed(self.weekdays, WEEKDAY)
            if self.is_either:  # a `*` would turn the rule around
                days = "1-31" if days == "*" else days
                weekdays = "0-6" if weekdays == "*" else weekdays
            months = squeezed(self.months, MONTH)
            return f"{squeezed(self.minutes, MINUTE)} {squeezed(self.hours, HOUR)} {days} {months} {weekdays}"
        raise ScheduleFault(
            "cron runs a line with days of the month and weekdays on either of them, not where both meet"
        )

    def on_calendar(self) -> tuple[str, ...]:
        """One OnCalendar expression, or two where either kind of day counts."""
        time = f"{_listed(self.hours, HOUR)}:{_listed(self.minutes, MINUTE)}:00"
        months = _listed(self.months, MONTH)
        every_day = f"*-{months}-*"
        by_day = f"*-{months}-{_listed(self.days, DAY)}"
        names = ",".join(_NAMES[day] for day in (*range(1, 7), 0) if day in self.weekdays)
        weekday = "" if self._every(self.weekdays, WEEKDAY) else f"{names} "
        if not self.is_either:
            return (f"{weekday}{by_day} {time}",)
        if self._every(self.days, DAY) or not weekday:
            return (f"{every_day} {time}",)
        return f"{by_day} {time}", f"{weekday}{every_day} {time}"

    def runs(self, after: datetime) -> Iterator[datetime]:
        """Its times after an aware one, in that one's zone, by the rules of Debian's cron; raises ScheduleFault."""
        return cron_runs(self.cron(), after)

    @staticmethod
    def _every(values: frozenset[int], field: Field) -> bool:
        return len(values) == (7 if field is WEEKDAY else field.high - field.low + 1)


def of_cron(text: str) -> Pattern:
    """The pattern of five fields; raises ScheduleFault."""
    words = text.split()
    if len(words) != 5:
        raise ScheduleFault(f'"{text}": a cron schedule has five fields, this has {len(words)}')
    minutes, hours, days, months, weekdays = (field.values(word) for field, word in zip(FIELDS, words, strict=True))
    is_either = not (words[2].startswith("*") or words[4].startswith("*"))
    try:
        return Pattern(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), is_either)
    except ScheduleFault as fault:
        raise ScheduleFault(f'"{text}": {fault}') from None


def cron_runs(fields: str, after: datetime) -> Iterator[datetime]:
    """The times of five fields of cron (cronsim: Debian's rules, DST too)."""
    from cronsim import CronSim, CronSimError

    alone = _ALONE.sub(r"\1", fields)  # cronsim reads it as `5/1`, to the end
    try:
        return iter(CronSim(alone, after))
    except CronSimError as error:
        raise ScheduleFault(f'"{fields}": {error}') from None


def _listed(values: frozenset[int], field: Field) -> str:
    """As OnCalendar writes a set of numbers.

    Of a step that does not divide its range, each value: systemd 252 reads `00/7` minutes, and leaves out minute 0
    of the hour after the day's last (`systemd-analyze calendar` shows it).
    """
    text = squeezed(values, field)
    if text == "*":
        return "*"
    if text.startswith("*/"):
        if (field.high + 1 - field.low) % int(text[2:]) == 0:
            return f"{field.low:02d}/{text[2:]}"
        text = ",".join(map(str, sorted(values)))
    return ",".join("..".join(f"{int(number):02d}" for number in part.split("-")) for part in text.split(","))
