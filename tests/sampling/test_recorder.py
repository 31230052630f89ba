from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mltop.model.history import History
from mltop.model.snapshot import Cpu, Snapshot
from mltop.sampling.recorder import Recorder
from mltop.sampling.recording import FILE, Record, Recording

START = 1_700_000_000.0
DEADLINE_S = 10.0


def snapshot(at: float, percent: float) -> Snapshot:
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Snapshot(time=time, cpu=Cpu(usage_percent=percent))


@contextmanager
def recorder(state: Path | None) -> Iterator[Recorder]:
    started = Recorder(state)
    try:
        yield started
    finally:
        started.close()


def heard(one: Recorder, enough: Callable[[list[Record]], bool]) -> list[Record]:
    """Poll until there is enough."""
    records: list[Record] = []
    while not enough(records):
        fileno = one.fileno()
        assert fileno is not None
        assert select.select([fileno], [], [], DEADLINE_S)[0], "the recorder said nothing"
        records += one.poll()
    return records


def seen(path: Path, enough: Callable[[bytes], bool]) -> bytes:
    """Read a file until it holds enough."""
    deadline = datetime.now(UTC).timestamp() + DEADLINE_S
    while datetime.now(UTC).timestamp() < deadline:
        data = path.read_bytes() if path.exists() else b""
        if enough(data):
            return data
        os.sched_yield()
    raise AssertionError("not written in time")


def test_means_of_ten_seconds_are_written_and_read_by_the_next_run(tmp_path: Path) -> None:
    with recorder(tmp_path) as first:
        for tick in range(11):
            first.record(snapshot(START + 2 * tick, float(tick)))
        seen(tmp_path / "history" / FILE, lambda data: data.count(b"\n") == 3)
        assert first.reason is None
    with recorder(tmp_path) as second:
        records = heard(second, lambda found: len(found) == 2)
    assert records == [(START, {"cpu": 2.0}), (START + 10, {"cpu": 7.0})]
    history = History()
    history.load(records)
    assert 7.0 in history.values("cpu", 60, 6, START + 20)


def test_six_hours_come_in_parts(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "history")
    for number in range(500):
        recording.write(START + 10 * number, {f"key{one}": float(number) for one in range(60)})
    recording.close()
    with recorder(tmp_path) as one:
        records = heard(one, lambda found: len(found) == 500)
    assert records[-1][1]["key59"] == 499.0


def test_nothing_is_created_before_there_is_something_to_record(tmp_path: Path) -> None:
    with recorder(tmp_path / "state") as one:
        one.record(snapshot(START, 1.0))
        one.record(Snapshot(time="none"))
        assert one.poll() == []
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be_used_is_a_reason_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with recorder(tmp_path / "file") as one:
        one.record(snapshot(START, 1.0))
        one.record(snapshot(START + 10, 1.0))
        heard(one, lambda _: one.reason is not None)
        assert one.reason is not None
        assert "Not a directory" in one.reason
    with recorder(None) as one:
        one.record(snapshot(START, 1.0))
        assert one.fileno() is None
        assert one.poll() == []
        assert one.reason is not None


def test_a_recorder_that_is_stuck_costs_the_dashboard_nothing(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    os.mkfifo(tmp_path / "history" / FILE)  # opening it for reading never returns
    with recorder(tmp_path) as one:
        for slot in range(20_000):
            one.record(snapshot(START + 10 * slot, 1.0))
        assert one.poll() == []
    assert one.fileno() is None


def test_a_recorder_that_was_killed_is_a_reason(tmp_path: Path) -> None:
    with recorder(tmp_path) as one:
        assert one._child is not None
        one._child.kill()
        while one.fileno() is not None:
            select.select([one.fileno()], [], [], DEADLINE_S)
            one.poll()
        one.record(snapshot(START, 1.0))
        assert one.reason is not None


def test_two_dashboards_do_not_write_each_other_to_pieces(tmp_path: Path) -> None:
    with recorder(tmp_path) as first, recorder(tmp_path) as second:
        for slot in range(50):
            for one in (first, second):
                one.record(snapshot(START + 10 * slot, 5.0))
        data = seen(tmp_path / "history" / FILE, lambda data: data.count(b"\n") >= 50)
    assert data.count(b"keys") == 1
