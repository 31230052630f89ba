"""The restore test of a backup: what it proves, what it finds, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.tasks.archive import shelf
from mltop.tasks.archive.drill import drill
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.lock import Lock, path_of
from mltop.tasks.archive.record import Archive, DrillReport, State
from mltop.tasks.archive.scratch import Scratch
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Control, Exit, NoSpaceError, TaskError

Drill = Callable[..., DrillReport]


@pytest.fixture
def run(job: BackupJob) -> Drill:
    return lambda **changes: drill(msgspec.structs.replace(job, **changes))


def _archives(target: Path) -> list[Archive]:
    with Target(str(target)) as folder:
        return shelf.archives(folder, "nightly")


def _leftovers(target: Path) -> list[str]:
    return [each.name for each in target.iterdir() if each.name.startswith(".mltop-drill-")]


def test_a_good_backup_is_restored_compared_and_dated(backup: Any, run: Drill, target: Path) -> None:
    made = backup()
    report = run()
    assert (report.exit_code, report.id, report.problems) == (Exit.OK, made.id, ())
    assert report.files == made.statistics.files
    assert report.restored_bytes > 3 << 20
    (archive,) = _archives(target)
    assert archive.state is State.VERIFIED
    assert archive.restored_at is not None
    assert archive.restored_at >= report.started_at
    assert _leftovers(target) == []


def test_the_newest_good_archive_is_the_one(backup: Any, run: Drill, source: Path, target: Path) -> None:
    backup()
    (source / "new").write_text("x")
    second = backup()
    assert run().id == second.id
    assert [each.restored_at is not None for each in _archives(target)] == [False, True]
    (target / f"{second.id}.manifest.jsonl").write_bytes(b"{}\n")
    assert run().exit_code is Exit.OK
    assert [each.state for each in _archives(target)] == [State.VERIFIED, State.CORRUPT]


def test_what_is_damaged_is_found_and_marked(backup: Any, run: Drill, target: Path) -> None:
    made = backup(compression="none")
    data = bytearray(Path(made.path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(made.path).write_bytes(data)
    report = run(compression="none")
    assert report.exit_code is Exit.VERIFY_FAILED
    assert report.files == 0
    assert report.message
    assert [(each.state, each.restored_at) for each in _archives(target)] == [(State.CORRUPT, None)]
    assert _leftovers(target) == []


def test_with_no_archive_it_fails_and_says_so(run: Drill, target: Path) -> None:
    assert run().exit_code is Exit.FAILED
    target.mkdir()
    report = run()
    assert report.exit_code is Exit.FAILED
    assert "no archive of nightly" in (report.message or "")


def test_it_takes_the_lock_of_its_backup(backup: Any, run: Drill, job: BackupJob, target: Path) -> None:
    backup()
    with Target(str(target)) as folder, Lock(path_of(job, folder)):
        assert run().exit_code is Exit.LOCKED


def test_a_partial_backup_is_never_restored_whole(backup: Any, run: Drill, source: Path, target: Path) -> None:
    (source / "away").symlink_to("/etc/hostname")
    made = backup(external="fail")
    assert made.state is State.PARTIAL
    report = run()
    assert report.exit_code is Exit.OK, "all that is in it can be restored"
    (source / "away").unlink()
    assert _archives(target)[0].state is State.PARTIAL


def test_what_a_killed_drill_left_is_removed_however_it_is_made(backup: Any, run: Drill, target: Path) -> None:
    backup()
    old = target / ".mltop-drill-nightly"
    old.mkdir()
    (target / "keep").mkdir()
    (target / "keep" / "file").touch()
    (old / "link").symlink_to(target / "keep")
    os.mkfifo(old / "fifo")
    fd = os.open(old, os.O_RDONLY)
    for _ in range(1500):  # deeper than a stack of calls, and than a path may be long
        os.mkdir("deep-folder", 0o700, dir_fd=fd)
        below = os.open("deep-folder", os.O_RDONLY, dir_fd=fd)
        os.fchmod(fd, 0o500)
        os.close(fd)
        fd = below
    os.close(fd)
    assert run().exit_code is Exit.OK
    assert _leftovers(target) == []
    assert (target / "keep" / "file").exists()


def test_what_a_killed_drill_left_is_removed_by_the_next_backup(backup: Any, target: Path) -> None:
    backup()
    for job in ("nightly", "another"):
        (target / f".mltop-drill-{job}" / "models").mkdir(parents=True)
        (target / f".mltop-drill-{job}" / "models" / "weights.bin").write_bytes(b"x")
    assert backup().state is State.UNCHANGED
    assert sorted(each.name for each in target.glob(".mltop-drill-*")) == [".mltop-drill-another"]


def test_where_there_is_no_room_nothing_is_restored(tmp_path: Path) -> None:
    with pytest.raises(NoSpaceError, match="are needed to restore"):
        Scratch("m", (str(tmp_path), str(tmp_path / "not" / "there")), 1 << 62)
    assert list(tmp_path.iterdir()) == []


def test_the_first_folder_with_room_is_taken(tmp_path: Path) -> None:
    with Scratch("m", (str(tmp_path / "a" / "b"), str(tmp_path)), 1) as scratch:
        assert Path(scratch.path).parent == tmp_path / "a" / "b"
        assert Path(scratch.path).stat().st_mode & 0o777 == 0o700
    assert not Path(scratch.path).exists()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").touch()
    (tmp_path / ".mltop-drill-m").symlink_to("victim")
    with pytest.raises(TaskError, match="cannot be made"), Scratch("m", (str(tmp_path),), 1):
        pass
    assert (tmp_path / "victim" / "file").exists()


CHILD = """
import sys, os, signal
from mltop.tasks.archive.drill import drill
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.outcome import Control
class Eager(Control):
    INTERVAL_S = 0.0
count = 0
def tell(progress):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
drill(BackupJob(job="nightly", sources=("/",), target=sys.argv[1]), (), Eager(tell))
print(count, flush=True)
"""


def test_killed_anywhere_the_archive_stays_and_the_next_drill_is_good(backup: Any, run: Drill, target: Path) -> None:
    made = backup()
    command = [sys.executable, "-c", CHILD, str(target)]
    moments = int(subprocess.run([*command, "0"], capture_output=True, check=True).stdout)
    for moment in {1, moments // 3, moments * 2 // 3, moments - 1}:
        assert subprocess.run([*command, str(moment)], check=False).returncode == -signal.SIGKILL
        assert [(each.id, each.state) for each in _archives(target)] == [(made.id, State.VERIFIED)]
        assert len(_leftovers(target)) <= 1
    assert run().exit_code is Exit.OK
    assert _leftovers(target) == []


def test_one_that_is_asked_to_stop_leaves_nothing(backup: Any, job: BackupJob, target: Path) -> None:
    backup()
    asked: list[str] = []

    class Eager(Control):
        INTERVAL_S = 0.0

    control = Eager(lambda told: asked.append(told.phase), lambda: "compare" in asked)
    assert drill(job, (), control).exit_code is Exit.TERMINATED
    assert _leftovers(target) == []
    assert _archives(target)[0].restored_at is None
