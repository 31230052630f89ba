"""A schedule changes its scheduler only where both run it at the same times (J24)."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mltop.jobs.conversion import ConversionError, exempt_days
from mltop.jobs.schedule.on_calendar import judged
from mltop.jobs.schedule.schedule import ScheduleFault, cron_times, parse

WARSAW = ZoneInfo("Europe/Warsaw")
AUTUMN = datetime(2026, 10, 20, 12, tzinfo=UTC)
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")


@needs_systemd
@pytest.mark.parametrize(
    "text",
    [
        "0 3 * * *", "*/5 * * * *", "0 0 13 * 5", "0 0 1-31 * 1", "15 10 */9 * 1", "5 4 1,15 * *", "@weekly",
        "Mon..Fri 12:30", "*-*-01 04:00", "every 90m", "hourly", "59 23 28-31 2 *", "0 12 29 2 *",
    ],
)  # fmt: skip
def test_both_run_it_at_the_same_times(text: str) -> None:
    assert exempt_days([parse(text)], AUTUMN, WARSAW) == []


@needs_systemd
def test_the_days_on_which_the_clocks_change_are_listed_and_do_not_count() -> None:
    spring = datetime(2026, 3, 20, 12, tzinfo=UTC)
    (line,) = exempt_days([parse("30 2 * * *")], spring, WARSAW)
    assert line == "on 2026-03-29 the clocks change: only cron runs it at 03:00 CEST"
    lines = exempt_days([parse("*/30 * * * *")], datetime(2026, 10, 24, 20, tzinfo=UTC), WARSAW)
    assert lines == ["on 2026-10-25 the clocks change: only cron runs it at 02:00 CET, 02:30 CET"]


@needs_systemd
def test_on_such_a_day_itself_the_days_after_it_count() -> None:
    assert exempt_days([parse("*/10 * * * *")], datetime(2026, 10, 25, 0, 30, tzinfo=UTC), WARSAW) == []


@needs_systemd
def test_several_schedules_of_a_job_count_together() -> None:
    assert exempt_days([parse("Mon..Fri 03:30"), parse("Sat,Sun 05:00")], AUTUMN, WARSAW) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("*-*-* *:*:30", "seconds: its smallest step is a minute"),
        ("*-*~01 03:00", "the days from the end of a month"),
        ("2030-*-* 03:00", "a year"),
        ("*-*-* 03:00 Europe/Paris", "the zone Europe/Paris"),
        ("every 30s", "less than a minute"),
        ("Fri *-*-13 00:00", "either of them"),
        ("@reboot", "@reboot"),
    ],
)
@needs_systemd
def test_what_one_of_them_cannot_say_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        exempt_days([parse(text)], AUTUMN, WARSAW)


def test_a_random_minute_is_no_schedule_at_all() -> None:
    with pytest.raises(ScheduleFault, match="~"):
        parse("0~30 * * * *")


@needs_systemd
def test_either_kind_of_day_becomes_two_expressions() -> None:
    assert parse("0 0 13 * 5").on_calendar() == ("*-*-13 00:00:00", "Fri *-*-* 00:00:00")
    assert parse("0 0 */9 * 1").on_calendar() == ("Mon *-*-01,10,19,28 00:00:00",), "a star with a step means both"


@needs_systemd
def test_a_step_of_any_size_is_the_same_over_midnight_and_the_months_end() -> None:
    """systemd 252 leaves out 00:00 after a step that does not divide its range: such steps are told as their values."""
    start = datetime(2026, 11, 30, 18, 59, tzinfo=UTC)
    texts = [f"*/{step} * * * *" for step in range(1, 60)] + [f"7 */{step} * * *" for step in range(1, 24)]
    schedules = [parse(text) for text in texts]
    calendars = [one.on_calendar() for one in schedules]
    told = judged(tuple(dict.fromkeys(text for several in calendars for text in several)), start, 70, UTC)
    for text, one, several in zip(texts, schedules, calendars, strict=True):
        by_systemd = sorted(time for calendar in several for time in told[calendar])[:70]
        assert list(cron_times(one, start, 70)) == by_systemd, text
