from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.archive.mount import kernel_mounts, refuse_unmounted
from mltop.tasks.archive.record import State
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Exit, RefusedError

TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


@pytest.mark.parametrize(
    ("pattern", "matches", "spares"),
    [
        ("*.tmp", ["a.tmp", "x/y/b.tmp"], ["a.tmp.bin", "tmp"]),
        ("/*.log", ["a.log"], ["x/a.log"]),
        ("logs/", ["logs/", "a/logs/"], ["logs"]),
        ("x/*.bin", ["x/a.bin"], ["x/y/a.bin", "z/x/a.bin"]),
        ("x/**", ["x/a", "x/y/z"], ["x", "y"]),
        ("**/cache/", ["cache/", "a/b/cache/"], ["a/cache"]),
        ("[ab]?", ["a1", "b2"], ["c1", "a"]),
        ("[!ab]1", ["c1"], ["a1"]),
        ("a[b", ["a[b"], ["ab"]),
        ("[z-a]x", ["[z-a]x"], ["zx"]),
        ("a|b", ["a|b"], ["a", "b"]),
        ("x/*.b|n", ["x/y.b|n"], ["n", "x/y.b"]),
        ("*", ["caf\udce9\n"], []),
    ],
)
def test_patterns(pattern: str, matches: list[str], spares: list[str]) -> None:
    excludes = Excludes([pattern])
    assert all(excludes.match(each.rstrip("/"), each.endswith("/")) for each in matches)
    assert not any(excludes.match(each.rstrip("/"), each.endswith("/")) for each in spares)


def test_unfinished_files_stay_out_by_default(backup: Any, source: Path) -> None:
    (source / "llama" / "x.safetensors.incomplete").write_bytes(b"x" * 100)
    (source / "tmp-checkpoint-500").mkdir()
    (source / "tmp-checkpoint-500" / "a").write_bytes(b"x" * 50)
    report = backup()
    assert (report.statistics.excluded, report.statistics.excluded_bytes) == (2, 150)


def test_exclusions_that_drop_nearly_all_are_refused(backup: Any, source: Path) -> None:
    (source / "sparse").unlink()
    (source / "hole").unlink()
    report = backup(exclude=("*.bin",))
    assert report.exit_code is Exit.REFUSED
    assert backup(exclude=("*.bin",), allow_large_exclusions=True).state is State.VERIFIED


def test_cache_tags_count_below_the_source_only(backup: Any, source: Path) -> None:
    (source / "CACHEDIR.TAG").write_text(TAG)
    cache = source / "cache"
    cache.mkdir()
    (cache / "CACHEDIR.TAG").write_text(TAG)
    (cache / "x").write_bytes(b"x" * 10)
    whole = backup()
    less = backup(exclude_caches=True)
    assert (less.state, less.statistics.excluded) == (State.VERIFIED, 1)
    assert less.statistics.files == whole.statistics.files - 2


def _hub(root: Path) -> Path:
    """A hub with a blob store that repositories share, as newer ones have it; return one model of it."""
    store = root / "blobs" / "ab"
    store.mkdir(parents=True)
    (store / "xet1").write_bytes(b"weights" * 1000)
    model = root / "models--org--m"
    (model / "blobs").mkdir(parents=True)
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "blobs" / "etag1").symlink_to("../../blobs/ab/xet1")
    (model / "snapshots" / "abc" / "model.bin").symlink_to("../../blobs/etag1")
    return model


def test_a_model_of_a_shared_hub_has_its_weights(backup: Any, tmp_path: Path, target: Path) -> None:
    model = _hub(tmp_path / "hub")
    report = backup(sources=(str(model),))
    assert (report.state, report.problems) == (State.VERIFIED, ())
    with Target(str(target)) as folder:
        assert restore(folder, RestoreJob(archive_id=report.id, to=str(tmp_path / "out"))).exit_code is Exit.OK
    restored = tmp_path / "out" / "models--org--m" / "snapshots" / "abc" / "model.bin"
    (tmp_path / "hub").rename(tmp_path / "gone")
    assert restored.read_bytes() == b"weights" * 1000


def test_a_hub_without_its_blobs_is_never_verified(backup: Any, tmp_path: Path) -> None:
    model = _hub(tmp_path / "hub")
    (tmp_path / "hub" / "blobs" / "ab" / "xet1").unlink()
    report = backup(sources=(str(model),))
    assert report.state is State.PARTIAL
    assert {each.kind for each in report.problems} == {"dangling"}


