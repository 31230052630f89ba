from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.tasks.retention import Dated, Keep, choose

START = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)


def _nightly(count: int, verified: bool = True) -> list[Dated]:
    return [
        Dated(id=f"a{index:03}", sequence=index, created=START + timedelta(days=index), is_verified=verified)
        for index in range(count)
    ]


def _kept(archives: list[Dated], keep: Keep, now: datetime | None = None) -> list[str]:
    newest = max((each.created for each in archives), default=START)
    return [choice.id for choice in choose(archives, keep, now or newest) if choice.keep]


counts = st.integers(0, 12)
policies = st.builds(
    Keep,
    last=counts,
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    within_s=st.one_of(st.just(0), st.integers(0, 400 * 86400)),
    min=st.integers(0, 6),
)


@st.composite
def shelves(draw: st.DrawFn) -> list[Dated]:
    gaps = draw(st.lists(st.integers(0, 40 * 86400), max_size=25))
    created = START
    archives = []
    for index, gap in enumerate(gaps):
        created += timedelta(seconds=gap)
        archives.append(Dated(id=f"a{index:03}", sequence=index, created=created, is_verified=draw(st.booleans())))
    return archives


def test_keep_days() -> None:
    assert _kept(_nightly(100), Keep.days(30)) == [f"a{index:03}" for index in range(99, 68, -1)]


def test_an_old_box_keeps_its_last_three() -> None:
    archives = _nightly(5)
    much_later = START + timedelta(days=400)
    assert _kept(archives, Keep.days(30), much_later) == ["a004", "a003", "a002", "a001", "a000"]
    archives.append(Dated(id="new", sequence=9, created=much_later, is_verified=True))
    assert _kept(archives, Keep.days(30), much_later) == ["new", "a004", "a003"]


def test_buckets() -> None:
    archives = _nightly(800)
    kept = _kept(archives, Keep(daily=7, weekly=4, monthly=6, yearly=2, min=1))
    days = {each.id: each.created for each in archives}
    assert kept[:7] == [f"a{index:03}" for index in range(799, 792, -1)]
    assert len({days[each].isocalendar()[:2] for each in kept}) >= 4
    assert len({(days[each].year, days[each].month) for each in kept}) >= 6
    assert len(kept) <= 7 + 4 + 6 + 2
    assert _kept(_nightly(2), Keep(monthly=6, min=1)) == ["a001", "a000"], "the oldest, while counts are left"


def test_hours() -> None:
    archives = [
        Dated(id=f"a{index:03}", sequence=index, created=START + timedelta(minutes=20 * index), is_verified=True)
        for index in range(12)
    ]
    assert _kept(archives, Keep(hourly=3, min=1)) == ["a011", "a008", "a005"]


def test_partial_ones_do_not_push_good_ones_out() -> None:
    archives = _nightly(3) + [
        Dated(id=f"p{index}", sequence=10 + index, created=START + timedelta(days=10 + index), is_verified=False)
        for index in range(5)
    ]
    assert _kept(archives, Keep(last=2, min=1)) == ["p4", "p3", "a002", "a001"]
    assert len(_kept(_nightly(9, verified=False), Keep(last=1))) == 9, "none is good: nothing goes"


@given(shelves(), policies, st.integers(-400, 400))
def test_what_always_holds(archives: list[Dated], keep: Keep, days: int) -> None:
    now = max((each.created for each in archives), default=START) + timedelta(days=days)
    choices = choose(archives, keep, now)
    kept = {choice.id for choice in choices if choice.keep}
    verified = [each.id for each in archives if each.is_verified]
    assert {choice.id for choice in choices} == {each.id for each in archives}
    assert all(choice.reasons for choice in choices if choice.keep)
    assert set(verified[-1:]) <= kept, "never the newest verified"
    assert len(kept & set(verified)) >= min(keep.min, len(verified))
    assert {each.id for each in archives if each.created > now} <= kept
    if keep.is_empty or not verified:
        assert len(kept) == len(archives)
    again = choose([each for each in archives if each.id in kept], keep, now)
    assert all(choice.keep for choice in again if choice.id in kept) or keep.is_empty or _is_bucket_edge(keep)


def _is_bucket_edge(keep: Keep) -> bool:
    """Whether the "oldest while counts are left" can differ in a second pass, because the oldest is another one."""
    return bool(keep.hourly or keep.daily or keep.weekly or keep.monthly or keep.yearly)


@pytest.mark.parametrize("days", [30, 400])
def test_all_failing_for_long_keeps_all(days: int) -> None:
    archives = _nightly(40)
    before = _kept(archives, Keep.days(30))
    assert _kept(archives, Keep.days(30), START + timedelta(days=40 + days)) == before
