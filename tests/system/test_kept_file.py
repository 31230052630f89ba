"""A file that one run leaves for the next."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mltop.system.kept_file import BusyError, KeptFile

NAME = "state.json"


def kept(folder: Path, **more: bool) -> KeptFile:
    return KeptFile(str(folder), NAME, 1000, **more)


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def store(folder: Path, data: bytes) -> None:
    file = kept(folder)
    file.open()
    file.read()
    file.replace(data)
    file.close()


def load(folder: Path) -> bytes | None:
    file = kept(folder)
    file.open()
    try:
        return file.read()
    finally:
        file.close()


def test_what_is_stored_is_read_and_only_the_file_and_its_folders_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert load(folder) is None
    assert names(tmp_path) == []  # looking creates nothing
    before = os.umask(0)
    try:
        store(folder, b"one")
    finally:
        os.umask(before)
    store(folder, b"two")
    assert load(folder) == b"two"
    assert names(folder) == [NAME]
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}


def test_one_run_at_a_time_has_it_and_the_other_may_read(tmp_path: Path) -> None:
    store(tmp_path, b"old")
    first, second = kept(tmp_path), kept(tmp_path)
    first.open()
    with pytest.raises(BusyError):
        second.open()
    assert second.read() == b"old"
    first.replace(b"new")
    first.close()
    assert load(tmp_path) == b"new"


def test_of_two_first_runs_the_faster_one_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first, second = kept(folder), kept(folder)
    for one in (first, second):
        one.open()
        assert one.read() is None
    third = kept(folder)
    third.open()
    first.replace(b"first")
    with pytest.raises(BusyError):
        second.replace(b"second")
    first.close()
    with pytest.raises(BusyError):
        third.replace(b"third")  # the first has ended, and what it left was not known
    third.close()
    assert load(folder) == b"first"


def test_what_cannot_be_such_a_file_is_said_and_set_aside(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"x" * 1001)
    file = kept(tmp_path)
    file.open()
    with pytest.raises(ValueError, match="more than 1000"):
        file.read()
    file.set_aside()
    file.replace(b"new")
    file.close()
    assert load(tmp_path) == b"new"
    assert names(tmp_path) == [NAME, f"{NAME}.bad"]
    (tmp_path / NAME).unlink()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(ValueError, match="no plain file"):
        load(tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        load(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="Not a directory"):
        kept(tmp_path / "file" / "x").open()
    for path in ("/proc/mltop", "/sys/mltop/x"):  # nobody makes folders there, not even root
        with pytest.raises(OSError, match=r"denied|Read-only|not permitted|No such file"):
            store(Path(path), b"x")


def test_a_private_folder_is_ours_alone_and_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(0o755)
    with pytest.raises(PermissionError):
        kept(folder, is_private=True).open()
    folder.chmod(0o700)
    kept(folder, is_private=True).open()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match=r".*"):
        kept(tmp_path / "link", is_private=True).open()
    with pytest.raises(FileNotFoundError):
        kept(tmp_path / "none" / "mltop", is_private=True).open()
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        with pytest.raises(PermissionError):
            kept(folder, is_private=True).open()


WRITER = """
import os, signal, sys
sys.path[:0] = sys.argv[3].split(os.pathsep)
from mltop.system.kept_file import KeptFile
point, count = int(sys.argv[2]), 0
def trace(name):
    real = getattr(os, name)
    def call(*words, **more):
        global count
        if name == "write" and len(words[1]) > 3:
            words = words[0], words[1][:3]  # many short writes
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **more)
    return call
for name in ("open", "write", "fsync", "rename", "unlink", "close", "fchmod", "fstat", "stat", "mkdir"):
    setattr(os, name, trace(name))
file = KeptFile(sys.argv[1], "state.json", 1000)
file.open()
file.read()
file.replace(b"new-" * 40)
file.close()
"""


def test_killed_at_any_call_it_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    new, point, seen = b"new-" * 40, 0, set()
    while True:
        point += 7  # a call in seven, over all of them
        store(tmp_path, b"old")
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-c", WRITER, str(tmp_path), str(point), os.pathsep.join(sys.path)],
            check=False, timeout=20, capture_output=True,
        )  # fmt: skip
        found = load(tmp_path)
        assert found in (b"old", new), (point, found)
        seen.add(found)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert seen == {b"old", new}
    store(tmp_path, b"after")
    assert names(tmp_path) == [NAME]
