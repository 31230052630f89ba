"""Whose turn it is (M29): pure, with a clock of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from mltop.model.snapshot import Status
from mltop.sampling.gpu.answer import FAST, ONCE, SLOW_CADENCE_S, Answer, overdue_s
from mltop.sampling.gpu.rota import Rota


def _run(rota: Rota, interval_s: float, refreshes: int, unsupported: frozenset[str] = frozenset()) -> list[list[str]]:
    turns = []
    for refresh in range(refreshes):
        now = 1000.0 + refresh * interval_s
        asked = [*rota.fast(now), *rota.slow(now)]
        for fact in asked:
            rota.done(fact, Answer(at=now, status=Status.UNSUPPORTED if fact in unsupported else Status.OK))
        turns.append(asked)
    return turns


def test_first_round_asks_everything() -> None:
    assert set(_run(Rota(0.0), 2.0, 1)[0]) == {*FAST, *SLOW_CADENCE_S}


@pytest.mark.parametrize("phase", [0.0, 0.37, 0.74])
def test_every_fact_keeps_its_cadence_and_no_refresh_is_long(phase: float) -> None:
    turns = _run(Rota(phase), 2.0, 1 + 90)[1:]  # three minutes
    counts = Counter(fact for asked in turns for fact in asked)
    for fact, cadence in SLOW_CADENCE_S.items():
        expected = 0 if cadence == ONCE else 180 / cadence
        assert abs(counts[fact] - expected) <= 1, fact
    assert all(counts[fact] == 90 for fact in FAST)
    assert max(len(asked) for asked in turns) <= len(FAST) + 6


def test_unsupported_is_asked_once_a_minute() -> None:
    turns = _run(Rota(0.0), 2.0, 1 + 90, frozenset({"fan", "utilization"}))[1:]
    counts = Counter(fact for asked in turns for fact in asked)
    assert 2 <= counts["fan"] <= 3
    assert 2 <= counts["utilization"] <= 3


def test_a_long_pause_does_not_pile_turns_up() -> None:
    rota = Rota(0.0)
    _run(rota, 2.0, 30)
    late = rota.slow(5000.0)
    for fact in late:
        rota.done(fact, Answer(at=5000.0))
    assert rota.slow(5000.0) == []
    spread = [len(rota.slow(5000.0 + second)) for second in (2, 30)]
    assert spread[0] < spread[1]


def test_forget_asks_everything_again() -> None:
    rota = Rota(0.0)
    _run(rota, 2.0, 3)
    rota.forget()
    assert set(_run(rota, 2.0, 1)[0]) == {*FAST, *SLOW_CADENCE_S}


def test_overdue_is_three_of_its_own_cadence() -> None:
    assert overdue_s("temperature", 2.0) == 6.0
    assert overdue_s("clocks", 2.0) == 30.0
    assert overdue_s("ecc", 2.0) == 90.0
    assert overdue_s("nvlinks", 2.0) == 180.0
    assert overdue_s("clocks", 60.0) == 180.0


def test_the_most_overdue_first() -> None:
    rota = Rota(0.0)
    for fact in SLOW_CADENCE_S:
        rota.done(fact, Answer(at=1000.0))
    late = rota.slow(1040.0)
    rota.done(late[0], Answer(at=1040.0))
    assert rota.slow(1040.0) == late[1:]
    never = Rota(0.0).slow(0.0)
    assert never == list(SLOW_CADENCE_S)
