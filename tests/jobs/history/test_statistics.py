"""How a job does, from its last runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.jobs.history.statistics import Statistics, percentile, statistics
from mltop.model.job import Run, RunState


def runs(*durations: float | None, state: RunState = RunState.OK) -> list[Run]:
    return [Run(id=f"r{n}", job="j", state=state, duration_s=duration) for n, duration in enumerate(durations)]


def test_nothing_is_known_of_no_runs() -> None:
    assert statistics([]) == Statistics()


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [((7,), 7, 7), ((1, 2), 1, 2), (range(1, 101), 50, 95), ((3, 1, 2), 2, 3), (range(1, 21), 10, 19)],
)
def test_percentiles_are_values_that_were_seen(values: Sequence[float], p50: float, p95: float) -> None:
    assert (percentile(list(values), 50), percentile(list(values), 95)) == (p50, p95)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1, 100))
def test_so_many_percent_do_not_exceed_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_what_neither_succeeded_nor_failed_does_not_count() -> None:
    found = statistics(
        [
            *runs(1.0, 2.0, 3.0),
            *runs(9.0, state=RunState.FAILED),
            *(
                run
                for state in (RunState.SKIPPED, RunState.ABORTED, RunState.RUNNING)
                for run in runs(8.0, state=state)
            ),
        ]
    )
    assert (found.runs, found.ok, found.failed, found.success_percent) == (7, 3, 1, 75.0)
    assert (found.p50_s, found.slowest_s, found.slowest_run) == (2.0, 3.0, "r2")


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.TIMEOUT, RunState.STUCK, RunState.LOST])
def test_each_kind_of_failure_is_one(state: RunState) -> None:
    assert statistics(runs(None, state=state)).success_percent == 0.0


def test_a_run_of_three_times_the_median_is_slow() -> None:
    found = statistics(runs(10.0, 31.0, 10.0, 30.0, 10.0, 9.0, 11.0))
    assert found.slow_runs == ("r1",)
    assert statistics(runs(1.0, 100.0)).slow_runs == ()  # of two, none is usual


def test_the_trend_is_of_the_newer_half_against_the_older() -> None:
    assert statistics(runs(15.0, 15.0, 15.0, 10.0, 10.0, 10.0)).trend_percent == 50.0
    assert statistics(runs(5.0, 5.0, 99.0, 10.0, 10.0)).trend_percent == -50.0
    assert statistics(runs(1.0, 2.0, 3.0, 4.0)).trend_percent is None
    assert statistics(runs(1.0, 1.0, 1.0, 0.0, 0.0, 0.0)).trend_percent is None
