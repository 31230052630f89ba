# ruff: noqa: PTH208

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from full_disk import short_of_room

from mltop.tasks.outcome import Exit
from mltop.tasks.rotate import system
from mltop.tasks.rotate.rotate import rotate
from mltop.tasks.rotate.rule import RotateReport, RotateRule, parse_rotated, rotated_name

START = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "train.log"
    path.parent.mkdir()
    path.write_text("line\n" * 1000)
    path.chmod(0o640)
    return path


def _rule(log: Path, **more: object) -> RotateRule:
    return RotateRule(**{"paths": (str(log.parent / "*.log"),), "size_bytes": 1000, **more})  # type: ignore[arg-type]


def _names(log: Path) -> list[str]:
    return sorted(os.listdir(log.parent))


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data).read()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _turn(log: Path, day: int, content: bytes | None = None, **more: object) -> RotateReport:
    if content is not None:
        log.write_bytes(content)
    return rotate([_rule(log, **more)], now=START + timedelta(days=day))


def test_a_large_log_is_renamed_and_made_anew(log: Path) -> None:
    was = log.stat()
    report = _turn(log, 0)
    assert (report.exit_code, report.rotated) == (Exit.OK, 1)
    assert _names(log) == ["train.log", "train.log-20260101T030000Z"]
    assert (log.parent / "train.log-20260101T030000Z").stat().st_ino == was.st_ino
    new = log.stat()
    assert (new.st_size, new.st_mode, new.st_uid, new.st_gid) == (0, was.st_mode, was.st_uid, was.st_gid)
    again = _turn(log, 1)
    assert [each.action for each in again.logs] == ["left"], "empty is left"


@pytest.mark.parametrize(("compression", "ending"), [("zstd", ".zst"), ("gzip", ".gz"), ("none", "")])
def test_it_is_compressed_a_turn_later(log: Path, compression: str, ending: str) -> None:
    was = log.stat()
    _turn(log, 0, compression=compression)
    report = _turn(log, 1, b"small", compression=compression)
    old = log.parent / ("train.log-20260101T030000Z" + ending)
    assert _names(log) == sorted(["train.log", old.name])
    assert _content(old) == b"line\n" * 1000
    assert old.stat().st_mode == was.st_mode
    assert old.stat().st_mtime_ns == was.st_mtime_ns
    assert (report.freed_bytes > 0) == bool(ending)


def test_as_many_are_kept_as_the_rule_says(log: Path) -> None:
    for day in range(6):
        _turn(log, day, bytes([65 + day]) * 2000, keep=3)
    kept = [each for each in _names(log) if parse_rotated(each)]
    assert [_content(log.parent / each)[:1] for each in kept] == [b"D", b"E", b"F"]
    _turn(log, 7, os.urandom(3000), keep=9, max_bytes=3500, compression="none")
    assert len([each for each in _names(log) if parse_rotated(each)]) < 4


def test_by_age(log: Path) -> None:
    rule = {"size_bytes": None, "age_s": 86400.0}
    assert _turn(log, 0, b"a", **rule).rotated == 1
    log.write_bytes(b"b")
    hourly = rotate([_rule(log, **rule)], now=START + timedelta(hours=5))
    assert hourly.rotated == 0
    assert _turn(log, 1, b"b", **rule).rotated == 1


def test_twice_in_a_second(log: Path) -> None:
    for content in (b"a" * 2000, b"b" * 2000, b"c" * 2000):
        _turn(log, 0, content)
    rotated = sorted((old for each in _names(log) if (old := parse_rotated(each))), key=lambda old: old.number)
    assert [_content(log.parent / each.name)[:1] for each in rotated] == [b"a", b"b", b"c"]


def test_a_dry_run_tells_and_does_nothing(log: Path) -> None:
    _turn(log, 0)
    log.write_bytes(b"x" * 5000)
    before = _names(log)
    planned = rotate([_rule(log, keep=1)], dry_run=True, now=START + timedelta(days=1))
    assert _names(log) == before
    real = rotate([_rule(log, keep=1)], now=START + timedelta(days=1))
    assert [(each.action, each.to, each.removed) for each in planned.logs] == [
        (each.action, each.to, each.removed) for each in real.logs
    ]


def test_forced_missing_and_no_match(log: Path) -> None:
    log.write_bytes(b"tiny")
    assert rotate([_rule(log)]).rotated == 0
    assert rotate([_rule(log)], force=True).rotated == 1
    nothing = rotate([RotateRule(paths=(str(log.parent / "gone.log"), "/nonexistent/*.log"), size_bytes=1)])
    assert (nothing.exit_code, nothing.logs) == (Exit.OK, ())


