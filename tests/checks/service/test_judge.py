"""What a service answered, held against the limits and against the last run."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.config.limits import Limits, parse_limit
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer
from mltop.model.surroundings import Surroundings


class Runs:
    """Runs of the verdict that follow each other by so many seconds."""

    def __init__(self, make: Any, limits: Limits | None = None) -> None:
        self._make, self._limits = make, limits or Limits()
        self._memory = Memory(is_stepwise=True)
        self._at = 1000.0

    def __call__(self, answer: ServiceAnswer, later_s: float = 60.0) -> Judgement:
        self._at += later_s
        snapshot = self._make(uptime_s=self._at)
        here = Surroundings(services=(answer,))
        (found,) = judgements(snapshot, self._limits, self._memory, here, ("services",))
        return found


@pytest.fixture
def run(make: Any) -> Runs:
    return Runs(make)


def answer(check: str, **more: Any) -> ServiceAnswer:
    values: dict[str, Any] = {"level": Level.OK, "summary": "PONG in 0.001 s", "reason": "ok", "duration_s": 0.001}
    return ServiceAnswer(check, "cache", **{**values, "place": "127.0.0.1:6379", **more})


@pytest.mark.parametrize("check", ["api", "redis", "pg", "tcp", "docker"])
def test_an_answer_that_takes_over_two_seconds_is_a_warning(run: Runs, check: str) -> None:
    well = run(answer(check))
    assert (well.level, well.summary, well.action) == (Level.OK, "PONG in 0.001 s", None)
    assert run(answer(check, duration_s=1.9)).level is Level.OK
    slow = run(answer(check, duration_s=2.1))
    assert (slow.level, slow.reason) == (Level.WARNING, "slow")
    assert "127.0.0.1:6379" in slow.summary
    assert slow.action


@pytest.mark.parametrize(
    ("check", "row", "values"),
    [
        ("redis", "redis.memory", ((89, "OK"), (91, "WARNING"), (86, "WARNING"), (84, "OK"))),
        ("redis", "redis.clients", ((89, "OK"), (100, "WARNING"), (84, "OK"))),
        ("pg", "pg.connections", ((79, "OK"), (85, "WARNING"), (95, "CRITICAL"), (85, "CRITICAL"), (75, "WARNING"),
                                  (60, "OK"))),
        ("pg", "pg.lag", ((4.9, "OK"), (6, "WARNING"), (0, "OK"))),
        ("api", "api.certificate", ((21, "OK"), (19, "WARNING"), (2, "CRITICAL"))),
        ("redis", "redis.certificate", ((21, "OK"), (19, "WARNING"), (2, "CRITICAL"))),
    ],
)  # fmt: skip
def test_what_it_says_of_itself_against_its_limit(run: Runs, check: str, row: str, values: Any) -> None:
    for value, state in values:
        found = run(answer(check, values={row: value}))
        assert found.level.name == state if found.level is not None else False, (value, found)
        assert (found.action is None) == (state == "OK")
        assert ("127.0.0.1:6379" in found.summary) == (state != "OK")


def test_limits_are_the_configs(make: Any) -> None:
    limits = Limits({"redis.memory": parse_limit("redis.memory", {"warn": 50, "crit": 60})})
    assert Runs(make, limits)(answer("redis", values={"redis.memory": 61})).level is Level.CRITICAL


def test_counters_are_judged_by_their_growth(run: Runs) -> None:
    def rejected(total: float, later_s: float = 60) -> Level | None:
        return run(answer("redis", counters={"redis.rejected": total}), later_s).level

    assert [rejected(7), rejected(7), rejected(9)] == [Level.OK, Level.OK, Level.WARNING]
    assert rejected(0) is Level.OK  # it was started again
    assert rejected(0, 3600) is Level.OK


def test_tokens_that_do_not_flow_while_requests_run(run: Runs) -> None:
    def stalled(mark: float, later_s: float = 60) -> Judgement:
        return run(answer("api", counters={"api.stalled": mark}), later_s)

    assert stalled(100).level is Level.OK
    assert stalled(200).level is Level.OK
    found = stalled(200, 70)
    assert (found.level, found.reason) == (Level.WARNING, "stalled")
    assert "restart its engine" in str(found.action)
    assert stalled(201).level is Level.OK
    assert [stalled(-1.0, 90).level for _ in range(3)] == [Level.OK] * 3  # idle


def test_the_worst_is_told_first_with_its_own_remedy(run: Runs) -> None:
    broken = answer(
        "redis", level=Level.CRITICAL, summary="PONG, no link to its primary", reason="broken",
        values={"redis.memory": 95, "redis.clients": 10},
    )  # fmt: skip
    found = run(broken)
    assert (found.level, found.reason) == (Level.CRITICAL, "broken")
    assert found.summary == "PONG, no link to its primary (127.0.0.1:6379), memory at 95 % of maxmemory"
    full = run(answer("redis", values={"redis.memory": 95}))
    assert full.summary == "memory at 95 % of maxmemory (127.0.0.1:6379), PONG in 0.001 s"
    assert "maxmemory" in str(full.action)


@pytest.mark.parametrize(
    "reason",
    ["down", "timeout", "garbage", "busy", "full", "broken", "status", "tls", "model", "generation", "role", "absent"],
)
def test_every_reason_has_a_remedy(run: Runs, reason: str) -> None:
    assert run(answer("redis", level=Level.CRITICAL, reason=reason)).action
    assert run(answer("redis", level=Level.CRITICAL, reason=reason, action="its own")).action == "its own"


def test_nothing_to_judge_is_skip(run: Runs) -> None:
    found = run(answer("docker", level=None, summary="none is configured"))
    assert (found.level, found.summary) == (None, "none is configured")
