from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.config.limit import Limit, Range
from mltop.config.limits import TABLE, Limits, parse_limit
from mltop.config.quantity import duration_s, size_bytes
from mltop.model.finding import Level

numbers = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@pytest.mark.parametrize(
    ("text", "alerting", "quiet"),
    [
        ("10", [-0.1, 10.1], [0, 5, 10]),
        ("10:", [9.9, -5], [10, 1e9]),
        ("~:10", [10.1], [-1e9, 10]),
        ("10:20", [9.9, 20.1], [10, 15, 20]),
        ("@10:20", [10, 15, 20], [9.9, 20.1]),
    ],
)
def test_the_five_ranges_of_the_guidelines(text: str, alerting: list[float], quiet: list[float]) -> None:
    parsed = Range.parse(text)
    assert all(parsed.alerts(value) for value in alerting)
    assert not any(parsed.alerts(value) for value in quiet)


@pytest.mark.parametrize("text", ["", "@", "a", "20:10", "1:2:3", "nan", "inf:", "10:~"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Range.parse(text)


@given(st.one_of(st.just(-math.inf), numbers), st.one_of(st.just(math.inf), numbers), st.booleans(), numbers)
def test_a_range_reads_what_it_writes(start: float, end: float, inside: bool, value: float) -> None:
    if start > end:
        start, end = end, start
    start, end = (float(f"{one:g}") for one in (start, end))
    if start == math.inf or end == -math.inf or start > end:
        return
    written = Range(start, end, inside)
    assert Range.parse(str(written)).alerts(value) == written.alerts(value)


def test_no_number_always_alerts() -> None:
    assert Range.parse("10").alerts(math.nan)
    assert Limit(warn=Range.parse("10")).level(math.nan) is Level.UNKNOWN
    assert Limit().level(None) is Level.UNKNOWN


def test_a_level_is_entered_high_and_left_low() -> None:
    limit = TABLE["disk.space"].limit
    held = Level.OK
    seen = []
    for value in (84.9, 85.0, 84.0, 80.1, 79.9, 95.0, 91.0, 89.0, 82.0, 79.0):
        held = limit.level(value, held)
        seen.append(held.name[0])
    assert "".join(seen) == "OWWWOCCWWO"


def test_low_is_the_bad_end_of_what_is_available() -> None:
    limit = TABLE["mem.available"].limit
    assert limit.level(50) is Level.OK
    assert limit.level(10) is Level.WARNING
    assert limit.level(14, Level.WARNING) is Level.WARNING
    assert limit.level(3) is Level.CRITICAL


@given(st.lists(numbers, min_size=1), st.sampled_from(sorted(TABLE)))
def test_hysteresis_never_makes_it_better_than_without(values: list[float], check: str) -> None:
    limit, held = TABLE[check].limit, Level.OK
    for value in values:
        held = limit.level(value, held)
        assert held >= limit.level(value)


def test_a_number_follows_the_checks_direction_and_moves_the_way_back() -> None:
    limit = parse_limit("disk.space", {"warn": 70, "crit": 75})
    assert limit.level(70) is Level.WARNING
    assert limit.level(66, Level.WARNING) is Level.WARNING
    assert limit.level(64, Level.WARNING) is Level.OK
    assert limit.level(71, Level.CRITICAL) is Level.CRITICAL
    low = parse_limit("mem.available", 20)
    assert low.level(19) is Level.WARNING
    assert low.level(24, Level.WARNING) is Level.WARNING
    assert low.level(26, Level.WARNING) is Level.OK
    assert low.level(4) is Level.CRITICAL


def test_a_warning_beyond_the_defaults_critical_takes_that_away() -> None:
    assert parse_limit("disk.space", 98).level(97) is Level.OK
    assert parse_limit("disk.space", {"crit": 99}).level(97) is Level.WARNING


def test_a_limit_can_be_switched_off() -> None:
    assert parse_limit("disk.space", False).level(100) is Level.OK
    assert parse_limit("disk.space", {}).level(100) is Level.OK
    limits = Limits({"disk.space": Limit()})
    assert limits["disk.space"].level(100) is Level.OK


def test_room_that_is_enough() -> None:
    assert parse_limit("disk.space", {"unless_free": ["1TiB", "10GiB"]}).unless_free_crit == 10 << 30
    assert parse_limit("disk.space", {"unless_free": 0}).unless_free == 0


@pytest.mark.parametrize(
    "value", [{"warn": True}, {"warn": []}, {"for": "x"}, {"for": -1}, {"unless_free": "x"}, "x", {"warn": math.inf}]
)
def test_a_limit_that_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_limit("disk.space", value)


def test_quantities() -> None:
    assert [duration_s(text) for text in ("90s", "15m", "4h", "7d", "1.5h")] == [90, 900, 14400, 604800, 5400]
    assert [size_bytes(text) for text in ("100MiB", "10GB", "64M", "900B", "512 KiB")] == [
        100 << 20,
        10_000_000_000,
        64 << 20,
        900,
        512 << 10,
    ]


@pytest.mark.parametrize("text", ["", "s", "5", "1.2.3s", "-5s", "٣s", "5 parsecs", "1eh"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        duration_s(text)


@pytest.mark.parametrize("text", ["", "MiB", "5 XB", "1.2.3K", "-5K"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        size_bytes(text)
