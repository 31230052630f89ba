"""What is remembered between two judgements."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from mltop.checks.judge import judgements
from mltop.checks.memory import Growth, Memory, dated, rfc3339
from mltop.checks.remembered import Found, Remembered
from mltop.config.limits import Limits, parse_limit
from mltop.model.finding import Level
from mltop.model.snapshot import Disk, Snapshot
from mltop.model.snapshot import Memory as Ram
from mltop.model.verdict import Result, State


def grown(memory: Memory, now: float, value: float, boot: str = "a", over_s: float = 0.0) -> Growth | None:
    memory.begin(boot, now)
    return memory.growth("mem.oom", "", value, over_s=over_s)


def test_a_counter_grows_since_the_last_look() -> None:
    memory = Memory()
    assert grown(memory, 10, 5) is None
    assert grown(memory, 70, 7) == Growth(2, 60)
    assert grown(memory, 80, 7) == Growth(0, 10)


def test_a_counter_of_another_boot_or_that_went_back_began_anew() -> None:
    memory = Memory()
    grown(memory, 10, 5)
    assert grown(memory, 20, 7, boot="b") is None
    assert grown(memory, 30, 6, boot="b") is None
    assert grown(memory, 40, 8, boot="b") == Growth(2, 10)
    assert grown(memory, 5, 9, boot="b") is None  # an uptime that went back is another boot too


def test_what_is_no_number_is_neither_growth_nor_noted() -> None:
    memory = Memory()
    grown(memory, 10, 5)
    for nothing in (math.nan, math.inf, -math.inf):
        assert grown(memory, 20, nothing) is None
    assert grown(memory, 30, 6) == Growth(1, 20)


def test_two_counters_of_a_target_and_two_targets_are_apart() -> None:
    memory = Memory()
    memory.begin("a", 0)
    for target, name, value in (("mc0", "ce", 1), ("mc0", "ue", 10), ("mc1", "ce", 100)):
        assert memory.growth("mem.edac", target, value, name=name) is None
    memory.begin("a", 5)
    assert memory.growth("mem.edac", "mc0", 2, name="ce") == Growth(1, 5)
    assert memory.growth("mem.edac", "mc0", 10, name="ue") == Growth(0, 5)
    assert memory.growth("mem.edac", "mc1", 103, name="ce") == Growth(3, 5)


@pytest.mark.parametrize("step", [2, 60, 300, 1000])
def test_an_event_is_told_for_as_long_as_is_asked(step: int) -> None:
    memory = Memory()
    events = 0
    told = {}
    for now in range(0, 20 * 1800, step):
        if now >= 7200 and not events:
            events, happened = 1, now
        growth = grown(memory, now, events, over_s=1800)
        told[now] = bool(growth and growth.amount)
    assert told[happened]
    assert all(told[now] for now in told if happened <= now <= happened + 1800 - 2 * max(step, 1800 / 16))
    assert not any(told[now] for now in told if now > happened + 1800 + step or now < happened)


def test_runs_further_apart_than_is_asked_see_the_time_between_them() -> None:
    memory = Memory()
    for now, value in ((0, 5), (60, 6), (3600, 6)):
        last = grown(memory, now, value, over_s=1800)
    assert last == Growth(0, 3540)


def test_what_is_not_looked_at_is_forgotten_and_what_is_not_judged_is_not() -> None:
    memory = Memory()
    for now in (0, 10):
        memory.begin("a", now)
        memory.growth("mem.oom", "", now)
        if not now:
            memory.growth("gpu.nvlink", "GPU-1", 1)
            memory.growth("mem.edac", "mc0", 1)
        memory.forget({"mem.oom", "mem.edac"})
    memory.begin("a", 20)
    assert memory.growth("mem.edac", "mc0", 5) is None
    assert memory.growth("gpu.nvlink", "GPU-1", 3) == Growth(2, 20)


# --- levels and since when, from run to run


def later(memory: Memory, checks: tuple[str, ...] = ("disk.space",), time: float = 0.0) -> Memory:
    """The memory of the next run, through its stored form."""
    return Memory(
        msgspec.json.decode(msgspec.json.encode(memory.settled(checks, time)), type=Remembered), is_stepwise=True
    )


def disk(percent: float) -> Disk:
    return Disk(mount="/data", fstype="xfs", used_percent=percent, available_bytes=1, is_readonly=False, age_s=0.0)


def test_a_value_that_swings_about_its_limit_is_one_state(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    levels = []
    for number in range(200):
        snapshot = make(0, disks=(disk(84.9 if number % 2 else 85.1),), uptime_s=60.0 * number)
        (one,) = [one for one in judgements(snapshot, None, memory) if one.check == "disk.space"]
        levels.append(one.level)
        memory = later(memory)
    assert levels == [Level.WARNING] * 200
    (one,) = [one for one in judgements(make(0, disks=(disk(79.9),)), None, memory) if one.check == "disk.space"]
    assert one.level is Level.OK


def hot(make: Any, celsius: int, at: float, boot: str = "b1") -> Snapshot:
    snapshot: Snapshot = make(1, gpus={0: {"temperature_c": celsius}}, uptime_s=at, boot_id=boot)
    return snapshot


def pressed(make: Any, at: float, boot: str = "b1") -> Snapshot:
    snapshot: Snapshot = make(
        0, memory=Ram(psi_full_avg10=20.0, psi_some_avg10=20.0, age_s=0.0), uptime_s=at, boot_id=boot
    )
    return snapshot


def level(check: str, snapshot: Snapshot, memory: Memory, limits: Limits | None = None) -> Level | None:
    (one,) = [one for one in judgements(snapshot, limits, memory) if one.check == check]
    return one.level


def test_runs_tell_at_once_what_one_look_tells_and_wait_for_what_has_to_last(make: Any) -> None:
    memory = Memory(is_stepwise=True)
    assert level("gpu.temp", hot(make, 50, 0), memory) is Level.OK
    assert level("gpu.temp", hot(make, 83, 60), later(memory)) is Level.WARNING
    memory = Memory(is_stepwise=True)
    assert level("mem.psi", pressed(make, 0), memory) is Level.OK
    memory = later(memory)
    assert level("mem.psi", pressed(make, 59), memory) is Level.OK
    assert level("mem.psi", pressed(make, 61), later(memory)) is Level.WARNING
    assert level("mem.psi", pressed(make, 70, boot="b2"), later(memory)) is Level.OK  # another boot began anew


def test_a_for_of_the_config_holds_over_runs(make: Any) -> None:
    limits = Limits({"gpu.temp": parse_limit("gpu.temp", {"warn": 60, "for": "10m"})})
    memory = Memory(is_stepwise=True)
    assert level("gpu.temp", hot(make, 50, 0), memory, limits) is Level.OK
    for at, expected in ((300, Level.OK), (899, Level.OK), (900, Level.WARNING)):
        memory = later(memory)
        assert level("gpu.temp", hot(make, 62, at), memory, limits) is expected


def test_since_when_a_state_lasts(make: Any) -> None:
    memory = Memory()
    told = []
    for time, state in ((100.0, State.OK), (160.0, State.OK), (220.0, State.WARNING), (280.0, State.WARNING)):
        one = Result(check="disk.space", target="/data", target_name="/data", state=state)
        (dated_one,) = dated((one,), memory, time)
        told.append(dated_one.since)
        memory = later(memory, time=time)
    assert told == ["1970-01-01T00:01:40Z"] * 2 + ["1970-01-01T00:03:40Z"] * 2


def test_what_did_not_run_keeps_its_since_and_what_went_is_forgotten() -> None:
    memory = Memory()
    memory.since("disk.space", "/data", State.WARNING, 100)
    memory.since("disk.space", "/old", State.OK, 100)
    memory.since("gpu.temp", "GPU-1", State.WARNING, 100)
    memory = later(memory, ("disk.space", "gpu.temp"))
    memory.since("disk.space", "/data", State.WARNING, 200)
    memory = later(memory, ("disk.space",))
    assert memory.since("gpu.temp", "GPU-1", State.WARNING, 300) == 100
    assert memory.since("disk.space", "/data", State.WARNING, 300) == 100
    assert memory.since("disk.space", "/old", State.OK, 300) == 300


@pytest.mark.parametrize("since", [1e300, -1e300, 9e9])
def test_a_time_that_cannot_be_is_not_believed(since: float) -> None:
    memory = Memory(Remembered(found={"a": {"": Found(State.OK, since)}}))
    assert memory.since("a", "", State.OK, 500) == 500
    assert rfc3339(since)


def test_a_mount_that_became_read_only_between_two_runs_has_failed_until_the_next_boot(make: Any) -> None:
    def state(memory: Memory, *, readonly: bool, boot: str = "b1") -> Level | None:
        one = msgspec.structs.replace(disk(50), is_readonly=readonly)
        return level("disk.readonly", make(0, disks=(one,), boot_id=boot), memory)

    memory = Memory(is_stepwise=True)
    assert state(memory, readonly=False) is Level.OK
    for _ in range(2):
        memory = later(memory)
        assert state(memory, readonly=True) is Level.CRITICAL
    assert state(later(memory), readonly=True, boot="b2") is Level.WARNING  # it was so from the start
