from __future__ import annotations

import errno
import gzip
import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.tasks.archive import content
from mltop.tasks.archive.record import RestoreReport, State
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import CancelledError, Control, Exit, Progress

Facts = Callable[[Path], dict[str, Any]]
Restore = Callable[..., RestoreReport]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def bring_back(target: Path, out: Path) -> Restore:
    def run(archive_id: str, control: Control | None = None, **options: Any) -> RestoreReport:
        with Target(str(target)) as folder:
            return restore(folder, RestoreJob(**{"archive_id": archive_id, "to": str(out), **options}), control)

    return run


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_everything_comes_back_as_it_was(
    backup: Any, bring_back: Restore, source: Path, out: Path, facts: Facts, compression: str
) -> None:
    report = bring_back(backup(compression=compression).id)
    assert (report.exit_code, report.entries, report.message) == (Exit.OK, (), None)
    assert facts(out / "models") == facts(source)
    inodes = {(out / "models" / each).stat().st_ino for each in ("second name.json", "llama/config.json")}
    assert len(inodes) == 1
    assert subprocess.run(["diff", "-r", "--no-dereference", source, out / "models"], capture_output=True).stdout == b""


def test_again_leaves_all_alone(backup: Any, bring_back: Restore, out: Path, facts: Facts) -> None:
    made = backup()
    bring_back(made.id)
    before = facts(out)
    report = bring_back(made.id)
    assert (report.exit_code, set(report.counts), report.restored_bytes) == (Exit.OK, {"same"}, 0)
    assert facts(out) == before


def test_what_is_there_is_not_overwritten(backup: Any, bring_back: Restore, source: Path, out: Path) -> None:
    made = backup()
    theirs = out / "models" / "llama"
    theirs.mkdir(parents=True)
    (theirs / "config.json").write_text("mine")
    (theirs / "weights.bin").mkdir()
    (out / "models" / "latest").write_text("a file where a link would be")
    report = bring_back(made.id)
    assert report.exit_code is Exit.PARTIAL
    assert {each.path: each.result for each in report.entries} == {
        "models/llama/config.json": "exists",
        "models/llama/weights.bin": "exists",
        "models/second name.json": "failed",
        "models/latest": "exists",
    }
    assert (theirs / "config.json").read_text() == "mine"
    assert (out / "models" / "llama" / "run.sh").exists()

    report = bring_back(made.id, overwrite="if-different")
    assert (theirs / "config.json").read_text() == '{"a": 1}'
    assert (out / "models" / "latest").is_symlink()
    assert {each.path: each.result for each in report.entries} == {"models/llama/weights.bin": "exists"}


def test_a_dry_run_tells_the_same_and_writes_nothing(backup: Any, bring_back: Restore, out: Path) -> None:
    made = backup()
    planned = bring_back(made.id, dry_run=True)
    assert not out.exists()
    real = bring_back(made.id)
    assert (planned.counts, planned.entries, planned.exit_code) == (real.counts, real.entries, real.exit_code)
    assert planned.restored_bytes == real.restored_bytes


def test_part_of_it(backup: Any, bring_back: Restore, source: Path, out: Path, facts: Facts) -> None:
    made = backup()
    report = bring_back(made.id, select=("models/llama",))
    assert report.exit_code is Exit.OK
    assert facts(out / "models" / "llama") == facts(source / "llama")
    assert sorted(each.name for each in (out / "models").iterdir()) == ["llama"]
    assert bring_back(made.id, select=("nothing/like/this",)).exit_code is Exit.USAGE


def test_patterns_and_a_hard_link_without_its_first_name(backup: Any, bring_back: Restore, out: Path) -> None:
    made = backup()
    report = bring_back(made.id, select=("second*", "*.sh"))
    assert (report.exit_code, report.entries) == (Exit.OK, ())
    assert (out / "models" / "second name.json").read_text() == '{"a": 1}'
    found = {str(each.relative_to(out)) for each in out.rglob("*") if each.is_file()}
    assert found == {"models/second name.json", "models/llama/run.sh"}


def test_an_interrupted_restore_goes_on(
    backup: Any, bring_back: Restore, source: Path, out: Path, facts: Facts
) -> None:
    made = backup()

    class Eager(Control):
        INTERVAL_S = 0.0

    def stop(told: Progress) -> None:
        if told.bytes > 1 << 20:
            raise CancelledError("stop")

    report = bring_back(made.id, control=Eager(stop))
    assert report.exit_code is Exit.TERMINATED
    assert not [each for each in out.rglob("*") if each.name.startswith(".mltop")]
    assert bring_back(made.id).exit_code is Exit.OK
    assert facts(out / "models") == facts(source)


