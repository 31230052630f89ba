from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from full_disk import short_of_room
from hypothesis import given, settings
from hypothesis import strategies as st

from mltop.model.history import SLOTS
from mltop.sampling.recording import FILE, KEEP_S, Busy, Record, Recording, decoded, header_line, record_line

START = 1_700_000_000.0
KEYS = ("cpu", "gpu:GPU-a:power", "net:eth0:receive")


def encoded(records: Sequence[Record]) -> bytes:
    """The content of a file, a header before each record."""
    return b"".join(header_line(list(values)) + record_line(at, list(values.values())) for at, values in records)


def found_in(data: bytes) -> list[Record]:
    return list(decoded(data.splitlines(keepends=True)))


def record(number: int) -> Record:
    return START + 10 * number, {"cpu": float(number % 100), "memory": 25.0}


def written(directory: Path, count: int) -> Recording:
    recording = Recording(directory)
    for number in range(count):
        recording.write(*record(number))
    return recording


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    recording = written(tmp_path / "history", 3)
    recording.write(START + 30, {"cpu": 1.0})
    recording.write(START + 40, {"cpu": 12345678.0, "swap": 0.0})
    assert list(Recording(tmp_path / "history").records()) == [
        *[record(number) for number in range(3)],
        (START + 30, {"cpu": 1.0}),
        (START + 40, {"cpu": 12350000.0, "swap": 0.0}),
    ]
    recording.close()


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert list(Recording(tmp_path / "history").records()) == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    written(tmp_path / "history", 1).close()
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o700
    for entry in (tmp_path / "history").iterdir():
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_a_crash_at_any_byte_costs_the_last_record_and_no_other(tmp_path: Path) -> None:
    written(tmp_path, 4).close()
    whole = (tmp_path / FILE).read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    for length in range(len(whole) + 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        survived = max(sum(end <= length for end in ends) - 1, 0)  # the first line is the header
        if length in {end - 1 for end in ends[1:]}:
            survived += 1  # only the line's end is missing
        assert list(Recording(tmp_path).records()) == [record(number) for number in range(survived)]
        recording = Recording(tmp_path)
        recording.write(*record(9))
        recording.close()
        assert list(Recording(tmp_path).records()) == [*[record(number) for number in range(survived)], record(9)]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_skipped(garbage: bytes) -> None:
    data = encoded([record(0)]) + garbage + b"\n" + encoded([record(1)])
    found = found_in(data)
    assert found[0] == record(0)
    assert found[-1] == record(1)


@pytest.mark.parametrize(
    "text",
    [b"[]", b'["x",1,2]', b"[1,2]", b"[1,true,2]", b"[1e999,1,2]", b'[1,"x",2]', b"null", b"[[1],1,2]", b"[NaN]"],
)
def test_what_is_no_record_is_skipped(text: bytes) -> None:
    assert found_in(encoded([record(0)]) + text + b"\n") == [record(0)]


def test_a_header_that_is_none_makes_its_records_none() -> None:
    lines = encoded([record(0)]).splitlines()
    for start in (
        b"{}",
        b'{"schema":"mltop.history/2","keys":["a","b"]}',
        b'{"schema":"mltop.history/1","keys":[1,2]}',
    ):
        assert found_in(start + b"\n" + lines[1]) == []


@given(st.lists(st.tuples(st.integers(0, 10**10), st.dictionaries(st.text(), st.floats(-1e12, 1e12), min_size=1))))
def test_records_read_what_they_write(records: list[tuple[int, dict[str, float]]]) -> None:
    found = found_in(encoded([(float(at), values) for at, values in records]))
    assert [at for at, _ in found] == [at for at, _ in records]
    for (_, values), (_, wanted) in zip(found, records, strict=True):
        assert values.keys() == wanted.keys()
        assert all(values[key] == pytest.approx(wanted[key], rel=1e-3) for key in values)


def test_the_file_is_bounded_and_holds_the_last_six_hours(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    largest = 0
    for number in range(2 * SLOTS + 100):
        recording.write(*record(number))
        largest = max(largest, (tmp_path / FILE).stat().st_size)
    records = list(recording.records())
    assert SLOTS <= len(records) <= 2 * SLOTS
    recording.close()
    recording = Recording(tmp_path)
    recording.write(*record(2 * SLOTS + 100))
    records = list(recording.records())
    assert records[0][0] >= records[-1][0] - KEEP_S
    assert len(records) == SLOTS + 1
    assert largest < 2.2 * SLOTS * 30
    recording.close()


def test_one_writes_and_the_others_only_read_until_it_is_gone(tmp_path: Path) -> None:
    first, second = written(tmp_path, 2), Recording(tmp_path)
    with pytest.raises(Busy):
        second.write(*record(2))
    assert len(list(second.records())) == 2
    first.close()
    second.write(*record(3))
    assert list(second.records()) == [record(0), record(1), record(3)]
    second.close()


def test_a_full_disk_costs_a_record_and_is_told(tmp_path: Path) -> None:
    recording = written(tmp_path, 2)
    size = (tmp_path / FILE).stat().st_size
    with short_of_room(size + 5), pytest.raises(OSError, match=r".*"):
        recording.write(*record(2))
    assert list(recording.records()) == [record(0), record(1)]
    recording.write(*record(3))
    assert list(recording.records()) == [record(0), record(1), record(3)]
    recording.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="denied"):
        Recording(tmp_path / "history").write(*record(0))


def test_a_state_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        Recording(tmp_path / "file" / "history").write(*record(0))
