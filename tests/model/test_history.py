from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltop.model.history import SLOT_S, SLOTS, History, readings
from mltop.model.snapshot import Cpu, Disk, Gpu, Memory, Network, Snapshot, Status

START = 1_700_000_000.0


def snapshot(percent: float = 50.0, interval_s: float = 2.0) -> Snapshot:
    return Snapshot(
        interval_s=interval_s,
        cpu=Cpu(usage_percent=percent),
        memory=Memory(total_bytes=1000, used_bytes=250, swap_total_bytes=0, swap_used_bytes=0),
        gpus=(
            Gpu(uuid="GPU-a", utilization_percent=7, memory_total_bytes=200, memory_used_bytes=50, temperature_c=60),
            Gpu(pci_bus_id="0000:1b:00.0", status=Status.LOST, utilization_percent=7, temperature_c=60),
        ),
        disks=(Disk(mount="/", used_percent=61.5), Disk(mount="/data", status=Status.TIMEOUT, used_percent=3.0)),
        network=(Network(interface="eth0", receive_bytes_per_s=0.0),),
    )


def test_what_was_read_is_kept_by_identity_and_what_was_not_is_not_there() -> None:
    assert readings(snapshot()) == {
        "cpu": 50.0,
        "memory": 25.0,
        "gpu:GPU-a:utilization": 7.0,
        "gpu:GPU-a:memory": 25.0,
        "gpu:GPU-a:temperature": 60.0,
        "net:eth0:receive": 0.0,
        "disk:/": 61.5,
    }


def test_an_empty_history_is_all_gaps() -> None:
    history = History()
    assert history.latest is None
    assert history.values("cpu", 300, 4, START) == [None] * 4
    assert history.values("cpu", 300, 0, START) == []


def test_buckets_are_means_and_end_now() -> None:
    history = History()
    for tick in range(30):
        history.add(snapshot(float(tick)), START + 2 * tick)
    assert history.latest == START + 58
    assert history.values("cpu", 60, 6, START + 59) == [2.0, 7.0, 12.0, 17.0, 22.0, 27.0]


def test_buckets_narrower_than_the_interval_have_no_holes() -> None:
    history = History()
    for tick in range(10):
        history.add(snapshot(float(tick)), START + 2 * tick)
    assert history.values("cpu", 10, 10, START + 18.5) == [4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 7.0, 8.0, 8.0, 9.0]


def test_silence_and_unread_values_are_gaps() -> None:
    history = History()
    history.add(snapshot(1.0), START)
    history.add(Snapshot(cpu=Cpu(status=Status.STALE, usage_percent=1.0), interval_s=2.0), START + 2)
    history.add(snapshot(3.0), START + 20)
    values = history.values("cpu", 22, 11, START + 21)
    assert values[0] == 1.0
    assert values[1:10] == [None] * 9
    assert values[10] == 3.0


def test_hours_are_kept_as_means_of_ten_seconds() -> None:
    history = History()
    for tick in range(6 * 3600 // 2):
        history.record({"cpu": float(tick % 5)}, START + 2 * tick, 2.0)
    now = START + 6 * 3600 - 1
    values = history.values("cpu", 6 * 3600 - 600, 100, now)
    assert all(value == pytest.approx(2.0, abs=0.1) for value in values)


def test_memory_is_flat_over_hours() -> None:
    history = History()

    def size() -> int:
        series = history._series.values()
        return sum(sys.getsizeof(one.fine) + sys.getsizeof(one.coarse) for one in series) + sys.getsizeof(
            history._times
        )

    for tick in range(2000):
        history.record({"cpu": 1.0, "memory": 2.0}, START + 2 * tick, 2.0)
    before = size()
    for tick in range(2000, 20000):
        history.record({"cpu": 1.0, "memory": 2.0}, START + 2 * tick, 2.0)
    assert size() <= before * 1.5


def test_keys_that_went_away_are_forgotten_and_their_number_is_bounded() -> None:
    history = History()
    history.record({f"net:veth{number}:receive": 1.0 for number in range(5000)}, START)
    assert len(history.keys) <= 1024
    for tick in range(1, 3000):
        history.record({"cpu": 1.0}, START + 10 * tick)
    assert "net:veth1:receive" not in history.keys


def test_a_clock_that_was_set_back_starts_over_from_there() -> None:
    history = History()
    for tick in range(100):
        history.record({"cpu": 9.0}, START + 2 * tick, 2.0)
    history.record({"cpu": 1.0}, START + 50, 2.0)
    history.record({"cpu": 1.0}, START + 52, 2.0)
    assert history.latest == START + 52
    assert history.values("cpu", 10, 5, START + 53) == [9.0, 9.0, 9.0, 1.0, 1.0]


def test_earlier_runs_fill_in_behind_and_never_over_what_is_known() -> None:
    history = History()
    history.record({"cpu": 50.0}, START, 2.0)
    history.load((START - 10.0 * back, {"cpu": 10.0, "swap": 1.0}) for back in range(-3, 361))
    values = history.values("cpu", 3600, 360, START + 1)
    assert values[-1] == 50.0
    assert set(values[:-1]) == {10.0}
    assert history.values("swap", 3600, 60, START)[30] == 1.0
    assert History().values("cpu", 10, 1, START) == [None]


def test_earlier_runs_alone_can_be_drawn() -> None:
    history = History()
    history.load([(START - 100.0, {"cpu": 10.0})])
    assert 10.0 in history.values("cpu", 300, 30, START)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 1.0, 2.0, 7.0, 33.0, 200.0, -50.0]), st.none() | st.floats(0, 100)),
        max_size=80,
    ),
    st.sampled_from([(60.0, 7), (300.0, 120), (3600.0, 33), (SLOT_S * SLOTS, 200)]),
)
def test_what_is_remembered_between_calls_is_what_a_new_reckoning_gives(
    steps: list[tuple[float, float | None]], view: tuple[float, int]
) -> None:
    span, points = view
    asked, fresh, now = History(), History(), START
    for step, value in steps:
        now += step
        if now > START + 700:
            break  # then samples become means, and what was drawn stays as it was
        for history in (asked, fresh):
            history.record({} if value is None else {"cpu": value}, now, 2.0)
        fresh._cache.clear()
        values = asked.values("cpu", span, points, now + 0.5)
        assert values == fresh.values("cpu", span, points, now + 0.5)
        assert len(values) == points
        assert all(one is None or 0 <= one <= 100.01 for one in values)