def test_a_damaged_archive_gives_what_is_good_in_it(backup: Any, bring_back: Restore, out: Path) -> None:
    made = backup(compression="none")
    with Path(made.path).open("r+b") as file:
        position = file.read().index(b'{"a": 1}')
        file.seek(position)
        file.write(b"X")
    report = bring_back(made.id)
    assert report.exit_code is Exit.VERIFY_FAILED
    assert {each.path: each.result for each in report.entries} == {
        "models/llama/config.json": "failed",
        "models/second name.json": "failed",
    }
    assert not (out / "models" / "llama" / "config.json").exists()
    os.truncate(made.path, position)
    report = bring_back(made.id)
    assert report.exit_code is Exit.VERIFY_FAILED
    assert report.message


def test_links_that_lead_out(backup: Any, bring_back: Restore, source: Path, out: Path, tmp_path: Path) -> None:
    (source / "absolute").symlink_to(source / "llama")
    (source / "outside").symlink_to(tmp_path)
    made = backup(external="keep")
    report = bring_back(made.id)
    assert report.exit_code is Exit.OK
    assert {each.path for each in report.entries} == {"models/absolute", "models/outside"}
    assert (out / "models" / "absolute").readlink() == source / "llama"
    out.rename(tmp_path / "kept")
    report = bring_back(made.id, links="rebase")
    assert {each.path: each.result for each in report.entries} == {"models/outside": "skipped"}
    assert str((out / "models" / "absolute").readlink()) == "llama"
    out.rename(tmp_path / "rebased")
    bring_back(made.id, links="skip")
    assert not (out / "models" / "absolute").is_symlink()
    assert (out / "models" / "latest").is_symlink()


def test_a_changed_copy_is_said(backup: Any, bring_back: Restore, source: Path) -> None:
    def rewrite(told: Progress) -> None:
        if told.phase == "write" and told.current.endswith("weights.bin"):
            with (source / "llama" / "weights.bin").open("r+b") as file:
                file.write(os.urandom(64))

    class Eager(Control):
        INTERVAL_S = 0.0

    made = backup(control=Eager(rewrite))
    assert made.exit_code is Exit.PARTIAL
    report = bring_back(made.id)
    assert [(each.path, each.result) for each in report.entries] == [("models/llama/weights.bin", "restored")]


def test_too_much_is_refused_at_once(backup: Any, bring_back: Restore, out: Path) -> None:
    report = bring_back(backup().id, max_bytes=1000)
    assert report.exit_code is Exit.NO_SPACE
    assert not list(out.iterdir())


def test_an_archive_that_is_not_there(bring_back: Restore, target: Path) -> None:
    target.mkdir()
    assert bring_back("nightly_20260101T000000Z_000001").exit_code is Exit.USAGE
    assert bring_back("../../etc/passwd").exit_code is Exit.USAGE
    assert bring_back("models_backup_1").exit_code is Exit.FAILED


def test_what_a_killed_restore_left_in_the_source_is_no_part_of_it(
    backup: Any, bring_back: Restore, source: Path, out: Path
) -> None:
    (source / "llama" / ".mltop-restore-0123456789abcdef").write_text("half of a file")
    (source / ".mltop-restore-notes.txt").write_text("mine")
    made = backup()
    assert made.state is State.VERIFIED
    assert [each.kind for each in made.notes if each.path.endswith("abcdef")] == ["left"]
    report = bring_back(made.id)
    assert (report.exit_code, report.counts.keys()) == (Exit.OK, {"restored"})
    assert (out / "models" / ".mltop-restore-notes.txt").read_text() == "mine"
    assert not (out / "models" / "llama" / ".mltop-restore-0123456789abcdef").exists()


def test_of_too_many_holes_the_small_ones_are_stored(
    backup: Any, bring_back: Restore, source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "EXTENTS_MAX", 40)
    pages = range(0, 100 * 16, 16)
    with (source / "torn").open("wb") as file:
        for page in pages:
            os.pwrite(file.fileno(), b"x", page * 4096 + page % 7 * 4096)
        os.pwrite(file.fileno(), b"end", 1 << 28)
    made = backup()
    assert made.state is State.VERIFIED
    assert bring_back(made.id).exit_code is Exit.OK
    assert subprocess.run(["cmp", source / "torn", out / "models" / "torn"], check=False).returncode == 0
    assert (out / "models" / "torn").stat().st_blocks * 512 < 100 << 20, "the large hole still is one"
    with Target(made.path.rpartition("/")[0]) as folder:
        (entry,) = (each for each in folder.entries(made.id) if each.path == "models/torn")
    assert 100 * 4096 < (entry.stored_bytes or 0) < 100 << 20


