# ruff: noqa: PTH208

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltop.tasks.archive import manifest, name, shelf
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.lock import Lock, clock
from mltop.tasks.archive.prune import prune, prune_by_hand, purge, trash, undelete
from mltop.tasks.archive.record import Clock, PruneReport, State
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Exit, TaskError
from mltop.tasks.retention import Keep

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def shelf_of(backup: Any, source: Path, target: Path) -> Callable[..., list[str]]:
    """Put archives of the given ages in days in the target, oldest first; return their ids."""

    def make(*ages: float, state: State = State.VERIFIED) -> list[str]:
        (source / "llama" / "weights.bin").write_bytes(b"small")
        made = backup(keep=Keep())
        with Target(str(target)) as folder:
            head, entries = folder.manifest(made.id)
            content = folder.read(head.archive)
            for each in shelf.files_of(folder, made.id):
                folder.remove(each)
            ids = []
            first = shelf.next_sequence(folder, "nightly")
            for index, age in enumerate(sorted(ages, reverse=True)):
                at = NOW - timedelta(days=age)
                archive_id = name.make_id("nightly", at, first + index)
                archive = archive_id + ".tar.zst"
                when = Clock(wall=at, boot_id="other", since_boot_s=1.0)
                changed = msgspec.structs.replace(
                    head, id=archive_id, archive=archive, created=when, sequence=first + index, state=state
                )
                folder.stage(archive, (content,))
                folder.commit(changed, map(manifest.encode_entry, entries), manifest.sums(lambda: entries))
                ids.append(archive_id)
        return ids

    return make


@pytest.fixture
def run(job: BackupJob, target: Path) -> Callable[..., PruneReport]:
    def go(
        keep: Keep, now: datetime = NOW, last: Clock | None = None, dry_run: bool = False, **more: Any
    ) -> PruneReport:
        moment = Clock(wall=now, boot_id="this", since_boot_s=1000.0)
        with Target(str(target)) as folder:
            return prune(folder, msgspec.structs.replace(job, keep=keep, **more), moment, last, dry_run)

    return go


def _ids(target: Path) -> list[str]:
    with Target(str(target)) as folder:
        return [each.id for each in shelf.archives(folder, "nightly")]


def test_old_ones_go_to_the_trash_and_come_back(shelf_of: Any, run: Any, target: Path) -> None:
    ids = shelf_of(50, 40, 35, 20, 10, 1)
    planned = run(Keep.days(30), dry_run=True)
    assert _ids(target) == ids
    done = run(Keep.days(30))
    assert (planned.removed, planned.choices, planned.removed_bytes) == (done.removed, done.choices, done.removed_bytes)
    assert done.removed_bytes > 0
    assert sorted(done.removed) == ids[:3]
    assert _ids(target) == ids[3:]
    assert (target / ".trash").stat().st_mode & 0o777 == 0o700
    with Target(str(target)) as folder:
        assert [each for each, _ in trash(folder, "nightly")] == ids[:3]
        assert len(undelete(folder, ids[1])) == 3
        with pytest.raises(TaskError):
            undelete(folder, ids[1])
        with pytest.raises(TaskError):
            undelete(folder, "../../x")
    assert _ids(target) == [ids[1], *ids[3:]]


def test_by_hand(shelf_of: Any, job: BackupJob, target: Path) -> None:
    ids = shelf_of(50, 40, 35, 20, 10, 1)
    before = sorted(os.listdir(target))
    planned = prune_by_hand(job, dry_run=True)
    assert sorted(os.listdir(target)) == before
    with Lock(str(target / name.lock_name("nightly"))):
        assert prune_by_hand(job).exit_code is Exit.LOCKED
    done = prune_by_hand(job)
    assert (sorted(done.removed), done.removed) == (ids[:3], planned.removed)
    assert prune_by_hand(msgspec.structs.replace(job, target="/nonexistent/x"), dry_run=True).exit_code is Exit.FAILED


