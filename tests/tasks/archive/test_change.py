"""Files that something writes to while they are read: the writer here is the progress callback, at a known byte."""

from __future__ import annotations

import os
import shutil
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


def test_a_folder_that_vanishes_at_any_moment_is_no_fault(backup: Any, tmp_path: Path) -> None:
    source = tmp_path / "small"
    source.mkdir()
    (source / "config.json").write_text("{}")
    folder = source / "checkpoint-500"

    class Busy:
        """Takes the folder away at the call of a number."""

        def __init__(self, number: int) -> None:
            self.left = number

        def __call__(self) -> bool:
            self.left -= 1
            if self.left == 0:
                folder.rename(source.parent / "away")
            return False

    for number in range(1, 200):
        folder.mkdir()
        (folder / "state.json").write_text("{}")
        busy = Busy(number)
        report = backup(control=Control(is_cancelled=busy), sources=(str(source),), skip_unchanged=False)
        if busy.left > 0:  # there are no more moments
            break
        assert (report.state, report.problems) == (State.VERIFIED, ()), number
        shutil.rmtree(source.parent / "away")
        for each in Path(report.path).parent.glob("nightly*"):  # it is not missed as one that the last archive has
            each.unlink()
    assert number > 8
    assert not any("1 things" in note.message or "setfacl" in (note.hint or "") for note in report.notes)


def test_a_file_that_becomes_something_else_counts_by_its_weight(backup: Any, source: Path) -> None:
    file = source / "zz"

    class Waiting(Control):
        INTERVAL_S = 0.0

    def become_a_pipe(told: Progress) -> None:
        if told.current.startswith("waiting") and file.is_file():
            file.unlink()
            os.mkfifo(file)

    for state, problems in ((State.VERIFIED, []), (State.PARTIAL, [("special", str(file))])):
        file.unlink(missing_ok=True)
        file.write_bytes(b"x")
        report = backup(control=Waiting(become_a_pipe), skip_unchanged=False, settle_s=0.5)
        assert (report.state, [(each.kind, each.path) for each in report.problems]) == (state, problems)
        file.unlink()
        file.write_bytes(b"x")
        assert backup(skip_unchanged=False).state is State.VERIFIED, "and the last archive has it"
    assert report.message == "1 problem: not all of the source is in it"
