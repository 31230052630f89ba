# ruff: noqa: PTH109

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltop.tasks.archive.backup import create
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.cleanup.clean import CleanupReport, _Removal, clean
from mltop.tasks.cleanup.guard import allowed_root
from mltop.tasks.cleanup.look import Look
from mltop.tasks.cleanup.plan import CleanupJob, RootPlan, plan
from mltop.tasks.inuse import Held, InUse, in_use
from mltop.tasks.outcome import Control, Exit, RefusedError

DAY_S = 86400.0
NOW = time.time() + 8 * DAY_S
"""The tests look from the next week: access and change times cannot be set back."""


NOTHING_HELD = InUse(frozenset(), frozenset(), frozenset(), 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "old").write_bytes(b"x" * 10_000)
    (folder / "a" / "old2").write_bytes(b"x" * 5000)
    (folder / "c").mkdir()
    (folder / "c" / "old3").write_bytes(b"x")
    (folder / "link").symlink_to("/etc/passwd")
    return folder


def _young(path: Path) -> None:
    path.write_bytes(b"young")
    os.utime(path, (NOW - DAY_S, NOW - DAY_S))


@pytest.fixture
def run(root: Path) -> Callable[..., CleanupReport]:
    def go(dry_run: bool = False, **more: object) -> CleanupReport:
        job = CleanupJob(**{"paths": (str(root),), "older_than_s": 7 * DAY_S, **more})  # type: ignore[arg-type]
        return clean(job, dry_run, now=NOW)

    return go


def test_old_files_and_the_folders_they_leave_empty_go(root: Path, run: Callable[..., CleanupReport]) -> None:
    _young(root / "c" / "young")
    planned = run(dry_run=True)
    assert (root / "a" / "b" / "old").exists()
    done = run()
    assert done.exit_code is Exit.OK
    assert [each.path for each in planned.paths[0].removed] == [each.path for each in done.paths[0].removed]
    assert (planned.bytes_removed, planned.files_removed) == (done.bytes_removed, done.files_removed)
    assert sorted(str(each.relative_to(root)) for each in root.rglob("*")) == ["c", "c/young"]
    first = done.paths[0]
    assert (first.files_before, first.files_removed, first.folders_removed, first.kept) == (5, 4, 2, {"young": 1})
    assert first.bytes_before - first.bytes_removed == first.bytes_after > 0
    assert sum(each.bytes for each in first.removed) == first.bytes_removed


def test_the_named_folder_itself_stays(root: Path, run: Callable[..., CleanupReport]) -> None:
    run()
    assert list(root.iterdir()) == []


def test_young_by_any_of_its_times_stays(root: Path, run: Callable[..., CleanupReport]) -> None:
    old = root / "a" / "old2"
    os.utime(old, (NOW - DAY_S, 0))  # written in 1970, read yesterday
    assert run(older_than_s=9 * DAY_S).files_removed == 0, "made a week ago, whatever it says it was written"
    run()
    assert old.exists()


def test_what_is_held_stays(root: Path, run: Callable[..., CleanupReport]) -> None:
    for each in ("open", "mapped", "locked"):
        (root / each).write_bytes(b"x" * 4096)
    (root / "dir").mkdir()
    (root / "dir" / "old").write_bytes(b"x")
    (root / "cwd").mkdir()
    opened = (root / "open").open("rb")
    with (root / "mapped").open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 4096)
    locked = os.open(root / "locked", os.O_RDONLY)
    fcntl.flock(locked, fcntl.LOCK_EX)
    folder = os.open(root / "dir", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)
    sleeper = subprocess.Popen(["sleep", "60"], cwd=root / "cwd")
    try:
        report = run()
    finally:
        sleeper.kill()
        sleeper.wait()
        opened.close()
        mapped.close()
        os.close(locked)
        os.close(folder)
    left = sorted(str(each.relative_to(root)) for each in root.rglob("*"))
    assert left == ["cwd", "dir", "dir/old", "locked", "mapped", "open"]
    assert report.paths[0].kept == {"open": 2, "locked": 2}
    run()
    assert list(root.iterdir()) == []


