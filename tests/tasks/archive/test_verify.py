from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mltop.tasks.archive import shelf
from mltop.tasks.archive.record import State, VerifyReport
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import restate, verify
from mltop.tasks.outcome import Control, Exit


@pytest.fixture
def check(target: Path) -> Callable[..., VerifyReport]:
    def run(archive_id: str, level: int = 2) -> VerifyReport:
        with Target(str(target)) as folder:
            return verify(folder, archive_id, Control(), level)

    return run


def _states(target: Path) -> list[State]:
    with Target(str(target)) as folder:
        return [each.state for each in shelf.archives(folder, "nightly")]


def test_a_good_one(backup: Any, check: Any, target: Path) -> None:
    made = backup()
    for level in (0, 1, 2):
        report = check(made.id, level)
        assert (report.state, report.exit_code, report.problems) == (State.VERIFIED, Exit.OK, ())
    assert _states(target) == [State.VERIFIED]


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_one_bit_anywhere_is_seen(backup: Any, check: Any, target: Path, source: Path, compression: str) -> None:
    (source / "llama" / "weights.bin").write_bytes(os.urandom(20_000))
    made = backup(compression=compression)
    stem = str(target / made.id)
    generator = random.Random(3)
    files = [made.path, stem + ".manifest.jsonl", stem + ".sha256"]
    keep = {each: Path(each).read_bytes() for each in files}
    for each in files:
        data = keep[each]
        for position in [0, len(data) - 1, *(generator.randrange(len(data)) for _ in range(12))]:
            changed = bytearray(data)
            changed[position] ^= 1 << generator.randrange(8)
            for level in (1, 2):
                Path(each).write_bytes(changed)
                report = check(made.id, level)
                where = f"{each} byte {position} level {level}"
                assert report.exit_code is Exit.VERIFY_FAILED, where
                assert report.state is State.CORRUPT, where
                assert report.message or report.problems
                assert _states(target) == [State.CORRUPT], where
                for name, content in keep.items():
                    Path(name).write_bytes(content)
    assert check(made.id).exit_code is Exit.OK


def test_shorter_longer_gone(backup: Any, check: Any, target: Path) -> None:
    made = backup()
    whole = Path(made.path).read_bytes()
    for content in (whole[:-1], whole + b"x", b""):
        Path(made.path).write_bytes(content)
        for level in (0, 1, 2):
            assert check(made.id, level).exit_code is Exit.VERIFY_FAILED
        assert _states(target) == [State.CORRUPT]
    Path(made.path).unlink()
    assert (check(made.id).state, _states(target)) == (State.MISSING, [State.MISSING])
    Path(made.path).symlink_to("/etc/passwd")
    assert check(made.id).state is State.MISSING


def test_corrupt_stays_until_it_is_read_whole(backup: Any, check: Any, target: Path) -> None:
    made = backup()
    whole = Path(made.path).read_bytes()
    Path(made.path).write_bytes(whole[:-5] + bytes(5))
    assert check(made.id).state is State.CORRUPT
    Path(made.path).write_bytes(whole)
    check(made.id, 1)
    assert _states(target) == [State.CORRUPT]
    check(made.id, 2)
    assert _states(target) == [State.VERIFIED]


def test_no_manifest_no_backup(backup: Any, check: Any, target: Path) -> None:
    made = backup()
    (target / f"{made.id}.manifest.jsonl").unlink()
    assert _states(target) == [State.UNSEALED]
    assert check(made.id).exit_code is Exit.VERIFY_FAILED
    again = backup()
    assert again.state is State.VERIFIED
    assert again.id.endswith("000002")
    assert Path(made.path).exists()


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_job_that_is_called_as_the_archives_of_before_were(
    backup: Any, check: Any, target: Path, tmp_path: Path, compression: str
) -> None:
    made = backup(job="models_backup", compression=compression)
    with Target(str(target)) as folder:
        assert [(each.id, each.state) for each in shelf.archives(folder)] == [(made.id, State.VERIFIED)]
        assert restore(folder, RestoreJob(archive_id=made.id, to=str(tmp_path / "out"))).counts["restored"] > 10
    assert (check(made.id).state, check(made.id).level) == (State.VERIFIED, 2)


def test_a_list_of_foreign_and_strange_things(backup: Any, target: Path) -> None:
    made = backup()
    (target / "models_backup_20250101.tar.gz").write_bytes(b"x")
    (target / "models_backup_\udcff.tar.gz").write_bytes(b"x")
    (target / "models_backup_\x1b[31m\n.tar.gz").write_bytes(b"x")
    (target / "models_backup_folder.tar.gz").mkdir()
    (target / "models_backup_link.tar.gz").symlink_to("/etc/passwd")
    (target / "thesis.tar.gz").write_bytes(b"x")
    (target / "other_20260101T000000Z_000001.tar.zst").write_bytes(b"x")
    (target / "nightly_20260101T000000Z_000009.manifest.jsonl").symlink_to("/etc/passwd")
    with Target(str(target)) as folder:
        found = {each.id: each.state for each in shelf.archives(folder)}
        mine = [each.id for each in shelf.archives(folder, "nightly")]
    assert found == {
        made.id: State.VERIFIED,
        "models_backup_20250101": State.FOREIGN,
        "other_20260101T000000Z_000001": State.UNSEALED,
        "nightly_20260101T000000Z_000009": State.CORRUPT,
    }
    assert made.id in mine


def test_two_at_once_leave_a_whole_manifest_with_what_both_found(backup: Any, target: Path) -> None:
    made = backup()
    restored_at = datetime(2026, 1, 2, tzinfo=UTC)

    class Slow(Control):
        """A reader at its end, when a drill and another one note what they found."""

        def begin(self, *values: Any, **more: Any) -> None:
            with Target(str(target)) as folder:
                assert restate(folder, made.id, restored_at=restored_at)
                assert verify(folder, made.id, Control()).exit_code is Exit.OK
            super().begin(*values, **more)

    with Target(str(target)) as folder:
        assert verify(folder, made.id, Slow()).exit_code is Exit.OK
        (found,) = shelf.archives(folder)
        assert (found.state, found.restored_at) == (State.VERIFIED, restored_at)
        folder.manifest(made.id)


def test_a_manifest_is_replaced_whole_while_another_replaces_it(backup: Any, target: Path) -> None:
    made = backup()
    with Target(str(target)) as folder:
        whole = folder.read(made.id + ".manifest.jsonl")

        def slowly() -> Iterator[bytes]:
            yield whole[:100]
            assert restate(folder, made.id, restored_at=datetime.now(UTC))
            folder.manifest(made.id)
            yield whole[100:]

        folder.replace(made.id + ".manifest.jsonl", slowly())
        assert folder.read(made.id + ".manifest.jsonl") == whole
        assert [each for each in folder.names() if each.endswith(".partial")] == []


def test_what_was_killed_while_it_noted_is_swept(backup: Any, target: Path) -> None:
    made = backup()
    left = target / f".{made.id}.manifest.jsonl.0123456789abcdef.partial"
    left.write_bytes(b"half")
    assert backup().state is State.UNCHANGED
    assert not left.exists()
