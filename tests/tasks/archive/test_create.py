# ruff: noqa: PTH103, PTH116, PTH208

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.tasks.archive import shelf
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import State
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Control, Exit, Progress

TAR = shutil.which("tar")


def _unpack(archive: Path, into: Path) -> None:
    into.mkdir()
    if archive.suffix == ".zst":
        plain = subprocess.run(["zstd", "-dc", archive], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-xp", "-C", into], input=plain, check=True, capture_output=True)
    else:
        subprocess.run(["tar", "-xpf", archive, "-C", into], check=True, capture_output=True)


@pytest.mark.skipif(not TAR or not shutil.which("zstd"), reason="needs GNU tar and zstd")
@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_an_archive_is_restored_by_plain_tar(
    backup: Any, source: Path, tmp_path: Path, compression: str, facts: Callable[[Path], Any]
) -> None:
    report = backup(compression=compression)
    assert (report.state, report.exit_code, report.problems) == (State.VERIFIED, Exit.OK, ())
    restored = tmp_path / "restored"
    _unpack(Path(report.path), restored)
    assert facts(restored / "models") == facts(source)
    assert os.stat(restored / "models/second name.json").st_ino == os.stat(restored / "models/llama/config.json").st_ino
    sums = subprocess.run(
        ["sha256sum", "-c", "--quiet", report.path.partition(".tar")[0] + ".sha256"], cwd=restored, capture_output=True
    )
    assert (sums.returncode, sums.stdout, sums.stderr) == (0, b"", b"")
    lines = Path(report.path.partition(".tar")[0] + ".sha256").read_bytes().splitlines()
    assert len(lines) == sum(1 for path in source.rglob("*") if path.is_file() and not path.is_symlink())


def test_without_the_faster_libraries(
    backup: Any, source: Path, tmp_path: Path, facts: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    report = backup(compression="gzip")
    assert report.state is State.VERIFIED
    _unpack(Path(report.path), tmp_path / "restored")
    assert facts(tmp_path / "restored" / "models") == facts(source)
    report = backup()
    assert report.exit_code is Exit.ENGINE
    assert "zstandard" in report.message


def test_what_lies_in_the_target(backup: Any, target: Path) -> None:
    report = backup()
    stem = report.id
    assert sorted(os.listdir(target)) == [
        ".mltop-nightly.lock",
        "RESTORE.txt",
        f"{stem}.manifest.jsonl",
        f"{stem}.sha256",
        f"{stem}.tar.zst",
    ]
    assert target.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in target.iterdir()} == {0o600}
    head = json.loads((target / f"{stem}.manifest.jsonl").read_bytes().splitlines()[0])["head"]
    assert head["state"] == "verified"
    assert report.remaining == 1
    assert report.target_bytes == sum(each.stat().st_size for each in target.glob(f"{stem}*"))


def test_unchanged_is_skipped_and_a_change_is_not(backup: Any, source: Path, target: Path) -> None:
    first = backup()
    before = sorted(os.listdir(target))
    again = backup()
    assert (again.state, again.exit_code, again.id) == (State.UNCHANGED, Exit.OK, first.id)
    assert sorted(os.listdir(target)) == before
    weights = source / "llama" / "weights.bin"
    status = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"another byte")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and mtime as before: ctime tells
    assert backup().state is State.VERIFIED
    assert backup(exclude=("*.json",)).state is State.VERIFIED
    assert backup(exclude=("*.json",)).state is State.UNCHANGED
    Path(first.path).unlink()
    for path in target.glob("*.tar.zst"):
        path.write_bytes(b"")
    assert backup(exclude=("*.json",)).state is State.VERIFIED, "no whole archive: not skipped"


def test_the_target_in_the_source_is_left_out(backup: Any, source: Path) -> None:
    sizes = set()
    for index in range(4):
        (source / "llama" / "nothing").write_text(str(index))
        report = backup(target=str(source / "backups"))
        assert report.state is State.VERIFIED
        assert [note.kind for note in report.notes if note.kind == "target"] == ["target"]
        sizes.add(report.statistics.source_bytes)
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sources": ()}, Exit.USAGE),
        ({"job": "../x"}, Exit.USAGE),
        ({"sources": ("/nonexistent/models",)}, Exit.FAILED),
    ],
)
def test_what_cannot_work_makes_nothing(backup: Any, target: Path, changes: dict[str, Any], code: Exit) -> None:
    report = backup(**changes)
    assert (report.state, report.exit_code) == (State.FAILED, code)
    assert report.message
    assert not target.exists()


def test_paths_that_no_report_can_name(backup: Any, tmp_path: Path, target: Path) -> None:
    odd = tmp_path / "odd\udcff"
    odd.mkdir()
    for changes in ({"sources": (str(odd),)}, {"target": str(odd / "t")}):
        report = backup(**changes)
        assert (report.exit_code, report.hint) == (Exit.USAGE, "name the folder that it is in")
        assert json.loads(msgspec.json.encode(report))["message"].startswith("a path that is not UTF-8: /")
    assert not target.exists()
    assert not list(odd.iterdir())
    (odd / "file").touch()
    assert backup(sources=(str(tmp_path),)).state is State.VERIFIED


