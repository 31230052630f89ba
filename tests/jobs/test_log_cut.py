from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltop.jobs.log_cut import place_after_cut
from mltop.jobs.runner.log import RunLog


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cap=st.integers(40, 400),
    lines=st.lists(st.integers(0, 120), min_size=1, max_size=80),
    before=st.integers(0, 40),
    stands=st.integers(0, 79),
)
def test_a_reader_goes_on_with_the_byte_behind_the_last_that_it_read(
    tmp_path: Path, cap: int, lines: list[int], before: int, stands: int
) -> None:
    log = RunLog(tmp_path / "log", cap)
    written = [f"{number:04} {'x' * length}\n".encode() for number, length in enumerate(lines)]
    for line in written[:before]:
        log.write(line)
    old = opened(log.path)
    read_to = sum(len(line) for line in os.pread(old, 1 << 20, 0).splitlines(keepends=True)[:stands])
    last = os.pread(old, read_to, 0).splitlines(keepends=True)[-1:]
    for line in written[before:]:
        log.write(line)
    log.close()
    new = opened(log.path)
    if os.fstat(new).st_ino != os.fstat(old).st_ino:
        place = place_after_cut(old, new, read_to)
        assert place is not None
        rest = os.pread(new, 1 << 20, place)
        if rest.startswith(b"# mltop cut: "):  # what came next is left out itself
            left = rest.splitlines(keepends=True)[1:]
            assert left == (written[-len(left) :] if left else [])
        elif last and last[0] in written:
            assert rest == b"".join(written[written.index(last[0]) + 1 :])
    os.close(old)
    os.close(new)


def test_a_file_that_is_no_cut_of_the_other_has_no_such_place(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a\nb\n")
    (tmp_path / "other").write_bytes(b"a\nc\n")
    one, other = opened(tmp_path / "one"), opened(tmp_path / "other")
    assert place_after_cut(one, other, 2) is None
    os.close(one)
    os.close(other)


@pytest.mark.parametrize("said", [b"# mltop cut: 5 bytes are left out here\n", b"# mltop cut: "])
def test_what_a_job_says_is_no_mark(tmp_path: Path, said: bytes) -> None:
    log = RunLog(tmp_path / "log", 400)
    log.write(said)
    written = [b"%04d\n" % number for number in range(400)]
    for line in written[:100]:
        log.write(line)
    old = opened(log.path)
    read_to = os.fstat(old).st_size
    while log.path.stat().st_ino == os.fstat(old).st_ino:
        log.write(written.pop(100))
    left = os.pread(old, 1 << 16, read_to)
    new = opened(log.path)
    place = place_after_cut(old, new, read_to)
    assert place is not None
    assert os.pread(new, 1 << 16, place) == left
    log.close()
    os.close(old)
    os.close(new)