def test_a_top_folder_goes_as_a_whole_or_not(root: Path, run: Callable[..., CleanupReport]) -> None:
    _young(root / "c" / "young")
    run(unit="top")
    assert sorted(str(each.relative_to(root)) for each in root.rglob("*")) == ["c", "c/old3", "c/young"]


def test_other_names_free_nothing(root: Path, run: Callable[..., CleanupReport], tmp_path: Path) -> None:
    os.link(root / "a" / "old2", tmp_path / "elsewhere")
    report = run()
    assert {each.path: each.bytes for each in report.paths[0].removed}[str(root / "a" / "old2")] == 0


def test_what_changed_since_the_plan_stays(root: Path) -> None:
    class Meddler(Control):
        def begin(self, phase: str, files_total: int | None = None, bytes_total: int | None = None) -> None:
            super().begin(phase)

        def file(self, path: str) -> None:
            if path.endswith("/old"):  # the first to go: now the others change
                (root / "a" / "old2").write_bytes(b"new")
                (root / "c" / "old3").unlink()
                (root / "c" / "old3").write_bytes(b"other")
                shutil.rmtree(root / "c")

    report = clean(CleanupJob(paths=(str(root),), older_than_s=7 * DAY_S), control=Meddler(), now=NOW)
    assert (root / "a" / "old2").read_bytes() == b"new"
    assert report.paths[0].kept.get("changed", 0) >= 1


def test_what_is_read_or_opened_since_the_plan_stays(root: Path) -> None:
    job = CleanupJob(paths=(str(root),), older_than_s=7 * DAY_S)
    planned = plan(str(root), job, NOTHING_HELD, frozenset(), NOW, Control())
    os.utime(root / "a" / "old2", (time.time() + 5, (root / "a" / "old2").stat().st_mtime))
    with (root / "a" / "b" / "old").open("rb"):
        removal = _Removal(planned, Control())
        removal.run(dry_run=False)
    assert (root / "a" / "old2").exists()
    assert (root / "a" / "b" / "old").exists()
    assert not (root / "c").exists()
    kept = removal.report().kept
    assert (kept["changed"], kept["open"], kept["not empty"]) == (1, 1, 2)


def test_what_is_held_is_asked_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "file"
    path.touch()
    inode = path.stat().st_ino
    held = Held()
    assert not held.holds(inode, str(path))
    with path.open():
        now[0] += 0.5
        assert not held.holds(inode, str(path))
        now[0] += 0.6
        assert held.holds(inode, str(path))
    now[0] += 1.1
    assert not held.holds(inode, str(path))


@pytest.mark.parametrize("unit", ["file", "top"])
def test_archives_of_backups_stay(root: Path, run: Callable[..., CleanupReport], tmp_path: Path, unit: str) -> None:
    target = root / "a" / "backups"
    made = create(BackupJob(job="m", sources=(str(root / "c"),), target=str(target), settle_s=0, reserve_bytes=0))
    (target / "old").mkdir()
    (target / "old" / "copy.tar.zst").touch()
    (root / "c" / "RESTORE.txt").write_text("of somebody else")
    before = sorted(target.rglob("*"))
    report = run(unit=unit)
    assert made.exit_code is Exit.OK
    assert sorted(target.rglob("*")) == before
    assert report.paths[0].kept["archives"] == 1
    assert not (root / "c").exists()


