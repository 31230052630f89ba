"""Logs by bytes and offsets: lines both ways, searches, files that grow, are huge or are none."""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import assert_within

from mltop.jobs.log_file import ERRORS, LONGEST, OWN, LogFile, speaks_of_error


def of(path: Path, data: bytes) -> LogFile:
    path.write_bytes(data)
    return LogFile(path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=30), st.booleans())
def test_both_ways_give_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], is_ended: bool
) -> None:
    data = b"\n".join(lines) + (b"\n" if is_ended else b"")
    wanted = data.removesuffix(b"\n").split(b"\n") if data else []
    with of(tmp_path_factory.mktemp("log") / "x", data) as file:
        ahead = file.after(0, 100)
        assert [text for _, text in ahead] == wanted
        assert file.before(file.size, 100) == ahead


def test_some_lines_before_and_after_a_place(tmp_path: Path) -> None:
    with of(tmp_path / "x", b"one\ntwo\nthree\nfour\n") as file:
        assert file.before(8, 1) == [(4, b"two")]
        assert file.after(4, 2) == [(4, b"two"), (8, b"three")]
        assert file.before(0, 3) == []
        assert file.after(file.size, 3) == []


def test_a_line_without_an_end_is_read_in_pieces(tmp_path: Path) -> None:
    with of(tmp_path / "x", b"x" * (3 * LONGEST)) as file:
        assert [len(text) for _, text in file.after(0, 10)] == [LONGEST] * 3
        assert sum(len(text) for _, text in file.before(file.size, 10)) == 3 * LONGEST


def test_search_both_ways(tmp_path: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(300_000))
    with of(tmp_path / "x", data) as file:
        wanted = (b"LINE 250000",)
        found = file.first(wanted, 0)
        assert found == data.index(b"line 250000\n")
        assert file.last(wanted, file.size) == found
        assert file.first(wanted, found + 5) is None
        assert file.last(wanted, found) is None
        assert file.last((b"LINE 0\n", b"no such"), file.size) == 0


def test_the_first_error_is_not_the_wrappers_own_line(tmp_path: Path) -> None:
    with of(tmp_path / "x", b"# mltop fail-over by hand\nfine\nValueError: no\n# mltop failed\n") as file:
        assert file.first(ERRORS, 0, is_foreign=True) == 31
    with of(tmp_path / "y", b"# mltop failed: error\n" * 50_000 + b"CRITICAL\n") as file:
        assert file.first(ERRORS, 0, is_foreign=True) == file.size - 9
        assert file.first(ERRORS, 0) == 0
    with of(tmp_path / "z", b"all is well\n# mltop failed") as file:
        assert file.first(ERRORS, 0, is_foreign=True) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"fine", b"an ERROR", b"# mltop failed", b"Killed", b"", b"x"])), st.booleans())
def test_the_first_error_is_that_of_looking_at_each_line(texts: list[bytes], is_foreign: bool) -> None:
    expected = [
        n for n, text in enumerate(texts) if speaks_of_error(text) and not (is_foreign and text.startswith(OWN))
    ]
    data = b"".join(text + b"\n" for text in texts)
    at = sum(len(text) + 1 for text in texts[: expected[0]]) if expected else None
    with tempfile.NamedTemporaryFile() as named:
        named.write(data)
        named.flush()
        with LogFile(Path(named.name)) as file:
            assert file.first(ERRORS, 0, is_foreign=is_foreign) == at


def test_a_gigabyte_opens_at_once_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as sparse:
        sparse.write(b"first\n")
        sparse.seek(1 << 30)
        sparse.write(b"\nlast\n")
    tracemalloc.start()
    started = time.monotonic()
    with LogFile(path) as file:
        assert file.before(file.size, 1)[0][1] == b"last"
        assert file.after(0, 1) == [(0, b"first")]
    assert_within(1, started)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for name in ("pipe", "link", "gone", "."):
        with pytest.raises(OSError):  # noqa: PT011
            LogFile(tmp_path / name)
