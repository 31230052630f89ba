"""Archives made to get out of the folder they are restored to. None is ours, so none has a manifest to help."""

# ruff: noqa: PTH118, PTH208

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mltop.tasks.archive.record import RestoreReport
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import verify
from mltop.tasks.outcome import Control, Exit

ID = "models_backup_20250101_020000"


def _file(name: str, content: bytes = b"evil", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def _special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = kind, 1, 3
    return info, b""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    yield folder
    assert [each.name for each in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_text() == "secret"
    assert (folder / "secret").stat().st_nlink == 1


@pytest.fixture
def attack(tmp_path: Path) -> Callable[..., RestoreReport]:
    def run(*members: tuple[tarfile.TarInfo, bytes], **options: Any) -> RestoreReport:
        backups = tmp_path / "backups"
        backups.mkdir(exist_ok=True)
        with tarfile.open(backups / f"{ID}.tar.gz", "w:gz", compresslevel=1) as tar:
            for info, content in members:
                tar.addfile(info, io.BytesIO(content))
        with Target(str(backups)) as target:
            return restore(target, RestoreJob(archive_id=ID, to=str(tmp_path / "out"), **options))

    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _results(report: RestoreReport) -> dict[str, str]:
    return {each.path: each.result for each in report.entries}


@pytest.mark.parametrize(
    "name", ["../outside/evil", "/tmp/mltop-evil", "a/../../outside/evil", "..", "a/..", "//etc/evil", "./../outside/x"]
)
def test_names_that_lead_out(attack: Any, outside: Path, out: Path, name: str) -> None:
    report = attack(_file(name), _file("good", b"good"))
    assert report.exit_code is Exit.PARTIAL
    assert _results(report) == {name: "refused"}
    assert [each.name for each in out.iterdir()] == ["good"]
    assert not Path("/tmp/mltop-evil").exists()


@pytest.mark.parametrize("links", ["auto", "keep", "skip"])
@pytest.mark.parametrize("target", ["{outside}", "../outside"])
def test_a_link_and_then_a_file_through_it(attack: Any, outside: Path, out: Path, target: str, links: str) -> None:
    link = target.format(outside=outside)
    report = attack(_link("way", link), _file("way/evil"), _file("way/secret"), links=links)
    assert (out / "way" / "evil").read_bytes() == b"evil"
    assert not (out / "way").is_symlink(), "links come last, so the files made a folder"
    assert report.exit_code is Exit.PARTIAL


def test_links_that_are_there_already_are_not_followed(attack: Any, outside: Path, out: Path) -> None:
    out.mkdir()
    (out / "way").symlink_to(outside)
    (out / "secret").symlink_to(outside / "secret")
    for overwrite in ("never", "if-different", "always"):
        report = attack(_file("way/evil"), _file("way/secret"), _file("secret"), overwrite=overwrite)
        assert _results(report) == {"way/evil": "refused", "way/secret": "refused", "secret": "exists"}
    assert (out / "secret").is_symlink()


def test_hard_links_out_and_to_links(attack: Any, outside: Path, out: Path) -> None:
    out.mkdir()
    (out / "inner").symlink_to(outside / "secret")
    report = attack(
        _link("a", str(outside / "secret"), tarfile.LNKTYPE),
        _link("b", "../outside/secret", tarfile.LNKTYPE),
        _link("c", "inner", tarfile.LNKTYPE),
        _link("d", "nowhere", tarfile.LNKTYPE),
        _file("b"),
        overwrite="always",
    )
    assert _results(report) == {"a": "refused", "b": "refused", "c": "failed", "d": "failed"}


def test_a_chain_of_links_longer_than_a_path(attack: Any, outside: Path, out: Path) -> None:
    long = "d" * 247
    steps = "abcdefghijklmnop"
    members = []
    path = ""
    for step in steps:
        folder = tarfile.TarInfo(os.path.join(path, long))
        folder.type = tarfile.DIRTYPE
        members += [(folder, b""), _link(os.path.join(path, step), long)]
        path = os.path.join(path, long)
    chain = "/".join(steps) + "/" + "l" * 254
    members += [_link(chain, "../" * len(steps)), _link("escape", chain + "/../../outside"), _file("escape/evil")]
    report = attack(*members, links="keep")
    assert report.exit_code is Exit.PARTIAL
    assert (out / "escape" / "evil").read_bytes() == b"evil"


def test_devices_fifos_and_bits(attack: Any, out: Path) -> None:
    report = attack(
        _special("null", tarfile.CHRTYPE),
        _special("disk", tarfile.BLKTYPE),
        _special("pipe", tarfile.FIFOTYPE),
        _file("root", mode=0o6755),
        _special("strange", b"Z"),
    )
    assert _results(report) == {
        "null": "refused",
        "disk": "refused",
        "pipe": "refused",
        "root": "restored",
        "strange": "refused",
    }
    assert (out / "root").stat().st_mode & 0o7777 == 0o755
    assert [each.name for each in out.iterdir()] == ["root"]


def test_the_last_of_two_with_one_name_wins_and_touches_only_its_own(attack: Any, out: Path) -> None:
    attack(_file("a", b"first"), _link("b", "a", tarfile.LNKTYPE), _file("a", b"second"))
    assert ((out / "a").read_bytes(), (out / "b").read_bytes()) == (b"second", b"first")
    (out / "a").write_bytes(b"mine")
    attack(_file("a", b"first"), _file("a", b"second"))
    assert (out / "a").read_bytes() == b"mine"


def test_a_bomb_stops_at_its_limit(attack: Any, out: Path) -> None:
    report = attack(_file("zeros", bytes(50 << 20)), _file("more", bytes(50 << 20)), max_bytes=60 << 20)
    assert report.exit_code is Exit.NO_SPACE
    assert sum(each.stat().st_size for each in out.iterdir()) <= 60 << 20


def test_a_sparse_file_that_claims_exabytes(attack: Any, out: Path) -> None:
    claims = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "huge",
        "GNU.sparse.realsize": str(1 << 61),
    }
    content = b"1\n0\n4\n".ljust(512, b"\0") + b"data"
    report = attack(_file("x", content, pax_headers=claims), _file("good"))
    assert report.counts["restored"] >= 1
    assert (out / "good").read_bytes() == b"evil"
    for bad in (b"9999999999\n", b"1\n-5\n4\n", b"2\n4\n4\n0\n4\n", b"1\n0\n99999999\n", b"x" * 600):
        claims["GNU.sparse.realsize"] = "4"
        report = attack(_file("x", bad.ljust(1024, b"\0"), pax_headers=dict(claims)), overwrite="always")
        assert report.exit_code is Exit.VERIFY_FAILED, bad


def test_names_that_are_no_text(attack: Any, out: Path) -> None:
    report = attack(_file("bad\udcff\udc80"), _file("esc\x1b[31m"), _file("n" * 300), _file("ok"))
    assert _results(report) == {"n" * 300: "failed"}
    assert os.listdir(os.fsencode(out)).count(b"bad\xff\x80") == 1


def test_gnu_archives_with_long_names_are_read(tmp_path: Path, out: Path) -> None:
    tree = tmp_path / "models" / ("x" * 90) / ("y" * 90)
    tree.mkdir(parents=True)
    (tree / "größe").write_bytes(b"data")
    (tree / "link").symlink_to("z" * 150)
    (tmp_path / "backups").mkdir()
    archive = tmp_path / "backups" / f"{ID}.tar.gz"
    subprocess.run(["tar", "--format=gnu", "-czf", archive, "-C", tmp_path, "models"], check=True)
    with Target(str(tmp_path / "backups")) as target:
        assert verify(target, ID, Control()).exit_code is Exit.OK
        report = restore(target, RestoreJob(archive_id=ID, to=str(out)))
        assert report.exit_code is Exit.OK
        assert subprocess.run(["diff", "-r", "--no-dereference", tmp_path / "models", out / "models"]).returncode == 0
        os.truncate(archive, archive.stat().st_size - 30)
        assert verify(target, ID, Control()).exit_code is Exit.VERIFY_FAILED


@pytest.mark.parametrize(
    "form", ["--format=gnu", "--format=pax --sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]
)
def test_sparse_files_of_all_formats_are_read(tmp_path: Path, out: Path, form: str) -> None:
    tree = tmp_path / "models"
    tree.mkdir()
    for name, pieces in (("none", 0), ("few", 3), ("many", 60)):  # a header has 4 of them, a further block 21
        with (tree / name).open("wb") as file:
            for index in range(pieces):
                file.seek(index * 65536 + 8192)
                file.write(os.urandom(4096))
            file.truncate(5 << 20)
    (tree / "whole").write_bytes(b"after them")
    (tmp_path / "backups").mkdir()
    archive = tmp_path / "backups" / f"{ID}.tar.gz"
    options = form if "format" in form else f"--format=pax {form}"
    subprocess.run(["tar", *options.split(), "-czSf", archive, "-C", tmp_path, "models"], check=True)
    with Target(str(tmp_path / "backups")) as target:
        assert verify(target, ID, Control()).exit_code is Exit.OK
        report = restore(target, RestoreJob(archive_id=ID, to=str(out)))
    assert (report.exit_code, report.entries) == (Exit.OK, ())
    assert subprocess.run(["diff", "-r", tree, out / "models"]).returncode == 0
    assert all((out / "models" / name).stat().st_blocks < 4096 for name in ("none", "few", "many"))


def test_noise_is_never_more_than_a_report(tmp_path: Path, out: Path) -> None:
    (tmp_path / "backups").mkdir()
    archive = tmp_path / "backups" / f"{ID}.tar"
    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in (_file("a" * 120), _file("b", b"x" * 2000, pax_headers={"mtime": "1.5"}), _link("l", "b")):
            tar.addfile(info, io.BytesIO(content))
    generator = random.Random(7)
    packed = tmp_path / "backups" / f"{ID}.tar.gz"
    for _ in range(150):
        data = bytearray(good.getvalue())
        for _ in range(generator.randint(1, 20)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        archive.write_bytes(data)
        packed.write_bytes(subprocess.run(["gzip", "-1c", archive], capture_output=True, check=True).stdout)
        with Target(str(tmp_path / "backups")) as target:
            report = restore(target, RestoreJob(archive_id=ID, to=str(out), max_bytes=1 << 20))
            assert isinstance(report.exit_code, Exit)
    assert all(each.resolve().is_relative_to(out) for each in out.rglob("*") if not each.is_symlink())