def test_a_folder_swapped_for_a_link_is_not_entered(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for each in ("old", "old2", "old3"):
        (victim / each).write_text("precious")
    for round_ in range(100):
        job = CleanupJob(paths=(str(root),), older_than_s=7 * DAY_S)
        planned: RootPlan = plan(str(root), job, NOTHING_HELD, frozenset(), NOW, Control())
        spare = tmp_path / f"spare{round_ % 2}"
        (root / "a").rename(spare)
        (root / "a").symlink_to(victim)
        removal = _Removal(planned, Control())
        if round_ < 99:
            planned.looks[()] = Look(below=[each for each in planned.looks[()].below if each[0] == "a"])
        removal.run(dry_run=False)
        (root / "a").unlink(missing_ok=True)
        spare.rename(root / "a")
    assert sorted(each.read_text() for each in victim.iterdir()) == ["precious"] * 3
    assert (root / "a" / "old2").exists()


def test_a_tree_deeper_than_the_stack(root: Path, run: Callable[..., CleanupReport]) -> None:
    deep = root.joinpath(*["d"] * 900)
    deep.mkdir(parents=True)
    report = run()
    assert report.exit_code is Exit.OK
    assert report.paths[0].kept == {"too deep": 1}


@pytest.mark.parametrize(
    "path",
    ["/", "", ".", "relative/x", "/tmp", "/home", "/root", "~", "$UNSET/cache", "/tmp/../etc", "/usr/lib", "/etc/mltop",
     "/var", "/proc/self", "/run/lock", "/dev/shm", "//", "/tmp//"],
)  # fmt: skip
def test_what_is_refused(path: str) -> None:
    report = clean(CleanupJob(paths=(path,), older_than_s=0), dry_run=True)
    assert report.exit_code is Exit.REFUSED, report
    assert report.paths[0].refused


def test_homes_links_and_mounts_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(RefusedError, match="link"):
        allowed_root(str(tmp_path / "link"), [])
    with pytest.raises(RefusedError, match="link"):
        allowed_root(str(tmp_path / "link") + "/", [])
    with pytest.raises(RefusedError, match="mount point"):
        allowed_root(str(root), [str(root)])
    with pytest.raises(RefusedError, match="home"):
        allowed_root(str(root), [], home=str(root / "me"))
    with pytest.raises(RefusedError, match="not a folder"):
        allowed_root(str(root / "a" / "old2"), [])
    assert allowed_root(str(tmp_path / "link" / "a"), []) == str(root / "a")
    assert allowed_root(str(tmp_path / "gone"), []) is None


def test_a_missing_folder_is_fine_and_a_refused_one_stops_no_other(root: Path) -> None:
    report = clean(CleanupJob(paths=("/", str(root / "gone"), str(root)), older_than_s=7 * DAY_S), now=NOW)
    assert report.exit_code is Exit.REFUSED
    assert [bool(each.refused) for each in report.paths] == [True, False, False]
    assert report.paths[1].is_missing
    assert report.files_removed == 4


def test_what_is_held_is_read_from_proc(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file:
        held = in_use()
        assert held.holds(os.fstat(file.fileno()).st_ino, "")
        assert held.holds(0, str(tmp_path / "x"))
    assert held.holds(0, os.getcwd())


@pytest.fixture
def mounted(root: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    for each in ("bind", "tmpfs"):
        (root / each).mkdir()
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "precious").write_text("x")
    if subprocess.run(["mount", "--bind", root.parent / "outside", root / "bind"], capture_output=True).returncode:
        pytest.skip("may not mount")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root / "tmpfs"], check=True)
    (root / "tmpfs" / "precious").write_text("x")
    yield root
    subprocess.run(["umount", "-l", root / "bind", root / "tmpfs"], check=True)


@pytest.mark.integration
def test_other_file_systems_and_bind_mounts_stay(mounted: Path, run: Callable[..., CleanupReport]) -> None:
    report = run()
    assert (mounted / "bind" / "precious").exists()
    assert (mounted / "tmpfs" / "precious").exists()
    assert report.paths[0].kept["mount"] == 2
    assert sorted(each.name for each in mounted.iterdir()) == ["bind", "tmpfs"]


def test_a_folder_that_may_not_be_removed_is_said_to_be_so(
    root: Path, run: Callable[..., CleanupReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: str, *, dir_fd: int | None = None) -> None:
        fault = errno.EPERM if path == "b" else errno.ENOTEMPTY
        raise OSError(fault, os.strerror(fault), path)

    monkeypatch.setattr(os, "rmdir", forbidden)
    report = run()
    (cleaned,) = report.paths
    assert report.exit_code is Exit.FAILED
    assert [each.path for each in cleaned.problems] == [str(root / "a" / "b")]
    assert cleaned.kept == {"not empty": 2}
