"""A thousand random schedules in three zones, over the days on which their clocks change (J18)."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from mltop.jobs.schedule.on_calendar import judged, read
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, cron_times, next_runs, parse

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: install systemd"),
]

COUNT = 1000
RUNS = 5
ZONES = {
    "Europe/Warsaw": (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 1, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 10, 3, 8, tzinfo=UTC), datetime(2026, 4, 4, 8, tzinfo=UTC)),
}
"""Each with the evening before its clocks go forward, and back; Lord Howe's by half an hour."""


def field(chance: random.Random, low: int, high: int) -> str:
    """One field of cron, of every shape."""
    one, other = sorted(chance.sample(range(low, high + 1), 2))
    step = chance.choice((2, 3, 5, 7, 15))
    shapes = ["*", str(one), f"{one}-{other}", f"*/{step}", f"{one}-{other}/{step}", f"{one},{other}"]
    return chance.choices(shapes, (5, 6, 2, 3, 2, 2))[0]


def cron_texts() -> Iterator[str]:
    chance = random.Random(18)
    while True:
        fields = [field(chance, low, high) for low, high in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))]
        if chance.random() < 0.5:
            fields[2:] = chance.choice((["*", "*", "*"], ["*", "*", fields[4]], [fields[2], "*", "*"]))
        try:
            parse(text := " ".join(fields))
        except ScheduleFault:  # a day that never comes
            continue
        yield text


def calendar_texts() -> Iterator[str]:
    chance = random.Random(81)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    while True:
        first = chance.randrange(6)
        weekday = chance.choice(("", "", f"{days[first]} ", f"{days[first]}..{days[chance.randrange(first + 1, 7)]} "))
        month, day = (
            chance.choice(("*", f"{chance.randint(1, top):02d}", f"{low}/2")) for low, top in ((1, 12), (1, 28))
        )
        hour = chance.choice(("*", f"{chance.randrange(24):02d}", "1..3", "00/6", "2"))
        minute = chance.choice((f"{chance.randrange(60):02d}", "00/15", "0,30", "5..9", "*"))
        second = chance.choice(("", ":00", f":{chance.randrange(60):02d}"))
        yield f"{weekday}*-{month}-{day} {hour}:{minute}{second}"


def starts() -> Iterator[tuple[ZoneInfo, datetime]]:
    for name, moments in ZONES.items():
        yield from ((ZoneInfo(name), moment) for moment in moments)


def changes_clock(time: datetime) -> bool:
    midnight = time.replace(hour=0, minute=0, second=0, fold=0)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def asked(texts: Sequence[str], after: datetime, zone: ZoneInfo, count: int = RUNS) -> dict[str, list[datetime]]:
    """What systemd says, a hundred at a time."""
    told: dict[str, list[datetime]] = {}
    for start in range(0, len(texts), 100):
        answers = judged(texts[start : start + 100], after, count, zone)
        told |= {text: [time.astimezone(zone) for time in times] for text, times in answers.items()}
    return told


def test_crons_times_are_cronsims() -> None:
    texts = list(itertools.islice(cron_texts(), COUNT))
    schedules = tuple(map(parse, texts))
    for zone, after in starts():
        for text, times in zip(texts, next_runs(schedules, after, RUNS, zone), strict=True):
            expected = list(itertools.islice(CronSim(text, after.astimezone(zone)), RUNS))
            assert [time.isoformat() for time in times] == [time.isoformat() for time in expected], (text, zone.key)


def test_on_calendars_times_are_systemds() -> None:
    texts = list(dict.fromkeys(itertools.islice(calendar_texts(), COUNT)))
    for zone, after in starts():
        told = asked(texts, after, zone)
        schedules = tuple(parse(text) for text in texts if told.get(text))
        assert len(schedules) > len(texts) * 0.9
        for start in range(0, len(schedules), 100):
            part = schedules[start : start + 100]
            for schedule, times in zip(part, next_runs(part, after, RUNS, zone), strict=True):
                assert list(times) == told[schedule.text], (schedule.text, zone.key)


def test_what_is_made_for_systemd_of_a_cron_schedule_runs_when_cron_does_but_on_such_days() -> None:
    schedules = [parse(text) for text in itertools.islice(cron_texts(), COUNT)]
    expressions = list(dict.fromkeys(text for one in schedules for text in one.on_calendar()))
    for zone, after in starts():
        told = asked(expressions, after, zone, 2 * RUNS)
        assert len(told) > len(expressions) * 0.99, "some few systemd goes round in circles with"
        for one in schedules:
            if all(text in told for text in one.on_calendar()):
                times = sorted({time.timestamp() for text in one.on_calendar() for time in told[text]})
                _same_on_usual_days(one, times[: 2 * RUNS], after.astimezone(zone), zone)


def test_what_is_read_here_of_on_calendar_means_what_systemd_makes_of_it() -> None:
    """Where there is no systemd to ask, the pattern alone tells the times."""
    texts = list(dict.fromkeys(itertools.islice(calendar_texts(), COUNT)))
    patterns = {text: pattern for text in texts if (pattern := read(text)) is not None}
    assert len(patterns) > len(texts) / 3
    for zone, after in starts():
        told = asked(list(patterns), after, zone, 2 * RUNS)
        for text, pattern in patterns.items():
            one = Schedule(text=text, form="every", patterns=(pattern,))
            try:
                pattern.cron()
            except ScheduleFault:  # days of both kinds, which cron has no word for
                continue
            _same_on_usual_days(one, [time.timestamp() for time in told.get(text, ())], after.astimezone(zone), zone)


def _same_on_usual_days(schedule: Schedule, told: Sequence[float], start: datetime, zone: ZoneInfo) -> None:
    try:
        own = [time.timestamp() for time in cron_times(schedule, start, 2 * RUNS)]
    except CronSimError:
        own = []
    if not own or not told:
        return
    until = min(own[-1], told[-1])
    pair = [
        [second for second in times if second <= until and not changes_clock(datetime.fromtimestamp(second, zone))]
        for times in (own, told)
    ]
    assert pair[0] == pair[1], (schedule.text, zone.key)
