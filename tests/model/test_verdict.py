from __future__ import annotations

import itertools

import pytest

from mltop.checks.catalogue import CATALOGUE
from mltop.model.verdict import EXIT_CODES, Counts, Result, State, family_of, worst

RUN = (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL)
"""From good to bad."""


@pytest.mark.parametrize("states", list(itertools.product(RUN, repeat=3)))
def test_the_aggregate_is_the_worst_of_three(states: tuple[State, ...]) -> None:
    expected = RUN[max(RUN.index(state) for state in states)]
    assert worst(states) is expected
    assert EXIT_CODES[worst(states)] == {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}[expected]


def test_what_was_skipped_does_not_count_and_nothing_at_all_is_unknown() -> None:
    assert worst([State.SKIP, State.OK]) is State.OK
    assert worst([State.SKIP]) is State.UNKNOWN
    assert worst([]) is State.UNKNOWN


def test_every_state_is_counted() -> None:
    results = [Result(check="a", target="", target_name="", state=state) for state in (*RUN, State.SKIP, State.OK)]
    assert Counts.of(results) == Counts(ok=2, warning=1, critical=1, unknown=1, skip=1)


def test_the_family_of_an_id_is_that_of_the_catalogue() -> None:
    assert {check.id: family_of(check.id) for check in CATALOGUE} == {check.id: check.family for check in CATALOGUE}