def test_a_source_in_the_target_is_refused(backup: Any, source: Path) -> None:
    assert backup(target=str(source)).exit_code == Exit.REFUSED
    assert backup(target=str(source.parent)).exit_code == Exit.REFUSED


def test_one_missing_source_makes_it_partial(backup: Any, source: Path, job: BackupJob) -> None:
    report = backup(sources=(str(source), "/nonexistent/models"))
    assert (report.state, report.exit_code) == (State.PARTIAL, Exit.PARTIAL)
    assert [(each.kind, each.path) for each in report.problems] == [("missing", "/nonexistent/models")]
    with Target(job.target) as folder:
        assert [each.state for each in shelf.archives(folder)] == [State.PARTIAL]


def test_an_unreadable_file_makes_it_partial(backup: Any, source: Path, target: Path) -> None:
    secret = source / "llama" / "weights.bin"
    secret.chmod(0)
    closed = source / "closed"
    closed.mkdir(0o000)
    was = os.geteuid()
    for path in (source / "llama", source, *source.parents):
        if path.stat().st_uid == was and Path(tempfile.gettempdir()) in path.parents:
            path.chmod(0o755)
    target.mkdir()
    os.chown(target, 65534 if was == 0 else was, -1)
    try:
        if was == 0:
            os.seteuid(65534)
        report = backup()
    finally:
        os.seteuid(was)
    assert (report.state, report.exit_code) == (State.PARTIAL, Exit.PARTIAL)
    assert {(each.kind, each.path) for each in report.problems} == {
        ("unreadable", str(secret)),
        ("unreadable", str(closed)),
    }
    assert all("EACCES" in each.message and each.hint for each in report.problems)
    assert report.statistics.files > 5


def test_two_sources_of_one_name_keep_apart(backup: Any, source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "models"
    other.mkdir(parents=True)
    (other / "config.json").write_text("other")
    report = backup(sources=(str(source), str(other)))
    assert report.state is State.VERIFIED
    names = subprocess.run(["tar", "-tf", report.path], capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"{str(source).strip('/')}/llama/config.json" in names
    assert f"{str(other).strip('/')}/config.json" in names


def test_a_file_as_source(backup: Any, source: Path) -> None:
    report = backup(sources=(str(source / "llama" / "config.json"),))
    assert (report.state, report.statistics.files) == (State.VERIFIED, 1)


def test_special_files_are_noted(backup: Any, source: Path) -> None:
    os.mkfifo(source / "pipe")
    report = backup()
    assert report.state is State.VERIFIED
    assert [note.path for note in report.notes if note.kind == "special"] == [str(source / "pipe")]


def test_a_full_target_is_seen_before_a_byte_is_written(backup: Any, target: Path) -> None:
    report = backup(reserve_bytes=1 << 60)
    assert (report.state, report.exit_code) == (State.FAILED, Exit.NO_SPACE)
    assert sorted(os.listdir(target)) == [".mltop-nightly.lock"]


def test_progress_is_told_and_cancelling_leaves_nothing(backup: Any, target: Path) -> None:
    class Eager(Control):
        INTERVAL_S = 0.0

    told: list[Progress] = []
    report = backup(control=Eager(told.append))
    assert report.state is State.VERIFIED
    assert list(dict.fromkeys(each.phase for each in told)) == ["scan", "write", "flush", "verify"]
    last = [each for each in told if each.phase == "write"][-1]
    assert (last.files, last.bytes) == (last.files_total, last.bytes_total)

    for phase in ("scan", "write", "verify"):
        told.clear()
        stopping = Eager(told.append, lambda phase=phase: any(each.phase == phase for each in told))
        report = backup(control=stopping, skip_unchanged=False)
        assert (report.state, report.exit_code) == (State.FAILED, Exit.TERMINATED), phase
    assert len([each for each in os.listdir(target) if not each.startswith(".mltop")]) == 4


def test_young_files_are_read_last_and_waited_for(backup: Any, source: Path) -> None:
    (source / "llama" / "checkpoint").write_bytes(b"half")

    class Eager(Control):
        INTERVAL_S = 0.0

    seen: list[str] = []
    report = backup(control=Eager(lambda told: seen.append(told.current)), settle_s=0.4)
    assert report.write_s >= 0.2
    order = [each for each in dict.fromkeys(seen) if each]
    assert order.index("models/llama/weights.bin") < order.index("models/llama/checkpoint")


def test_seven_odd_levels_cost_no_recursion(backup: Any, source: Path) -> None:
    deep = source
    for _ in range(700):
        deep = deep / "d"
    os.makedirs(deep)
    report = backup()
    assert report.state is State.VERIFIED
    assert report.statistics.directories > 700