def test_the_trash_is_emptied_after_its_time(shelf_of: Any, run: Any, target: Path) -> None:
    ids = shelf_of(50, 3, 2, 1)
    run(Keep.days(30))
    stray = next((target / ".trash").iterdir()) / "thesis.tar.gz"
    stray.write_text("mine")
    assert run(Keep.days(30), NOW + timedelta(days=2)).purged == ()
    planned = run(Keep.days(30), NOW + timedelta(days=4), dry_run=True)
    done = run(Keep.days(30), NOW + timedelta(days=4))
    assert planned.purged == done.purged
    assert {each.partition(".")[0] for each in done.purged} == {ids[0]}
    assert done.purged_bytes > 0
    assert stray.read_text() == "mine"


def test_a_number_is_not_used_again(shelf_of: Any, run: Any, target: Path) -> None:
    ids = shelf_of(50, 3, 2, 1)
    run(Keep.days(30))
    (target / ".trash").rename(target / ".was")
    with Target(str(target)) as folder:
        assert len(shelf.archives(folder)) == 3
        for each in shelf.files_of(folder, ids[-1]):
            folder.remove(each)
        assert shelf.next_sequence(folder, "nightly") == 4
    (target / ".was").rename(target / ".trash")
    with Target(str(target)) as folder:
        assert shelf.next_sequence(folder, "nightly") == 4
        undelete(folder, ids[0])
        assert shelf.next_sequence(folder, "nightly") == 4


@pytest.mark.parametrize("years", [1, -1])
def test_a_clock_that_jumped_deletes_nothing(shelf_of: Any, run: Any, target: Path, years: int) -> None:
    ids = shelf_of(50, 40, 10, 5, 1)
    last = Clock(wall=NOW - timedelta(days=1), boot_id="before", since_boot_s=5.0)
    report = run(Keep.days(3), NOW + timedelta(days=365 * years), last)
    assert report.exit_code is Exit.REFUSED
    assert "clock" in report.message
    assert _ids(target) == ids


def test_time_that_really_passed_is_no_jump(shelf_of: Any, run: Any, target: Path) -> None:
    shelf_of(50, 40, 12, 11, 10)
    last = Clock(wall=NOW - timedelta(days=10), boot_id="this", since_boot_s=1000.0 - 10 * 86400)
    assert run(Keep.days(30), last=last, dry_run=True).exit_code is Exit.OK
    jumped = msgspec.structs.replace(last, since_boot_s=900.0)
    assert run(Keep.days(30), last=jumped).exit_code is Exit.REFUSED
    rebooted = msgspec.structs.replace(last, boot_id="before")
    assert run(Keep.days(30), last=rebooted).exit_code is Exit.REFUSED
    assert run(Keep.days(30), last=rebooted, accept_clock=True).exit_code is Exit.OK


def test_a_backup_prunes_only_when_it_is_verified(backup: Any, shelf_of: Any, source: Path, target: Path) -> None:
    ids = shelf_of(50, 40, 2)
    (source / "x").touch()
    partial = backup(sources=(str(source), "/nonexistent"), keep=Keep(last=1, min=1))
    assert (partial.state, partial.prune) == (State.PARTIAL, None)
    assert _ids(target) == [*ids, partial.id]
    assert backup(keep=Keep()).prune.removed == ()
    (source / "y").touch()
    good = backup(keep=Keep(last=1, min=1))
    assert good.exit_code is Exit.OK
    assert _ids(target) == [partial.id, good.id]
    assert (good.remaining, good.prune.exit_code) == (2, Exit.OK)
    again = backup(keep=Keep(last=1, min=1))
    assert (again.state, again.prune) == (State.UNCHANGED, None)