def test_what_a_writer_still_holds_is_compressed_later(log: Path) -> None:
    with log.open("ab") as writer:
        _turn(log, 0)
        writer.write(b"a last line\n")
        writer.flush()
        _turn(log, 1, b"small")
        assert _names(log) == ["train.log", "train.log-20260101T030000Z"]
    _turn(log, 2, b"small")
    assert _names(log) == ["train.log", "train.log-20260101T030000Z.zst"]
    assert _content(log.parent / "train.log-20260101T030000Z.zst").endswith(b"a last line\n")


def test_links_and_second_names_are_not_touched(log: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 5000)
    (log.parent / "link.log").symlink_to(precious)
    os.link(precious, log.parent / "second.log")
    (log.parent / "folder.log").mkdir()
    report = rotate([_rule(log)], now=START)
    assert {each.path.rpartition("/")[2]: each.action for each in report.logs} == {
        "folder.log": "failed",
        "link.log": "failed",
        "second.log": "failed",
        "train.log": "rotated",
    }
    assert report.exit_code is Exit.FAILED
    assert precious.read_bytes() == b"x" * 5000


def test_a_rotated_name_that_is_a_link_is_not_followed(log: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 5000)
    (log.parent / rotated_name("train.log", START - timedelta(days=1))).symlink_to(precious)
    report = _turn(log, 0)
    assert [each.action for each in report.logs] == ["failed"]
    assert precious.read_bytes() == b"x" * 5000


def test_copytruncate_keeps_the_file_and_says_what_it_may_lose(log: Path) -> None:
    inode = log.stat().st_ino
    with log.open("ab") as writer:
        report = _turn(log, 0, mode="copytruncate")
        assert log.stat().st_ino == inode
        assert "may be lost" in (report.logs[0].reason or "")
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert _content(log.parent / "train.log-20260101T030000Z") == b"line\n" * 1000


