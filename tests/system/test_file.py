from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from full_disk import short_of_room

from mltop.system.file import append_line, try_lock, write_atomic, write_named


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"one")
    write_atomic(path, b"two", 0o644)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names(tmp_path) == ["state"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert target.read_bytes() == b"precious"
    (tmp_path / "other").symlink_to(target)
    with pytest.raises(OSError, match=r".*"):
        append_line(tmp_path / "other", b"x")


def test_what_an_earlier_process_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".state.{os.getpid()}.new").write_bytes(b"torn")
    write_atomic(tmp_path / "state", b"whole")
    assert names(tmp_path) == ["state"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"old")
    with short_of_room(10):
        with pytest.raises(OSError, match="large"):
            write_atomic(path, b"x" * 100)
        append_line(tmp_path / "log", b"12345")
        with pytest.raises(OSError, match=r".*"):
            append_line(tmp_path / "log", b"6789012345")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["log", "state"]
    assert (tmp_path / "log").read_bytes() == b"12345\n"


def test_lines_are_appended(tmp_path: Path) -> None:
    append_line(tmp_path / "log", b"a")
    append_line(tmp_path / "log", b"b")
    assert (tmp_path / "log").read_bytes() == b"a\nb\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_lock_is_held_by_one_and_is_free_when_its_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = "import sys; from pathlib import Path; from mltop.system.file import try_lock; "
    code += "print(try_lock(Path(sys.argv[1])), flush=True)"
    held = subprocess.Popen(
        [sys.executable, "-c", code + "; sys.stdin.read()", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert held.stdout is not None
    assert held.stdout.readline().strip() != b"None"
    assert try_lock(path) is None
    held.kill()
    held.communicate()
    descriptor = try_lock(path)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert path.exists()


def test_what_is_no_file_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):  # nobody reads: no wait
        write_named(pipe, b"one", 0o644)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_named(pipe, b"one", 0o644)
        assert os.read(reader, 10) == b"one"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    link = tmp_path / "null"  # a link, so that a fault of the code costs this box nothing
    link.symlink_to(os.devnull)
    write_named(link, b"gone", 0o644)
    assert link.is_symlink()
    assert stat.S_ISCHR(link.stat().st_mode)
    with pytest.raises(IsADirectoryError):
        write_named(tmp_path, b"x", 0o644)
    write_named(tmp_path / "file", b"x", 0o644)
    assert (tmp_path / "file").read_bytes() == b"x"