def test_any_words_and_folders_make_a_report(backup: Any, bring_back: Restore, out: Path) -> None:
    made = backup()
    report = bring_back(made.id, to=str(out / "odd\udcff"))
    assert report.exit_code is Exit.OK
    assert (out / "odd\udcff" / "models").is_dir()
    assert msgspec.json.encode(report)
    report = bring_back(made.id, select=("no\udcff\n",))
    assert (report.exit_code, "\n" in (report.message or "")) == (Exit.USAGE, False)
    assert msgspec.json.encode(report)


def test_where_owners_and_modes_cannot_be_given_the_content_comes(
    backup: Any, bring_back: Restore, source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk without owners, on a server that trusts no root, in a container whose root may not change them."""
    if os.geteuid() != 0:
        pytest.skip("only root gives owners")
    os.chown(source / "llama", 1234, 1234)
    os.chown(source / "llama" / "config.json", 1234, 1234)
    made = backup()

    def fchown(_: int, user: int, group: int) -> None:
        if user:
            raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", fchown)
    report = bring_back(made.id)
    lacks = "its owner could not be given back: operation not permitted (EPERM)"
    assert sorted((each.path, each.result, each.reason) for each in report.entries) == [
        ("models/llama", "restored", lacks),
        ("models/llama/config.json", "restored", lacks),
    ]
    made_of = made.statistics
    assert report.exit_code is Exit.OK
    assert report.counts == {"restored": made_of.files + made_of.directories + made_of.links}
    assert (out / "models" / "llama" / "config.json").read_bytes() == (source / "llama" / "config.json").read_bytes()
    assert subprocess.run(["diff", "-r", "--no-dereference", source, out / "models"], check=False).returncode == 0


def test_one_bit_anywhere_in_an_archive_without_compression_is_said(
    backup: Any, bring_back: Restore, tmp_path: Path, facts: Facts
) -> None:
    source = tmp_path / "few"
    source.mkdir()
    (source / "a").write_text("a")
    (source / "link").symlink_to("a" * 120)  # what a PAX record says has no checksum in a tar
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))
    made = backup(sources=(str(source),), compression="none")
    whole = Path(made.path).read_bytes()
    expected = {f"few/{name}".removesuffix("/."): fact for name, fact in facts(source).items()}
    restored = 0
    generator = random.Random(5)
    for position in [each for each, byte in enumerate(whole) if byte or each % 100 == 0]:
        changed = bytearray(whole)
        changed[position] ^= 1 << generator.randrange(8)
        Path(made.path).write_bytes(changed)
        report = bring_back(made.id, to=str(tmp_path / f"out{position}"))
        assert report.exit_code is Exit.VERIFY_FAILED, position
        there = facts(tmp_path / f"out{position}")
        for name in ("few", "few/a", "few/link"):  # with the time and the target that the manifest has
            assert there.get(name, expected[name]) == expected[name], (position, name)
        restored += len(there) == 4
    assert restored > 50, "where a name or a size is not what is damaged, all of it comes"
    Path(made.path).write_bytes(whole)
    assert bring_back(made.id).exit_code is Exit.OK
    assert facts(tmp_path / "out" / "few") == facts(source)


def test_the_checksum_behind_the_last_block_is_looked_at(bring_back: Restore, target: Path) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo("weights")
        info.size = content.BLOCK - 2048  # with its header and the end mark just one block of the reader
        file.addfile(info, io.BytesIO(os.urandom(info.size)))
    packed = bytearray(gzip.compress(tar.getvalue()[: content.BLOCK], 1))
    packed[-8] ^= 1  # its CRC
    target.mkdir()
    (target / "models_backup_1.tar.gz").write_bytes(packed)
    report = bring_back("models_backup_1")
    assert report.exit_code is Exit.VERIFY_FAILED
    assert report.message


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_what_is_before_the_damage_of_a_small_archive_comes(
    backup: Any, bring_back: Restore, tmp_path: Path, facts: Facts, compression: str, damage: str
) -> None:
    source = tmp_path / "few"
    source.mkdir()
    for number in range(40):
        (source / f"{number:02d}").write_bytes(os.urandom(10_000))
    made = backup(sources=(str(source),), compression=compression)
    data = bytearray(Path(made.path).read_bytes())
    if damage == "cut":
        del data[len(data) * 3 // 4 :]
    elif compression == "gzip":
        data[-8] ^= 1  # its CRC
    else:  # noise is stored as it is
        data[data.index((source / "30").read_bytes()[5000:5100])] ^= 1
    Path(made.path).write_bytes(data)
    report = bring_back(made.id)
    assert report.exit_code is Exit.VERIFY_FAILED
    expected = facts(source)
    there = facts(tmp_path / "out" / "few")
    assert len(there) >= (20 if damage == "cut" else 38)
    assert all(expected[name] == fact for name, fact in there.items() if name != ".")
