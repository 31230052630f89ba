"""Killed at any moment, out of space, two at once: what lies in the target afterwards."""

# ruff: noqa: PTH208

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within

from mltop.tasks.archive import name, shelf
from mltop.tasks.archive.lock import Lock
from mltop.tasks.archive.prune import trash
from mltop.tasks.archive.record import State
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import verify
from mltop.tasks.outcome import Control, Exit
from mltop.tasks.retention import Keep

CHILD = """
import sys
from mltop.tasks.archive.backup import create
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.outcome import Control
print("begin", flush=True)
job = BackupJob(job="nightly", sources=(sys.argv[1],), target=sys.argv[2], settle_s=0, reserve_bytes=0,
                skip_unchanged=False)
report = create(job, Control())
print(report.exit_code, report.message, flush=True)
"""


def _start(source: Path, target: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, source, target], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "begin\n"
    return child


def _check(target: Path) -> None:
    """No archive under its final name without a good manifest."""
    if not target.exists():
        return
    with Target(str(target)) as folder:
        for each in shelf.archives(folder):
            assert each.state in (State.VERIFIED, State.UNSEALED), each
            if each.state is State.VERIFIED:
                assert verify(folder, each.id, Control()).exit_code is Exit.OK
            else:  # killed between two renames: the manifest lies ready
                assert name.partial(each.id + name.MANIFEST) in folder.names()


def test_kill_at_any_moment(source: Path, target: Path, backup: Any) -> None:
    (source / "llama" / "weights.bin").write_bytes(os.urandom(24 << 20))
    began = time.monotonic()
    with _start(source, target) as child:
        child.wait()
    span = time.monotonic() - began
    generator = random.Random(5)
    for round_ in range(10):
        child = _start(source, target)
        delay = span * (round_ + generator.random()) / 10
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        _check(target)
        left = [each for each in os.listdir(target) if each.endswith(name.PARTIAL)]
        assert len(left) <= 3, left
    report = backup(skip_unchanged=False)
    assert report.state is State.VERIFIED
    assert not [each for each in os.listdir(target) if each.endswith(name.PARTIAL)]
    _check(target)


@pytest.mark.parametrize("renamed", [0, 1, 2, 3])
def test_killed_within_the_commit_is_finished_by_the_next_run(
    backup: Any, target: Path, source: Path, renamed: int
) -> None:
    made = backup()
    endings = [".tar.zst", ".sha256", ".manifest.jsonl"]
    for ending in endings[renamed:]:
        (target / (made.id + ending)).rename(target / name.partial(made.id + ending))
    _check(target)
    (source / "new").touch()
    report = backup()
    assert report.state is State.VERIFIED
    with Target(str(target)) as folder:
        ids = [each.id for each in shelf.archives(folder)]
    assert ids == ([made.id] if renamed else []) + [report.id]
    assert not [each for each in os.listdir(target) if each.endswith(name.PARTIAL)]
    _check(target)


def test_two_at_once(backup: Any, target: Path, source: Path) -> None:
    backup()
    with Lock(str(target / name.lock_name("nightly"))):
        began = time.monotonic()
        child = _start(source, target)
        assert child.communicate()[0].startswith(f"{Exit.LOCKED.value} another run of this job is at work (pid")
        assert_within(5, began)
        assert backup(lock_path=str(target / "another.lock")).state is State.UNCHANGED
    assert backup(skip_unchanged=False).state is State.VERIFIED


def test_a_killed_holder_leaves_no_lock(backup: Any, target: Path, source: Path) -> None:
    lock = str(target / name.lock_name("nightly"))
    code = (
        "import sys, time\n"
        "from mltop.tasks.archive.lock import Lock\n"
        "with Lock(sys.argv[1]):\n    print(1, flush=True)\n    time.sleep(60)"
    )
    target.mkdir()
    with subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert backup().exit_code is Exit.LOCKED
        holder.kill()
    assert backup().state is State.VERIFIED


def test_the_lock_is_not_taken_through_a_link(backup: Any, target: Path, tmp_path: Path) -> None:
    target.mkdir()
    (target / name.lock_name("nightly")).symlink_to(tmp_path / "elsewhere")
    assert backup().exit_code is Exit.FAILED
    assert not (tmp_path / "elsewhere").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("may not mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.integration
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_a_disk_that_fills_up(backup: Any, small_disk: Path, source: Path, compression: str) -> None:
    first = backup(target=str(small_disk), compression=compression)
    assert first.state is State.VERIFIED
    before = sorted(os.listdir(small_disk))
    with Target(str(small_disk)) as folder:
        free = folder.free_bytes()
    (source / "llama" / "large.bin").write_bytes(bytes(1))
    # a source that looks small and is not: the pre-flight cannot see it, as when another program fills the disk
    (source / "llama" / "weights.bin").write_bytes(os.urandom(13 << 20))
    ballast = small_disk / "ballast"

    class Eager(Control):
        INTERVAL_S = 0.0

    def fill(told: Any) -> None:
        if told.phase == "write" and not ballast.exists():
            ballast.write_bytes(bytes(6 << 20))

    report = backup(control=Eager(fill), target=str(small_disk), compression=compression)
    assert (report.state, report.exit_code) == (State.FAILED, Exit.NO_SPACE)
    ballast.unlink()
    assert sorted(os.listdir(small_disk)) == before
    with Target(str(small_disk)) as folder:
        assert folder.free_bytes() >= free - 8192
        assert verify(folder, first.id, Control()).exit_code is Exit.OK
    (source / "llama" / "weights.bin").write_bytes(os.urandom(30 << 20))
    report = backup(target=str(small_disk), compression=compression)
    assert report.exit_code is Exit.NO_SPACE
    assert "free" in report.message


@pytest.mark.integration
def test_short_of_space_the_trash_goes_first(backup: Any, small_disk: Path, source: Path) -> None:
    ids = []
    for _ in range(4):
        (source / "llama" / "weights.bin").write_bytes(os.urandom(5 << 20))
        report = backup(target=str(small_disk), keep=Keep(last=2, min=2))
        assert report.exit_code is Exit.OK, report.message
        ids.append(report.id)
    with Target(str(small_disk)) as folder:
        assert [each.id for each in shelf.archives(folder)] == ids[-2:]
        assert len(trash(folder, "nightly")) == 1, "the first went for good to make room"


@pytest.mark.integration
def test_restoring_to_a_disk_that_fills_up(backup: Any, small_disk: Path, target: Path, source: Path) -> None:
    from mltop.tasks.archive.restore import RestoreJob, restore

    (source / "llama" / "weights.bin").write_bytes(os.urandom(25 << 20))
    made = backup()
    with Target(str(target)) as folder:
        to = str(small_disk / "out")
        assert restore(folder, RestoreJob(archive_id=made.id, to=to)).exit_code is Exit.NO_SPACE
        report = restore(folder, RestoreJob(archive_id=made.id, to=to, max_bytes=1 << 40))
    assert report.exit_code is Exit.NO_SPACE
    assert not [each for each in (small_disk / "out").rglob("*") if each.name.startswith(".mltop")]
