"""Files that something writes to while they are read: the writer here is the progress callback, at a known byte."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mltop.tasks.archive.record import State
from mltop.tasks.outcome import Control, Exit, Progress


class Meddler(Control):
    """Calls `meddle` after each block that is read of `name`."""

    INTERVAL_S = 0.0

    def __init__(self, name: str, meddle: Callable[[int], None]) -> None:
        super().__init__(self._on_progress)
        self._name, self._meddle = name, meddle
        self.times = 0
        self._bytes_seen: int | None = None

    def _on_progress(self, told: Progress) -> None:
        if told.phase != "write" or told.current != self._name:
            return
        if self._bytes_seen is not None and told.bytes > self._bytes_seen:
            self.times += 1
            self._meddle(self.times)
        self._bytes_seen = told.bytes


NAME = "models/llama/weights.bin"


def _extract(path: str, into: Path) -> Path:
    into.mkdir()
    subprocess.run(["tar", "-xpf", path, "-C", into], check=True, capture_output=True)
    return into


def test_truncated_once_is_read_again(backup: Any, source: Path, tmp_path: Path) -> None:
    weights = source / "llama" / "weights.bin"
    report = backup(control=Meddler(NAME, lambda times: os.truncate(weights, 1 << 20)))
    assert (report.state, report.problems) == (State.VERIFIED, ())
    assert (_extract(report.path, tmp_path / "out") / NAME).read_bytes() == weights.read_bytes()


def test_rewritten_again_and_again_is_never_verified(backup: Any, source: Path) -> None:
    weights = source / "llama" / "weights.bin"

    def rewrite(times: int) -> None:
        with weights.open("r+b") as file:
            file.write(os.urandom(4096))

    report = backup(control=Meddler(NAME, rewrite))
    assert (report.state, report.exit_code) == (State.PARTIAL, Exit.PARTIAL)
    assert [(each.kind, each.path) for each in report.problems] == [("changed", str(weights))]
    assert backup().state is State.VERIFIED, "a partial one is not taken for this source"


def test_a_log_that_grows_is_fine(backup: Any, source: Path, tmp_path: Path) -> None:
    weights = source / "llama" / "weights.bin"
    was = weights.read_bytes()

    def append(times: int) -> None:
        with weights.open("ab") as file:
            file.write(b"line\n")

    report = backup(control=Meddler(NAME, append))
    assert (report.state, report.problems) == (State.VERIFIED, ())
    assert "grew" in {note.kind for note in report.notes}
    assert (_extract(report.path, tmp_path / "out") / NAME).read_bytes() == was
    assert weights.stat().st_size > len(was)


def test_replaced_or_touched_while_read_is_no_fault(backup: Any, source: Path, tmp_path: Path) -> None:
    weights = source / "llama" / "weights.bin"
    was = weights.read_bytes()

    def replace(times: int) -> None:
        new = weights.with_suffix(".new")
        new.write_bytes(b"new")
        new.rename(weights)

    report = backup(control=Meddler(NAME, replace))
    assert (report.state, report.problems) == (State.VERIFIED, ())
    assert "moved" in {note.kind for note in report.notes}
    assert (_extract(report.path, tmp_path / "out") / NAME).read_bytes() == was

    weights.write_bytes(was)
    report = backup(control=Meddler(NAME, lambda times: os.utime(weights)))
    assert (report.state, report.problems) == (State.VERIFIED, ())


def test_what_vanishes_counts_by_its_weight(backup: Any, source: Path) -> None:
    small, large = source / "zz-small", source / "zz-large"
    small.write_bytes(b"x")
    large.write_bytes(b"x" * (2 << 20))
    report = backup(control=Meddler(NAME, lambda times: small.unlink(missing_ok=True)))
    assert report.state is State.VERIFIED
    assert "vanished" in {note.kind for note in report.notes}
    report = backup(control=Meddler(NAME, lambda times: large.unlink(missing_ok=True)), skip_unchanged=False)
    assert [(each.kind, each.path) for each in report.problems] == [("vanished", str(large))]
    small.write_bytes(b"x")
    assert backup().state is State.VERIFIED
    report = backup(control=Meddler(NAME, lambda times: small.unlink(missing_ok=True)), skip_unchanged=False)
    assert report.state is State.PARTIAL, "it was in the last archive"