def test_copytruncate_leaves_the_log_where_what_came_last_finds_no_room(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the copy goes to the disk the log grows, and the disk is full after a part of that."""
    sync = os.fsync
    with short_of_room() as limit:

        def fsync(descriptor: int) -> None:
            sync(descriptor)
            with log.open("ab") as writer:
                writer.write(b"more\n" * 1000)
            limit(7000)  # of the 5,000 bytes more, 2,000 are taken

        monkeypatch.setattr(os, "fsync", fsync)
        report = _turn(log, 0, mode="copytruncate")
    assert [each.action for each in report.logs] == ["failed"]
    assert log.read_bytes() == b"line\n" * 1000 + b"more\n" * 1000
    assert _names(log) == ["train.log"]


def test_the_command_after_runs_once_and_its_failure_is_said(log: Path, tmp_path: Path) -> None:
    (log.parent / "b.log").write_bytes(b"x" * 2000)
    told = tmp_path / "told"
    script = (sys.executable, "-c", f"open({str(told)!r}, 'a').write('x')")
    assert rotate([_rule(log, after=script)]).rotated == 2
    assert told.read_text() == "x"
    assert rotate([_rule(log, after=script)]).rotated == 0
    assert told.read_text() == "x"
    for bad in (("/bin/false",), ("/nonexistent",)):
        log.write_bytes(b"x" * 2000)
        report = rotate([_rule(log, after=bad)])
        assert (report.exit_code, report.rotated) == (Exit.FAILED, 1)
        assert report.message


def test_the_command_after_runs_where_only_the_compression_failed(log: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = (sys.executable, "-c", f"open({str(told)!r}, 'a').write('x')")
    (log.parent / rotated_name("train.log", START - timedelta(days=1))).mkdir()
    report = _turn(log, 0, after=script)
    assert [each.action for each in report.logs] == ["failed"]
    assert _names(log) == ["train.log", "train.log-20251231T030000Z", "train.log-20260101T030000Z"]
    assert told.read_text() == "x", "the writer still has the old file"


def test_what_is_too_much_goes_where_nothing_can_be_compressed(log: Path) -> None:
    (log.parent / rotated_name("train.log", START)).mkdir()
    for day in (3, 2, 1):
        (log.parent / rotated_name("train.log", START - timedelta(days=day))).write_bytes(b"x" * 5000)
    report = _turn(log, 1, max_bytes=15_000)
    assert [each.action for each in report.logs] == ["failed"]
    assert [each for each in _names(log) if "-2025" in each] == ["train.log-20251231T030000Z"]


def test_what_a_killed_rotation_left_is_removed(log: Path) -> None:
    left = [".train.log-20250101T000000Z.partial", ".train.log-20250102T000000Z.1.zst.partial"]
    others = [".other.log-20250101T000000Z.partial", ".train.log.partial", "train.log-20250101T000000Z.partial"]
    for each in left + others:
        (log.parent / each).write_bytes(b"x")
    rotate([_rule(log)], dry_run=True, now=START)
    assert set(left) < set(_names(log))
    _turn(log, 0)
    assert set(_names(log)) == {"train.log", "train.log-20260101T030000Z", *others}


def test_a_clock_that_was_ahead_costs_no_log_from_now_on(log: Path) -> None:
    ahead = [rotated_name("train.log", START + timedelta(days=400 + day)) for day in range(3)]
    for each in ahead:
        (log.parent / each).write_bytes(b"old")
    for day in range(4):
        log.write_bytes(b"day %d" % day)
        assert rotate([_rule(log, size_bytes=None, age_s=86400, keep=3)], now=START + timedelta(days=day)).rotated == 1
    assert [_content(log.parent / each) for each in _names(log)[1:]] == [b"day 1", b"day 2", b"day 3"]


def test_a_name_with_brackets_is_a_name(log: Path) -> None:
    odd = log.parent / "run[1].log"
    log.rename(odd)
    report = rotate([RotateRule(paths=(str(odd),), size_bytes=1000)], now=START)
    assert [(each.action, each.path) for each in report.logs] == [("rotated", str(odd))]


def test_copytruncate_leaves_no_copy_of_a_log_that_may_only_be_added_to(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ftruncate(descriptor: int, size: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as for one with the attribute `a`

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    report = _turn(log, 0, mode="copytruncate")
    assert [(each.action, each.reason) for each in report.logs] == [("failed", "operation not permitted (EPERM)")]
    assert _names(log) == ["train.log"]


def test_what_is_written_while_its_folder_goes_to_the_disk_stays(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _turn(log, 0)
    old = log.parent / "train.log-20260101T030000Z"
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        if (log.parent / f"{old.name}.zst").exists():
            with old.open("ab") as writer:
                writer.write(b"late\n")

    monkeypatch.setattr(os, "fsync", fsync)
    _turn(log, 1, b"")
    assert old.read_bytes().endswith(b"late\n")
    monkeypatch.setattr(os, "fsync", sync)
    _turn(log, 2, b"")
    assert _content(log.parent / f"{old.name}.zst").endswith(b"late\n")
    assert not old.exists()


WRITER = """
import os, sys
path, count = sys.argv[1], int(sys.argv[2])
file, inode = open(path, "a"), os.stat(path).st_ino
for number in range(count):
    try:
        if os.stat(path).st_ino != inode:
            file.close()
            file, inode = open(path, "a"), os.stat(path).st_ino
    except FileNotFoundError:
        pass
    file.write(f"{number}\\n")
    file.flush()
"""


def test_no_line_is_lost_under_a_writer_that_reopens(log: Path) -> None:
    log.write_bytes(b"")
    count = 60_000
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(count)]) as writer:
        done = threading.Event()
        turns = 0
        while writer.poll() is None:
            turns += rotate([_rule(log, keep=10_000)], now=START + timedelta(seconds=turns)).rotated
            done.wait(0.01)
    assert turns > 3
    lines: list[int] = []
    for each in _names(log):
        lines += [int(line) for line in _content(log.parent / each).split()]
    assert sorted(lines) == list(range(count))


def test_names() -> None:
    name = rotated_name("a.log", START, 3)
    old = parse_rotated(name + ".zst")
    assert old is not None
    assert (old.log, old.at, old.number, old.is_packed) == ("a.log", START, 3, True)
    for other in ("a.log", "a.log.1", "a.log-2026", "a.log-99999999T999999Z", "-20260101T030000Z"):
        assert parse_rotated(other) is None


def test_one_log_one_who_rotates_it(log: Path, tmp_path: Path) -> None:
    config = tmp_path / "logrotate.d"
    config.mkdir()
    (config / "app").write_text(
        f'# comment {{\n/var/log/x.log "/var/log/with space/*.log" {log.parent}/*.log {{\n  daily\n  postrotate\n'
        "    /usr/bin/true\n  endscript\n}\nweekly\ninclude /etc/else\n"
    )
    known = system.patterns((tmp_path / "none.conf", config))
    assert [pattern for pattern, _ in known] == ["/var/log/x.log", "/var/log/with space/*.log", f"{log.parent}/*.log"]
    assert system.owner(str(log), known) == str(config / "app")
    assert system.owner(str(log.parent / "x.txt"), known) is None


def test_a_star_of_logrotate_stays_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("/var/log/*.log /srv/*/app.log {\n}\n")
    known = system.patterns((tmp_path,))
    assert system.owner("/var/log/x.log", known)
    assert system.owner("/srv/a/app.log", known)
    assert system.owner("/var/log/training/x.log", known) is None
    assert system.owner("/srv/a/b/app.log", known) is None


def test_a_config_of_logrotate_that_may_not_be_listed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.listdir

    def forbidden(path: str | Path = ".") -> list[str]:
        if os.fspath(path) == str(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", forbidden)
    assert system.patterns((tmp_path, tmp_path / "none")) == []
