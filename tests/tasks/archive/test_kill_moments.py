"""SIGKILL before each single change of the disk: what is there then, and what the next run makes of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from killed import killed_before

from mltop.tasks.archive import shelf
from mltop.tasks.archive.backup import create
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.lock import clock
from mltop.tasks.archive.prune import prune, trash, undelete
from mltop.tasks.archive.record import State
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import verify
from mltop.tasks.outcome import Control, Exit
from mltop.tasks.retention import Keep

_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.utime"}
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_MOST = 400


def _is_change(event: str, values: tuple[object, ...]) -> bool:
    """Whether a system call changes a file system."""
    return event in _CHANGES or (event == "open" and isinstance(values[2], int) and bool(values[2] & _WRITES))


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do `work` in a child that is killed before its change of the disk number `moment`; whether it came to that."""
    return killed_before(moment + 1, work, _is_change)


@pytest.fixture
def small(source: Path) -> Path:
    (source / "llama" / "weights.bin").write_bytes(os.urandom(50_000))
    return source


def _verified(target: Path) -> list[str]:
    """All that counts as verified, each of which really is."""
    with Target(str(target)) as folder:
        found = [each for each in shelf.archives(folder, "nightly") if each.state is State.VERIFIED]
        for each in found:
            assert verify(folder, each.id, Control(), 1).exit_code is Exit.OK
        assert {each.state for each in shelf.archives(folder)} <= {State.VERIFIED, State.UNSEALED}
        return [each.id for each in found]


def test_while_a_backup_is_made(backup: Any, job: BackupJob, small: Path, target: Path) -> None:
    good = backup().id
    again = msgspec.structs.replace(job, skip_unchanged=False, keep=Keep(last=1, min=1))
    moment = 0
    while killed_at(moment, lambda: create(again)):
        assert good in _verified(target) or _verified(target)[-1] > good, "the last good one is there, or a newer one"
        moment += 1
        assert moment < _MOST
    assert moment > 8, "it was killed at every one of them"
    report = backup(skip_unchanged=False)
    assert report.state is State.VERIFIED
    assert not [each for each in os.listdir(target) if each.endswith(".partial")]  # noqa: PTH208
    assert _verified(target)[-1] == report.id


def test_while_the_old_ones_go(backup: Any, job: BackupJob, small: Path, target: Path) -> None:
    keep_all = Keep()
    ids = []
    for number in range(4):
        (small / "llama" / "config.json").write_text(f"{number}")
        ids.append(backup(keep=keep_all).id)
    strict = msgspec.structs.replace(job, keep=Keep(last=1, min=1))

    def work() -> None:
        with Target(str(target)) as folder:
            prune(folder, strict, clock(), None)

    moment = 0
    while killed_at(moment, work):
        with Target(str(target)) as folder:
            there = {each.id for each in shelf.archives(folder, "nightly")} | {
                each for each, _ in trash(folder, "nightly")
            }
            assert there == set(ids), "each is on the shelf or in the trash"
        assert _verified(target)[-1] == ids[-1]
        moment += 1
        assert moment < _MOST
    assert moment > 3
    with Target(str(target)) as folder:
        assert [each.id for each in shelf.archives(folder, "nightly")] == ids[-1:]
        for each in ids[:-1]:
            undelete(folder, each)
    assert _verified(target) == ids


def test_while_one_comes_back_from_the_trash(backup: Any, job: BackupJob, small: Path, target: Path) -> None:
    first = backup(keep=Keep()).id
    (small / "llama" / "config.json").write_text("new")
    second = backup(keep=Keep(last=1, min=1)).id
    moment = 0
    while killed_at(moment, lambda: _bring_back(target, first)):
        assert second in _verified(target)
        moment += 1
        assert moment < _MOST
    assert _verified(target) == [first, second]


def _bring_back(target: Path, archive_id: str) -> None:
    with Target(str(target)) as folder:
        undelete(folder, archive_id)


def test_while_the_trash_is_emptied(backup: Any, job: BackupJob, small: Path, target: Path) -> None:
    from mltop.tasks.archive.prune import purge

    backup(keep=Keep())
    (small / "llama" / "config.json").write_text("new")
    second = backup(keep=Keep(last=1, min=1)).id

    def work() -> None:
        with Target(str(target)) as folder:
            purge(folder, "nightly", datetime.max.replace(tzinfo=UTC))

    moment = 0
    while killed_at(moment, work):
        assert _verified(target) == [second]
        moment += 1
        assert moment < _MOST
    with Target(str(target)) as folder:
        assert trash(folder, "nightly") == []


def test_while_it_is_restored(backup: Any, small: Path, target: Path, tmp_path: Path, facts: Any) -> None:
    made = backup()
    out = tmp_path / "out"

    def work() -> None:
        with Target(str(target)) as folder:
            restore(folder, RestoreJob(archive_id=made.id, to=str(out)))

    moments = 0
    for moment in range(0, _MOST, 7):  # each goes on where the one before was killed
        if not killed_at(moment, work):
            break
        moments += 1
        for each in out.rglob("*"):
            if each.is_file() and not each.is_symlink() and not each.name.startswith(".mltop-restore-"):
                assert each.read_bytes() == (small.parent / each.relative_to(out)).read_bytes(), each
    assert moments > 2
    assert facts(out / "models") == facts(small)
    assert not list(out.rglob(".mltop-restore-*"))
