"""What is remembered between two judgements."""

from __future__ import annotations

import math

import pytest

from mltop.checks.memory import Growth, Memory


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
    assert grown(memory, 20, math.nan) is None
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