def test_links_out_of_the_source(backup: Any, source: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "a").write_bytes(b"a")
    (other / "loop").symlink_to(source)
    (source / "out").symlink_to(other)
    report = backup()
    assert (report.state, [each.kind for each in report.problems]) == (State.PARTIAL, ["external"])
    assert backup(external="keep").state is State.VERIFIED
    followed = backup(external="follow")
    assert followed.state is State.VERIFIED
    assert backup(sources=(str(source), str(other))).state is State.VERIFIED, "into another source is not out"


def test_a_target_under_a_mount_that_is_missing(tmp_path: Path) -> None:
    fstab, mountinfo = tmp_path / "fstab", tmp_path / "mountinfo"
    disk = tmp_path / "big disk"
    disk.mkdir()
    escaped = str(disk).replace(" ", "\\040")
    fstab.write_text(
        f"# comment\n\nUUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\nUUID=3 {escaped} ext4 noauto 0 2\n"
    )
    mountinfo.write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    refuse_unmounted(str(tmp_path / "other"), fstab, mountinfo)
    for path in (disk, disk / "backups" / "new"):
        with pytest.raises(RefusedError, match="not mounted"):
            refuse_unmounted(str(path), fstab, mountinfo)
    mountinfo.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 8:2 / {escaped} rw - ext4 /dev/sdb1 rw\n")
    refuse_unmounted(str(disk / "backups"), fstab, mountinfo)
    refuse_unmounted(str(disk / "backups"), tmp_path / "no fstab", mountinfo)


def test_paths_longer_than_a_system_call_takes(backup: Any, source: Path, tmp_path: Path) -> None:
    fd = os.open(source, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("long-folder-" * 20, dir_fd=fd)
        below = os.open("long-folder-" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("leaf", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(file, b"far away")
    os.close(file)
    os.symlink("leaf", "link", dir_fd=fd)
    os.close(fd)
    made = backup()
    assert (made.state, made.problems) == (State.VERIFIED, ())
    with Target(made.path.rpartition("/")[0]) as target:
        report = restore(target, RestoreJob(archive_id=made.id, to=str(tmp_path / "out")))
    assert (report.exit_code, report.entries) == (Exit.OK, ())
    same = subprocess.run(["diff", "-r", "--no-dereference", source, tmp_path / "out" / "models"], capture_output=True)
    assert same.stdout == b""
    found = subprocess.run(["find", "out/models", "-name", "leaf"], cwd=tmp_path, capture_output=True, check=True)
    assert found.stdout.count(b"long-folder-") == 500


def test_which_file_systems_the_kernel_makes_up(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "23 22 0:21 / /proc rw shared:2 master:1 - proc proc rw\n"
        "24 22 0:22 / /a\\040-\\040b rw - sysfs sysfs rw\n"
        "25 22 0:23 / /tmp rw - tmpfs proc rw\n"
        "26 22 0:x / /odd rw - proc proc rw\n27 cut\n\n"
    )
    assert kernel_mounts(mountinfo) == {os.makedev(0, 21): "proc", os.makedev(0, 22): "sysfs"}


@pytest.mark.integration
def test_of_a_whole_root_what_the_kernel_makes_up_stays_out(backup: Any, source: Path, tmp_path: Path) -> None:
    disk = source / "disk"
    for folder in (source / "proc", source / "llama" / "sys", disk):
        folder.mkdir()
    with contextlib.ExitStack() as mounted:
        for kind, folder in (("proc", source / "proc"), ("sysfs", source / "llama" / "sys"), ("tmpfs", disk)):
            if subprocess.run(["mount", "-t", kind, kind, folder], capture_output=True).returncode:
                pytest.skip(f"no right to mount {kind}")
            mounted.callback(subprocess.run, ["umount", folder], check=True)
        (disk / "data").write_text("data")
        made = backup()
        assert made.state is State.VERIFIED
        left = [(each.path, each.message) for each in made.notes if each.kind == "mount"]
        assert left == [
            (str(source / "llama" / "sys"), "the kernel's own file system (sysfs): left out"),
            (str(source / "proc"), "the kernel's own file system (proc): left out"),
        ]
        with Target(made.path.rpartition("/")[0]) as target:
            names = {each.path for each in target.entries(made.id)}
        assert "models/disk/data" in names
        assert not any(each.startswith(("models/proc", "models/llama/sys")) for each in names)