def test_a_jump_is_said_by_the_backup_and_stays_said(backup: Any, shelf_of: Any, source: Path, target: Path) -> None:
    ids = shelf_of(-30, 5)  # one from the future
    (target / name.lock_name("nightly")).unlink()  # and no stamp of a run that could be trusted
    report = backup(keep=Keep(last=1, min=1), skip_unchanged=False)
    assert (report.state, report.exit_code) == (State.VERIFIED, Exit.REFUSED)
    assert "clock" in report.message
    assert set(ids) < set(_ids(target))
    assert backup().state is State.UNCHANGED
    assert backup(sources=(str(source), "/nonexistent")).state is State.PARTIAL
    assert backup(keep=Keep(last=1, min=1), skip_unchanged=False).exit_code is Exit.REFUSED
    assert backup(keep=Keep(last=1, min=1), skip_unchanged=False, accept_clock=True).exit_code is Exit.OK
    last = backup(keep=Keep(last=1, min=1), skip_unchanged=False)
    assert last.exit_code is Exit.OK, "accepted once is accepted"
    assert ids[-1] in _ids(target), "what is dated in the future stays"


def test_a_corrupt_one_does_not_count(shelf_of: Any, run: Any, target: Path) -> None:
    ids = shelf_of(60, 50, 40, 3)
    (target / f"{ids[3]}.tar.zst").write_bytes(b"")
    report = run(Keep.days(1))
    assert report.removed == ()
    assert set(_ids(target)) == set(ids)


policies = st.builds(
    Keep,
    last=st.integers(0, 3),
    daily=st.integers(0, 3),
    yearly=st.integers(0, 2),
    within_s=st.integers(0, 90 * 86400),
    min=st.integers(0, 3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies, st.integers(0, 3000))
def test_what_is_not_ours_survives_any_policy(shelf_of: Any, run: Any, target: Path, keep: Keep, days: int) -> None:
    if not target.exists():
        shelf_of(*range(0, 200, 20))
    ours = f"nightly_{NOW:%Y%m%dT%H%M%SZ}"
    theirs = [
        "thesis.tar.gz",
        "models_backup_notes.tar.gz",
        "models_backup_20240101.tar.gz",
        f"{ours}_000001.tar.zst.txt",
    ]
    theirs += ["weekly_20200101T000000Z_000001.tar.zst", "weekly_20200101T000000Z_000001.sha256"]
    for each in theirs:
        (target / each).write_text(each)
    link = target / "nightly_20200101T000000Z_000003.tar.zst"
    if not link.is_symlink():
        link.symlink_to(target / "thesis.tar.gz")
    run(keep, NOW + timedelta(days=days), accept_clock=True, trash_s=0)
    assert all((target / each).read_text() == each for each in theirs)
    assert link.is_symlink()
    with Target(str(target)) as folder:
        good = [each for each in shelf.archives(folder, "nightly") if each.state is State.VERIFIED]
    assert good
    assert good[-1].created == NOW, "the newest is there"


def test_a_trash_that_is_a_link_is_not_followed(shelf_of: Any, run: Any, target: Path, tmp_path: Path) -> None:
    ids = shelf_of(50, 3, 2, 1)
    (tmp_path / "elsewhere").mkdir()
    (target / ".trash").symlink_to(tmp_path / "elsewhere")
    assert run(Keep.days(30)).exit_code is Exit.FAILED
    assert _ids(target) == ids
    assert os.listdir(tmp_path / "elsewhere") == []


def test_short_of_space_the_trash_stays_where_it_would_not_help(
    shelf_of: Any, run: Any, backup: Any, target: Path
) -> None:
    ids = shelf_of(50, 3, 2, 1)
    run(Keep.days(30))
    assert backup(reserve_bytes=1 << 60, skip_unchanged=False).exit_code is Exit.NO_SPACE
    with Target(str(target)) as folder:
        assert [each for each, _ in trash(folder, "nightly")] == [ids[0]]
        size = sum(each.stat().st_size for each in (target / ".trash").rglob("*") if each.is_file())
        assert purge(folder, "nightly", clock().wall + timedelta(days=1))[1] == size
        assert trash(folder, "nightly") == []
