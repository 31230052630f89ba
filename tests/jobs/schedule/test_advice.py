"""What is said of a schedule that is right and may still not be meant (J19)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mltop.jobs.schedule.advice import advice, crowded, too_often
from mltop.jobs.schedule.schedule import parse

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(text: str, after: datetime = NOW) -> list[str]:
    schedule = parse(text)
    return advice(schedule, schedule.next_runs(after, 5, WARSAW))


def test_days_of_both_kinds_mean_either_or_both_and_the_dates_show_which() -> None:
    (either,) = said("0 0 13 * 5")
    assert either.endswith("on either of them (next Fri 2026-11-27, Fri 2026-12-04, Fri 2026-12-11)")
    (both,) = said("0 0 */9 * 1")
    assert both.endswith("both of them (next Mon 2026-12-28, Mon 2027-02-01, Mon 2027-03-01)")


@pytest.mark.parametrize(
    ("text", "said_"),
    [("*/7 * * * *", True), ("5-59/10 * * * *", False), ("*/15 * * * *", False), ("0,20,50 * * * *", False)],
)
def test_a_step_that_does_not_divide_an_hour(text: str, said_: bool) -> None:
    assert any("does not divide" in line for line in said(text)) is said_


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("30 2 * * *", datetime(2026, 3, 1, tzinfo=UTC), "on 2026-03-29 the clocks change at that hour"),
        ("30 2 * * *", datetime(2026, 10, 1, tzinfo=UTC), "on 2026-10-25 the clocks change at that hour"),
        ("30 4 * * *", datetime(2026, 3, 1, tzinfo=UTC), None),
        ("30 * * * *", datetime(2026, 3, 1, tzinfo=UTC), None),
    ],
)
def test_an_hour_that_is_left_out_or_comes_twice(text: str, after: datetime, expected: str | None) -> None:
    lines = said(text, after)
    assert (lines == []) if expected is None else lines[0].startswith(expected)


def test_runs_that_take_longer_than_the_time_between_them() -> None:
    times = parse("*/5 * * * *").next_runs(NOW, 3, WARSAW)
    assert too_often(times, [10.0] * 94 + [400.0] * 6) == [
        "a run takes up to 400 s (95 of 100), longer than the 300 s between two"
    ]
    assert too_often(times, [10.0] * 96 + [400.0] * 4) == [], "a rare long run does not count"
    assert too_often(times, []) == []
    assert too_often(times[:1], [9999.0]) == []


def test_a_crowd_in_one_minute_is_offered_another() -> None:
    times = parse("0 2 * * *").next_runs(NOW, 3, WARSAW)
    same = [[times[0]] for _ in range(3)]
    (line,) = crowded(times, same)
    assert line.startswith("4 jobs begin at 02:00")
    assert 'jitter = "10m"' in line
    assert line.endswith("nothing begins at minute 1")
    busy = [[times[0] + timedelta(minutes=1)], [times[0] + timedelta(minutes=2)]]
    assert crowded(times, [*same, *busy])[0].endswith("nothing begins at minute 3")
    assert crowded(times, same[:2]) == [], "three are none"
    assert crowded((), same) == []
