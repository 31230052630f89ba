"""A run's log: what the job wrote, in order, capped, with times beside it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.jobs.runner.log import RunLog
from mltop.jobs.runner.tail import Tail


def a_log(tmp_path: Path, max_bytes: int = 1 << 20) -> RunLog:
    return RunLog(tmp_path / "logs" / "job" / "run.log", max_bytes)


def test_output_stands_between_mltops_lines(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.note("run 1 job backup")
    log.write(b"one\ntwo")
    log.write(b" and \xff\x00\n")
    log.write(b"no end")
    log.note("end ok")
    log.close()
    assert log.path.read_bytes() == b"# mltop run 1 job backup\none\ntwo and \xff\x00\nno end\n# mltop end ok\n"
    assert log.size_bytes == log.path.stat().st_size
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_times_are_offsets_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 0.05, 1.0, 2.5])
    monkeypatch.setattr("mltop.jobs.runner.log.time.monotonic", lambda: next(clock))
    log = a_log(tmp_path)
    for data in (b"first\n", b"too soon\n", b"half ", b"a line\n"):
        log.write(data)
    log.close()
    assert log.path.with_suffix(".times").read_text() == "0 0\n15 1000\n"


@pytest.mark.parametrize("lines", [250, 500, 5000, 20_000])
def test_a_long_log_keeps_its_first_quarter_and_its_last_three(tmp_path: Path, lines: int) -> None:
    cap = 4000
    log = a_log(tmp_path, cap)
    largest = 0
    for number in range(lines):
        log.write(f"line {number:06d}\n".encode())
        largest = max(largest, log.path.stat().st_size)
    log.close()
    kept = log.path.read_text().splitlines()
    size = 12
    cut_at = next((at for at, line in enumerate(kept) if line.startswith("# mltop cut")), None)
    if lines * size <= cap:
        assert (len(kept), cut_at) == (lines, None)
        return
    assert cut_at is not None
    head, tail = kept[:cut_at], kept[cut_at + 1 :]
    assert head == [f"line {number:06d}" for number in range(len(head))]
    assert tail == [f"line {number:06d}" for number in range(lines - len(tail), lines)]
    assert cap // 4 - size <= len(head) * size <= cap // 4
    assert cap * 3 // 4 - size <= len(tail) * size <= cap * 3 // 4
    assert kept[cut_at] == f"# mltop cut: {(lines - len(head) - len(tail)) * size} bytes are left out here"
    assert largest <= 1.8 * cap
    assert log.size_bytes == log.path.stat().st_size
    assert [path.name for path in sorted(log.path.parent.iterdir())] == ["run.log", "run.times"]


def test_times_point_at_the_same_lines_after_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mltop.jobs.runner.log.time.monotonic", lambda: now[0])
    log = a_log(tmp_path, 4000)
    for number in range(3000):
        now[0] = number / 2
        log.write(f"line {number:06d}\n".encode())
    log.close()
    data = log.path.read_bytes()
    pairs = [tuple(map(int, line.split())) for line in log.path.with_suffix(".times").read_text().splitlines()]
    assert len(pairs) > 300
    for offset, milliseconds in pairs:
        assert data[offset : offset + 12] == f"line {milliseconds * 2 // 1000:06d}\n".encode()


def test_output_without_an_end_of_line_is_cut_too(tmp_path: Path) -> None:
    log = a_log(tmp_path, 4000)
    for _ in range(100):
        log.write(b"x" * 999)
    log.close()
    assert log.path.stat().st_size < 4200


def test_a_log_that_cannot_be_made_is_lost_and_nothing_raises(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    log = a_log(tmp_path)
    log.note("run")
    log.write(b"error: this one counts\n")
    log.close()
    assert log.fault is not None
    assert log.fault.startswith("log lost: ")
    assert log.tail.last_error() == "error: this one counts"


def test_a_full_disk_loses_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "logs" / "job").mkdir(parents=True)
    log = a_log(tmp_path)
    full = Path("/dev/full")
    import os

    os.dup2(os.open(full, os.O_WRONLY | os.O_APPEND), log._descriptor)
    log.write(b"text\n")
    log.write(b"more\n")
    log.close()
    assert log.fault == "log lost: No space left on device"


def test_the_last_error_is_the_last_line_that_speaks_of_one() -> None:
    tail = Tail()
    tail.add(b"start\nrsync: connection denied\n10%\r20%\r30%\nby")
    tail.add(b"e\x1b[31m\n\n")
    assert tail.last_error() == "rsync: connection denied"
    assert tail.lines() == ["start", "rsync: connection denied", "30%", "bye?[31m"]


def test_without_an_error_it_is_the_last_line(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.note("attempt 1 of 2: failed code 3")
    assert log.last_error() is None
    log.write(b"one\ntwo, unended")
    assert log.last_error() == "two, unended"
    log.note("attempt 2 of 2: failed code 3")
    assert log.last_error() == "two, unended"
    log.close()


def test_the_tail_is_bounded() -> None:
    tail = Tail()
    for _ in range(50):
        tail.add(b"y" * 100_000)
    assert sum(map(len, tail._blocks)) <= 200_000
    assert tail.lines() == ["y" * 300]
    tail.add(b"\n" * 5 + b"end\n" * 100)
    assert tail.lines() == ["end"] * Tail.COUNT


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r", b"error", b"\x1b[0m", b" ", b"\xff", b"Fatal\n", b"x" * 400])),
    st.integers(1, 50),
)
def test_however_it_comes_the_end_of_a_jobs_output_is_the_same(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    at_once, in_parts = Tail(), Tail()
    at_once.add(data)
    for at in range(0, len(data), size):
        in_parts.add(data[at : at + size])
    assert (at_once.lines(), at_once.last_error()) == (in_parts.lines(), in_parts.last_error())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"retrying\n" * 100_000),  # far before the end, and in another block
        (b"", b"error 5\rok\n" * 50_000),  # drawn over
        (b"start\n" * 174_759, b"x\n" * 524_280),  # across the border of two blocks
        (b"", b"y" * 3_000_000),
    ],
)
def test_the_last_error_is_found_wherever_it_stands(tmp_path: Path, before: bytes, after: bytes) -> None:
    log = a_log(tmp_path, 100 << 20)
    log.write(before + b"FATAL: out of memory\n")
    log.write(after)
    expected = None if after.startswith(b"error") else "FATAL: out of memory"
    assert log.last_error() == (expected or "ok")
    log.close()


@pytest.mark.parametrize("line", [b"step 17 loss 0.25\n", b"error 5\rok\n", b"error: no\n", b"\n", b"x" * 200_000])
def test_output_costs_nearly_nothing_to_follow_whatever_it_is(line: bytes) -> None:
    """A job that writes a lot is not slowed by a search for words in it."""
    block = (line * (1 + 65536 // len(line)))[:65536]
    tail = Tail()
    began = time.process_time()
    for _ in range(5000):
        tail.add(block)
    tail.last_error()
    tail.lines()
    assert time.process_time() - began < 1.0
