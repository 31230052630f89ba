"""When a mount will be full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.checks.remembered import Remembered
from mltop.config.limits import Limits, parse_limit
from mltop.model.finding import Level
from mltop.model.snapshot import Disk

GIB = 1 << 30
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def run(
    make: Any,
    memory: Memory | None,
    hour: float,
    free_gib: float,
    total_gib: float = 1000,
    limits: Any = None,
    **disk: Any,
) -> Judgement:
    """What a run at an hour says of /data; it is stored after each, as runs do."""
    values: dict[str, Any] = {
        "mount": "/data", "fstype": "xfs", "is_readonly": False, "age_s": 0.0,
        "used_percent": 100 * (1 - free_gib / total_gib), "available_bytes": int(free_gib * GIB),
    }  # fmt: skip
    time = (BEGIN + timedelta(hours=hour)).isoformat().replace("+00:00", "Z")
    snapshot = make(0, disks=(Disk(**{**values, **disk}),), time=time, uptime_s=hour * 3600)
    found = list(judgements(snapshot, limits, memory))
    if memory is not None:
        memory.kept = msgspec.json.decode(msgspec.json.encode(memory.kept), type=Remembered)
    (one,) = [one for one in found if one.check == "disk.eta"]
    return one


def filled(make: Any, memory: Memory, free_gib: float, gib_per_h: float, limits: Limits | None = None) -> Judgement:
    """The last of some hours of runs, at the end of which so much is free."""
    hours = 6
    for number in range(4 * hours + 1):
        at = number / 4
        last = run(make, memory, at, free_gib + gib_per_h * (hours - at), limits=limits)
    return last


@pytest.mark.parametrize(
    ("free", "per_hour", "level"),
    [
        (300, 10, Level.OK),  # 30 h
        (300, 15, Level.WARNING),  # 20 h
        (500, 100, Level.OK),  # 5 h, but half of it is free
        (300, 100, Level.WARNING),  # 3 h, and 30 % are free
        (150, 50, Level.CRITICAL),  # 3 h
        (150, 30, Level.WARNING),  # 5 h
        (150, 0, Level.OK),
        (150, -20, Level.OK),
    ],
)
def test_it_is_by_the_hours_left_and_by_what_is_free(make: Any, free: float, per_hour: float, level: Level) -> None:
    one = filled(make, Memory(is_stepwise=True), free, per_hour)
    assert one.level is level
    assert (one.value is None) == (per_hour <= 0)
    if per_hour > 0:
        assert one.value == pytest.approx(free / per_hour, rel=1e-6)
        assert f"full in {free / per_hour:.0f} h at the rate of the last 6 h" in one.summary


def test_an_hour_of_runs_has_to_be_known(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    for hour in (0, 0.25, 0.5, 0.75):
        assert run(make, memory, hour, 100 - hour * 50).level is None
    assert run(make, memory, 1, 50).level is Level.CRITICAL
    assert run(make, None, 1, 50).level is None
    rare = Memory(is_stepwise=True)
    assert [run(make, rare, 24 * day, 150 - 50 * day).level for day in range(3)] == [None, None, Level.WARNING]


def test_a_file_that_was_copied_and_removed_is_no_trend(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    for number in range(25):
        one = run(make, memory, number / 4, 150 - (100 if 10 <= number < 14 else 0))
    assert one.level is Level.OK


def test_what_is_kept_is_bounded_and_a_clock_that_was_set_does_no_harm(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    for second in range(0, 12 * 3600, 20):
        run(make, memory, second / 3600, 300)
    assert 70 <= len(memory.kept.space["/data"]) <= 75
    assert run(make, memory, -5, 300).level is None  # a time before all of them
    assert run(make, memory, -4.9, 290).level is None
    memory.kept.space["/data"] = [(1e308, 0.0), (-1e308, 5.0), (0.0, 1e308)]
    assert run(make, memory, 20, 300).level is None


def test_another_file_system_at_the_same_place_begins_anew(make: Any) -> None:
    """A small disk in the place of a large one, or one that was grown, did not lose its space within the hour."""
    memory = Memory(is_stepwise=True)
    for number in range(9):
        run(make, memory, number / 4, 900, device="/dev/sdb1", total_bytes=1000 * GIB)
    small = {"device": "/dev/sdc1", "total_bytes": 200 * GIB, "total_gib": 200}
    levels = [run(make, memory, 2.25 + number / 4, 50, **small).level for number in range(8)]
    assert levels == [None] * 4 + [Level.OK] * 4


def test_a_mount_of_a_moment_leaves_nothing_behind(make: Any) -> None:
    """A scratch folder of its own for each job: of thousands that went nothing is kept for ever."""
    memory = Memory(is_stepwise=True)
    for number in range(50):
        run(make, memory, number * 24, 300, mount=f"/scratch/{number}")
    assert len(memory.kept.space) <= 8


def test_what_is_in_memory_or_not_read_has_no_trend(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    assert filled(make, memory, 10, 50).level is Level.CRITICAL
    assert run(make, memory, 6, 10, fstype="tmpfs").level is None
    one = run(make, memory, 6, 10, used_percent=None, available_bytes=None)
    assert one.is_quiet


def test_its_limits_are_the_configs_too(make: Any) -> None:
    limits = Limits({"disk.eta": parse_limit("disk.eta", {"warn": 2, "crit": 1})})
    assert filled(make, Memory(is_stepwise=True), 150, 50, limits).level is Level.OK  # 3 h
    assert filled(make, Memory(is_stepwise=True), 150, 100, limits).level is Level.WARNING
