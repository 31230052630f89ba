"""How long a job waits before it is tried again, and how that is said (J35, D32)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scheduler_box import command

from mltop.jobs.runner.retry import described

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("fields", "waits_s", "said"),
    [
        ({}, (), None),
        ({"retries": 1}, (300.0,), "1: after 5 min"),
        ({"retries": 3}, (300.0, 600.0, 1200.0), "3: after 5 min, then 10 min, then 20 min"),
        (
            {"retries": 6},
            (300.0, 600.0, 1200.0, 2400.0, HOUR_S, HOUR_S),
            "6: after 5 min, then 10 min, then 20 min, then 40 min, then 1 h each",
        ),
        ({"retries": 2, "retry_wait_s": 0.0}, (0.0, 0.0), "2: after 0 s each"),
        ({"retries": 2, "retry_wait_s": 2 * HOUR_S}, (2 * HOUR_S, 2 * HOUR_S), "2: after 2 h each"),
        ({"retries": 2, "retry_wait_s": 90.0, "retry_wait_max_s": 90.0}, (90.0, 90.0), "2: after 90 s each"),
    ],
)
def test_waits_double_up_to_the_longest(
    fields: dict[str, object], waits_s: tuple[float, ...], said: str | None
) -> None:
    job = command("a", **fields)
    assert (job.retry_waits_s, described(job)) == (waits_s, said)


@given(st.integers(0, 100), st.floats(0, 1e8), st.floats(0, 1e8))
def test_waits_never_shrink_and_are_as_many_as_the_retries(retries: int, first_s: float, most_s: float) -> None:
    waits_s = command("a", retries=retries, retry_wait_s=first_s, retry_wait_max_s=most_s).retry_waits_s
    assert len(waits_s) == retries
    assert list(waits_s) == sorted(waits_s)
    assert all(wait_s <= max(first_s, most_s) for wait_s in waits_s)
    assert not waits_s or waits_s[0] == first_s
