"""Commands around a backup: when each runs, what it is told, and what its failing means."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within

from mltop.config.job import Hooks
from mltop.tasks.archive.backup import create
from mltop.tasks.archive.hooks import with_hooks
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import BackupReport, State
from mltop.tasks.outcome import Control, Exit

WRITE = (
    "import json, os, sys; "
    "open(sys.argv[1], 'a').write(json.dumps({k: v for k, v in os.environ.items() if k[:6] == 'MLTOP_'}) + '\\n'); "
    "sys.exit(int(sys.argv[2]))"
)
NAMES = ("before", "after", "on_error", "always")


class Ran:
    """Hooks that write down what they were told."""

    def __init__(self, folder: Path, job: BackupJob) -> None:
        self.file, self.job = folder / "told", job

    def run(self, control: Control | None = None, **codes: Any) -> BackupReport:
        command = (sys.executable, "-c", WRITE, str(self.file))
        hooks: dict[str, Any] = {name: (*command, str(codes.get(name, 0))) for name in NAMES}
        hooks |= {name: value for name, value in codes.items() if not isinstance(value, int)}
        return with_hooks(self.job, Hooks(**hooks), control or Control(), create)

    @property
    def told(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    @property
    def names(self) -> list[str]:
        return [each["MLTOP_HOOK"] for each in self.told]


@pytest.fixture
def ran(tmp_path: Path, job: BackupJob) -> Ran:
    return Ran(tmp_path, job)


def test_a_good_backup(ran: Ran) -> None:
    report = ran.run()
    assert (report.state, report.exit_code) == (State.VERIFIED, Exit.OK)
    assert ran.names == ["before", "after", "always"]
    before, after, _ = ran.told
    assert before["MLTOP_JOB"] == "nightly"
    assert "MLTOP_STATE" not in before
    assert (after["MLTOP_STATE"], after["MLTOP_EXIT_CODE"]) == ("verified", "0")
    assert after["MLTOP_ARCHIVE"] == report.path
    assert Path(after["MLTOP_ARCHIVE"]).exists()
    assert json.loads(after["MLTOP_REPORT"])["statistics"]["files"] == report.statistics.files  # type: ignore[union-attr]


def test_before_fails_and_there_is_no_backup(ran: Ran, target: Path) -> None:
    report = ran.run(before=3)
    assert (report.state, report.exit_code) == (State.FAILED, Exit.FAILED)
    assert "the hook before ended with 3" in (report.message or "")
    assert ran.names == ["before", "on_error", "always"]
    assert not target.exists()


def test_a_partial_backup_is_an_error(ran: Ran, source: Path) -> None:
    (source / "out").symlink_to("/etc/hostname")
    report = ran.run()
    assert report.exit_code is Exit.PARTIAL
    assert ran.names == ["before", "on_error", "always"]
    assert ran.told[1]["MLTOP_STATE"] == "partial"


def test_after_fails_and_the_backup_stands(ran: Ran) -> None:
    report = ran.run(after=1)
    assert (report.state, report.exit_code) == (State.VERIFIED, Exit.FAILED)
    assert "the backup is verified, but the hook after ended with 1" in (report.message or "")
    assert ran.names == ["before", "after", "on_error", "always"]
    assert Path(report.path or "").exists()


def test_the_last_ones_fail_and_are_noted(ran: Ran) -> None:
    report = ran.run(always=9)
    assert (report.state, report.exit_code) == (State.VERIFIED, Exit.OK)
    assert [(each.kind, each.path) for each in report.notes if each.kind == "hook"] == [("hook", "always")]
    report = ran.run(before=1, on_error=2, always=2)
    assert [each.path for each in report.notes] == ["on_error", "always"]


@pytest.mark.parametrize("words", [("/nonexistent/program",), ("a\0b",)])
def test_one_that_cannot_be_started(ran: Ran, words: tuple[str, ...]) -> None:
    report = ran.run(before=words)
    assert "the hook before cannot be started" in (report.message or "")
    assert report.hint


def test_one_that_hangs_is_ended_with_all_its_children(ran: Ran, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! $$ > {pids}; wait"
    began = time.monotonic()
    report = ran.run(before=("/bin/sh", "-c", script), timeout_s=0.5)
    assert "did not end within 0.5 s" in (report.message or "")
    assert_within(5, began)
    for pid in pids.read_text().split():
        _wait_until(lambda pid=pid: not _lives(pid))  # type: ignore[misc]


def test_asked_to_stop_the_last_ones_still_run(ran: Ran, tmp_path: Path) -> None:
    mark = tmp_path / "running"
    report = ran.run(
        Control(is_cancelled=mark.exists),
        before=("/bin/sh", "-c", f"touch {mark}; exec sleep 600"),
    )
    assert report.exit_code is Exit.TERMINATED
    assert ran.names == ["on_error", "always"]


def test_a_report_that_is_long_fits_into_an_environment(ran: Ran, source: Path) -> None:
    for number in range(700):
        (source / f"{number}-{'x' * 100}").symlink_to("/nonexistent/" + "y" * 100)
    report = ran.run()
    assert len(report.notes) > 700
    assert "after" in ran.names


def _lives(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path("/proc", pid, "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()
