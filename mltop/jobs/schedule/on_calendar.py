"""OnCalendar (systemd.time(7)): its everyday forms read here, and all of them judged by `systemd-analyze calendar`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from mltop.jobs.program import ProgramError, ask
from mltop.jobs.schedule.cron_field import DAY, HOUR, MINUTE, MONTH, Field, ScheduleFault
from mltop.jobs.schedule.pattern import Pattern

_DEADLINE_S = 3.0
_SHORT = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TERM = re.compile(r"(?:(?P<all>\*)|(?P<first>\d+)(?:\.\.(?P<last>\d+))?)(?:/(?P<step>\d+))?")
_ELAPSE = re.compile(r"\s*(?:Next elapse|Iter\. #\d+|\(in UTC\)): (?P<time>.*)")
_TIME = "%a %Y-%m-%d %H:%M:%S UTC"


class UnknownTimesError(Exception):
    """When it runs cannot be told here; the reason in words."""


def read(text: str) -> Pattern | None:
    """The pattern of a plain expression; `None` where it is something else (a year, a zone, seconds, `~`, a fault)."""
    words = _SHORT.get(text.strip().lower(), text).split()
    weekdays = frozenset(range(7))
    if words and words[0][0].isalpha():
        found = _weekdays(words.pop(0).lower())
        if found is None:
            return None
        weekdays = found
    elif not words:
        return None
    date = words.pop(0) if words and ":" not in words[0] else "*-*-*"
    time = words.pop(0) if words else "00:00"
    if words:
        return None
    months_days, hours_minutes = _date(date), _time(time)
    if months_days is None or hours_minutes is None:
        return None
    return Pattern(hours_minutes[1], hours_minutes[0], months_days[1], months_days[0], weekdays)


def beyond_cron(text: str) -> str:
    """What of an expression cron has no word for; nothing where that is not known."""
    words = text.split()
    clock = next((word for word in words if ":" in word), "")
    date = next((word for word in words if re.search(r"[\d*][-~]", word) and ":" not in word), "")
    zone = words[-1] if len(words) > 1 and re.match(r"UTC$|[A-Za-z_]+/", words[-1]) else ""
    reasons = {
        f"the zone {zone}: cron has that of the box alone": zone,
        '"~", the days from the end of a month': "~" in date,
        "a year": date.count("-") + date.count("~") == 2 and not date.startswith("*"),
        "seconds: its smallest step is a minute": clock.count(":") == 2 and clock.rpartition(":")[2] not in ("0", "00"),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _weekdays(text: str) -> frozenset[int] | None:
    found: set[int] = set()
    for part in text.rstrip(",").split(","):
        first, dots, last = part.partition("..")
        begin, end = _weekday(first), _weekday(last if dots else first)
        if begin is None or end is None or begin > end:
            return None
        found.update((number + 1) % 7 for number in range(begin, end + 1))
    return frozenset(found)


def _weekday(name: str) -> int | None:
    return next((names.index(name) for names in (_WEEKDAYS, _LONG) if name in names), None)


def _date(text: str) -> tuple[frozenset[int], frozenset[int]] | None:
    """Months and days of `*-MM-DD` or `MM-DD`."""
    parts = text.split("-")
    if len(parts) == 3 and parts[0] == "*":
        parts = parts[1:]
    if len(parts) != 2:
        return None
    return _pair(parts, MONTH, DAY)


def _time(text: str) -> tuple[frozenset[int], frozenset[int]] | None:
    """Hours and minutes of `HH:MM` and `HH:MM:00`."""
    parts = text.split(":")
    if len(parts) == 3 and parts[2] in ("0", "00"):
        parts = parts[:2]
    return _pair(parts, HOUR, MINUTE) if len(parts) == 2 else None


def _pair(parts: list[str], first: Field, second: Field) -> tuple[frozenset[int], frozenset[int]] | None:
    one, two = _values(parts[0], first), _values(parts[1], second)
    return (one, two) if one and two else None


def _values(text: str, field: Field) -> frozenset[int] | None:
    found: set[int] = set()
    for part in text.split(","):
        match = _TERM.fullmatch(part)
        if match is None or (match["all"] and match["step"]):
            return None
        if match["all"]:
            found.update(range(field.low, field.high + 1))
            continue
        first, step = int(match["first"][:9]), int((match["step"] or "1")[:9])
        last = int(match["last"][:9]) if match["last"] else field.high if match["step"] else first
        if step == 0 or not field.low <= first <= last <= field.high:
            return None
        found.update(range(first, last + 1, step))
    return frozenset(found)


def judged(
    texts: Sequence[str], after: datetime, count: int, zone: tzinfo | None = None
) -> dict[str, tuple[datetime, ...]]:
    """The next times (in UTC) of each expression, read in a zone; none for one that never runs again. Asked at once.

    An expression that systemd does not take is left out; so is one that systemd 252 goes round in circles with (it says
    "infinite loop": steps of hours, and clocks that change). Raises UnknownTimesError where nothing is told.
    """
    if not texts:
        return {}
    environment = {name: value for name, value in os.environ.items() if name != "TZ"}
    if isinstance(key := "UTC" if zone is UTC else getattr(zone, "key", None), str):
        environment["TZ"] = key
    base = f"--base-time=@{int(after.timestamp())}"
    try:
        answer = ask(
            ("systemd-analyze", "calendar", f"--iterations={count}", base, "--", *texts), _DEADLINE_S, environment
        )
    except ProgramError as error:
        raise UnknownTimesError(str(error)) from None
    if answer.code != 0 and b"calendar specification" not in answer.err and not answer.out.strip():
        raise UnknownTimesError(f"systemd-analyze calendar: {answer.complaint()}")
    return _elapses(answer.out.decode("utf-8", "replace"))


def _elapses(text: str) -> dict[str, tuple[datetime, ...]]:
    """Blocks are apart by an empty line; the original form is left out where it is the normal one."""
    found: dict[str, tuple[datetime, ...]] = {}
    for block in re.split(r"\n\s*\n", text):
        name = ""
        times = []
        for line in block.splitlines():
            key, _, value = line.strip().partition(": ")
            if key == "Original form" or (key == "Normalized form" and not name):
                name = value
            match = _ELAPSE.match(line)
            if match and match["time"].endswith(" UTC"):  # in another zone, a line in UTC follows
                times.append(datetime.strptime(match["time"], _TIME).replace(tzinfo=UTC))
        if name:
            found[name] = tuple(times)
    return found


def check(text: str) -> tuple[datetime, ...]:
    """Raise ScheduleFault for an expression that systemd does not take or that never runs; its next time else."""
    found = judged((text,), datetime.now(UTC), 1)
    if text not in found:
        raise ScheduleFault(f'"{text}": neither a cron schedule, nor "every 15m", nor an OnCalendar expression')
    if not found[text]:
        raise ScheduleFault(f'"{text}": it would never run again')
    return found[text]
