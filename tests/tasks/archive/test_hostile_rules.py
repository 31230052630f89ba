"""Hostile archives by rule: whatever is claimed, nothing lands outside, nothing special is made, the good ones come."""

# ruff: noqa: PTH118

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltop.tasks.archive.record import RestoreReport
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Exit

ID = "models_backup_20250101_020000"
BLOCK = tarfile.BLOCKSIZE
Raw = bytes


def header(
    name: bytes,
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: int = 0o644,
    link: bytes = b"",
    mtime: bytes = b"00000000000\0",
) -> Raw:
    """One ustar header, with what `tarfile` would not write; a checksum that is right."""
    size_field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = name.ljust(100, b"\0")[:100] + b"%07o\0" % mode + b"0000000\0" * 2 + size_field + mtime
    block += b" " * 8 + kind + link.ljust(100, b"\0")[:100] + b"ustar\x0000" + bytes(247)
    return block[:148] + b"%06o\0 " % sum(block[:512]) + block[156:512]


def padded(data: bytes) -> Raw:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes, content: bytes = b"evil", mode: int = 0o644) -> Raw:
    return header(name, size=len(content), mode=mode) + padded(content)


def link(name: bytes, target: bytes, kind: bytes = b"2") -> Raw:
    return header(name, kind, link=target)


def pax(records: dict[bytes, bytes], kind: bytes = b"x") -> Raw:
    data = b""
    for key, value in records.items():
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        data += b"%d %b=%b\n" % (length, key, value)
    return header(b"././@PaxHeader", kind, len(data)) + padded(data)


def gnu_long(kind: bytes, text: bytes) -> Raw:
    return header(b"././@LongLink", kind, len(text)) + padded(text)


def old_sparse(pairs: bytes, size: int, has_more: bool = False, data: bytes = b"data") -> Raw:
    """A sparse member as GNU tar writes it by default; `pairs` are the fields of its map, up to four."""
    block = bytearray(header(b"x", b"S", len(data)))
    block[257:265] = b"ustar  \0"
    block[345:500] = bytes(41) + pairs.ljust(96, b"\0") + bytes([has_more]) + b"%011o\0" % size + bytes(5)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + (b"" if has_more else padded(data))


def pair(offset: int, length: int) -> bytes:
    return b"%011o\0%011o\0" % (offset, length)


GOOD = file(b"good", b"good")

LEADING_OUT: dict[str, list[Raw]] = {
    "absolute by pax": [pax({b"path": b"/outside/evil"}), file(b"x")],
    "dots by pax": [pax({b"path": b"a/../../outside/evil"}), file(b"x")],
    "dots by a GNU long name": [gnu_long(b"L", b"../outside/evil\0"), file(b"x")],
    "a link's target by a GNU long link": [gnu_long(b"K", b"../outside\0"), link(b"way", b"x"), file(b"way/evil")],
    "a link's target by pax": [pax({b"linkpath": b"../outside"}), link(b"way", b"x"), file(b"way/evil")],
    "a global path for all that follow": [pax({b"path": b"../outside/evil"}, b"g"), file(b"x")],
    "a chain of two links": [link(b"a", b"b"), link(b"b", b"../outside"), file(b"a/evil"), file(b"b/evil")],
    "a chain through a folder": [header(b"d/", b"5"), link(b"d/up", b"../.."), file(b"d/up/outside/evil")],
    "a link to itself": [link(b"loop", b"loop"), file(b"loop/evil"), file(b"loop/loop/evil")],
    "a link to the folder itself, and out of it": [link(b"here", b"."), file(b"here/../outside/evil")],
    "a hard link to a file outside": [link(b"hard", b"../outside/secret", b"1"), file(b"hard")],
    "an absolute hard link": [link(b"hard", b"/etc/passwd", b"1"), file(b"hard")],
    "a hard link through a link": [link(b"way", b"../outside"), link(b"hard", b"way/secret", b"1"), file(b"hard")],
    "a hard link to a link": [link(b"way", b"../outside/secret"), link(b"hard", b"way", b"1"), file(b"hard")],
    "a folder, then a link in its place": [header(b"d/", b"5"), link(b"d", b"../outside"), file(b"d/evil")],
    "a file, then a link in its place": [file(b"f"), link(b"f", b"../outside/secret"), file(b"f", b"through")],
    "a link, then a folder in its place": [link(b"d", b"../outside"), header(b"d/", b"5", mode=0o777), file(b"d/evil")],
    "names that differ by case": [link(b"Way", b"../outside"), file(b"way/evil"), file(b"WAY/evil")],
    "names that differ by normal form": [link("é".encode(), b"../outside"), file("e\u0301/evil".encode())],
    "a name of dots and blanks": [file(b".. /outside/evil"), file(b"../outside/evil "), file(b"\xc0\xae\xc0\xae/evil")],
    "a backslash for a slash": [file(b"..\\outside\\evil")],
    "a line end in a name": [file(b"a\n../outside/evil"), file(b"line\nend")],
    "a zero byte by pax": [pax({b"path": b"a\0/../../outside/evil"}), file(b"x")],
    "our own name for files at work": [
        file(b".mltop-restore-0000000000000000"),
        link(b".mltop-restore-fedcba9876543210", b"../outside"),
    ],
    "a zero byte in a link's target by pax": [pax({b"linkpath": b"a\0../outside"}), link(b"way", b"x")],
    "a zero byte in a hard link's target by pax": [pax({b"linkpath": b"a\0/outside"}), link(b"way", b"x", b"1")],
    "a path of half a million folders": [pax({b"path": b"x/" * 500_000 + b"f"}), file(b"x")],
    "links to nothing, to too much": [link(b"none", b""), pax({b"linkpath": b"x" * 5000}), link(b"long", b"x")],
    "times at the end of what pax can say": [
        pax({b"mtime": b"9" * 18}),
        file(b"late"),
        pax({b"mtime": b"-" + b"9" * 18}),
        file(b"early"),
    ],
    "bits for another user": [file(b"suid", mode=0o4755), file(b"sgid", mode=0o2755), header(b"s/", b"5", mode=0o7777)],
    "devices, a FIFO, a socket of Solaris": [
        header(n, k) for n, k in ((b"c", b"3"), (b"b", b"4"), (b"p", b"6"), (b"z", b"A"))
    ],
    "a folder that is a file below": [file(b"f"), file(b"f/evil"), header(b"f/d/", b"5")],
    "an empty name, a slash, a dot": [file(b""), file(b"/"), file(b"."), header(b"./", b"5", mode=0o777)],
    "a path of empty parts": [file(b"a//b///c"), file(b"//outside/evil")],
}
BROKEN: dict[str, list[Raw]] = {
    "an old sparse map that goes back": [old_sparse(pair(50, 2) + pair(0, 2), 99)],
    "an old sparse map beyond its file": [old_sparse(pair(98, 4), 99)],
    "an old sparse map of more data than there is": [old_sparse(pair(0, 2000), 5000)],
    "an old sparse map without an end": [
        old_sparse(pair(0, 4), 99, has_more=True),
        *[bytes(504) + b"\1" + bytes(7)] * 50_000,
    ],
    "an old sparse map of no numbers": [old_sparse(b"never".ljust(12, b"\0") + b"ever".ljust(12, b"\0"), 99)],
    "an old sparse file beyond all": [old_sparse(pair(0, 4), 0).replace(b"%011o\0" % 0, b"\x80" + b"\xff" * 11)],
    "a map of pax in odd numbers": [pax({b"GNU.sparse.size": b"99", b"GNU.sparse.map": b"0,4,9"}), file(b"x")],
    "a map of pax of no numbers": [pax({b"GNU.sparse.size": b"99", b"GNU.sparse.map": b"0,-4"}), file(b"x")],
    "a map of pax that goes back": [
        pax({b"GNU.sparse.size": b"99"} | {b"GNU.sparse.map": b"9,2,0,2"}),
        file(b"x"),
    ],
    "a pax header of a terabyte": [header(b"x", b"x", (1 << 40).to_bytes(12, "big").replace(b"\0", b"\x80", 1))],
    "a GNU name of a gigabyte": [header(b"x", b"L", 1 << 30)],
    "a negative size": [header(b"x", size=b"\xff" * 12), GOOD],
    "a pax record longer than its header": [header(b"x", b"x", 20) + padded(b"999 path=../outside\n"), file(b"x")],
    "a pax record of length 0": [header(b"x", b"x", 10) + padded(b"0 path=x\n\n"), file(b"x")],
    "a pax size that is no number": [pax({b"size": b"-5"}), file(b"x")],
    "a pax size beyond all": [pax({b"size": b"9" * 19}), file(b"x")],
    "a sparse map without an end": [
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"9"}),
        file(b"x", b"1" * 600),
    ],
    "a sparse map that goes back": [
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"99"}),
        file(b"x", padded(b"2\n50\n10\n0\n10\n") + b"y" * 20),
    ],
    "a million extents": [
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"99"}),
        file(b"x", padded(b"99999999\n0\n1\n")),
    ],
    "headers of headers without an end": [pax({b"path": b"x"})] * 500,
    "cut within a file": [header(b"x", size=5000), b"short"],
    "a header that is noise": [b"\x93" * BLOCK],
    "a time beyond all": [header(b"x", mtime=b"\x80" + b"\xff" * 11)],
    "a time before all": [header(b"x", mtime=b"\xff\x80" + bytes(10))],
    "a folder's time beyond all": [header(b"x/", b"5", mtime=b"\x80" + b"\xff" * 11)],
    "a link's time beyond all": [header(b"x", b"2", link=b"y", mtime=b"\x80" + b"\xff" * 11)],
    "a hole beyond all": [
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"%d" % (1 << 64)}),
        file(b"x", padded(b"1\n0\n4\n") + b"data"),
    ],
    "an extent beyond all": [
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"%d" % (1 << 64)}),
        file(b"x", padded(b"1\n%d\n4\n" % ((1 << 63) + 5)) + b"data"),
    ],
    "a row of headers that says something of one file": [header(b"x", b"x", 1 << 20) + b"6 a=b\n".ljust(1 << 20, b"\0")]
    * 8
    + [file(b"x")],
}


class Attack:
    """A folder to restore into beside one that nothing may touch."""

    def __init__(self, base: Path) -> None:
        self.base, self.out, self.outside = base, base / "out", base / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("secret")
        (base / "backups").mkdir()

    def run(self, data: bytes, **options: Any) -> RestoreReport:
        (self.base / "backups" / f"{ID}.tar.gz").write_bytes(gzip.compress(data, 1))
        with Target(str(self.base / "backups")) as target:
            report = restore(target, RestoreJob(archive_id=ID, to=str(self.out), **options))
        self.check()
        return report

    def check(self) -> None:
        assert [each.name for each in self.outside.iterdir()] == ["secret"]
        secret = (self.outside / "secret").stat()
        assert ((self.outside / "secret").read_text(), secret.st_nlink) == ("secret", 1)
        assert sorted(each.name for each in self.base.iterdir()) in (
            ["backups", "out", "outside"],
            ["backups", "outside"],
        )
        for folder, folders, files in os.walk(os.fsencode(self.out)):
            for each in folders + files:
                status = os.lstat(os.path.join(folder, each))
                kind = stat.S_IFMT(status.st_mode)
                assert kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK), each
                assert kind == stat.S_IFLNK or not status.st_mode & (stat.S_ISUID | stat.S_ISGID), each
                assert not each.startswith(b".mltop-restore-"), "nothing is left at work"
        assert Path("/etc/passwd").stat().st_nlink == 1


@pytest.fixture
def attack(tmp_path: Path) -> Attack:
    return Attack(tmp_path)


@pytest.mark.parametrize("links", ["auto", "keep", "skip", "rebase"])
@pytest.mark.parametrize("name", LEADING_OUT)
def test_nothing_leads_out_and_the_good_one_comes(attack: Attack, name: str, links: str) -> None:
    report = attack.run(b"".join([*LEADING_OUT[name], GOOD, bytes(2 * BLOCK)]), links=links)
    assert report.exit_code in (Exit.OK, Exit.PARTIAL), report.message
    if name != "a global path for all that follow":
        assert (attack.out / "good").read_bytes() == b"good"


@pytest.mark.parametrize("name", LEADING_OUT)
def test_again_over_what_the_first_time_left(attack: Attack, name: str) -> None:
    data = b"".join([*LEADING_OUT[name], GOOD, bytes(2 * BLOCK)])
    attack.run(data, links="keep")
    attack.run(data, links="keep", overwrite="always")


@pytest.mark.parametrize("name", BROKEN)
def test_what_makes_no_sense_is_one_line_and_no_file(attack: Attack, name: str) -> None:
    report = attack.run(b"".join([*BROKEN[name], bytes(2 * BLOCK)]), max_bytes=1 << 30)
    assert report.exit_code in (Exit.VERIFY_FAILED, Exit.PARTIAL, Exit.USAGE), report
    assert "\n" not in (report.message or "")
    assert not (attack.out / "x").exists()


def test_a_header_of_many_records_takes_no_longer_than_its_bytes(attack: Attack) -> None:
    def took(count: int) -> float:
        data = pax({b"%05d" % number: b"" for number in range(count)}) + GOOD + bytes(2 * BLOCK)
        began = time.process_time()
        assert attack.run(data, overwrite="always").exit_code is Exit.OK
        return time.process_time() - began

    took(10)
    few, many = min(took(4000) for _ in range(3)), took(64_000)
    assert many < 16 * few * 4, (few, many)


def test_a_deep_path_is_made_and_finished_a_step_at_a_time(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0
    real = os.open

    def counted(*values: Any, **more: Any) -> int:
        nonlocal opened
        opened += 1
        return real(*values, **more)

    monkeypatch.setattr(os, "open", counted)
    deep = 400
    folders = [pax({b"path": b"x/" * count}) + header(b"x/", b"5", mode=0o755) for count in range(1, deep)]
    report = attack.run(b"".join([*folders, GOOD, bytes(2 * BLOCK)]))
    assert (report.exit_code, report.counts) == (Exit.OK, {"restored": deep})
    assert opened < 20 * deep


_NAMES = st.lists(
    st.sampled_from([b"a", b"b", b"A", b"..", b".", b"", b"way", b"outside", b"secret", b"out", b"c\n"]),
    min_size=1,
    max_size=4,
).map(b"/".join)
_TARGETS = _NAMES | _NAMES.map(lambda name: b"/" + name) | st.just(b"../outside") | st.just(b"../outside/secret")
_MEMBERS: dict[str, Callable[..., st.SearchStrategy[bytes]]] = {
    "file": lambda: st.builds(file, _NAMES, st.just(b"evil"), st.sampled_from([0o644, 0o000, 0o7777])),
    "folder": lambda: st.builds(
        lambda name, mode: header(name + b"/", b"5", mode=mode), _NAMES, st.sampled_from([0o755, 0o7777, 0])
    ),
    "symlink": lambda: st.builds(link, _NAMES, _TARGETS),
    "hardlink": lambda: st.builds(lambda name, target: link(name, target, b"1"), _NAMES, _TARGETS),
    "long": lambda: st.builds(lambda name: gnu_long(b"L", name + b"\0") + file(b"x"), _NAMES),
}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(*(make() for make in _MEMBERS.values())), max_size=8),
    st.sampled_from(["auto", "keep", "skip", "rebase"]),
    st.sampled_from(["never", "if-different", "always"]),
)
def test_any_mix_of_them_stays_inside(members: list[bytes], links: str, overwrite: str) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        attack = Attack(Path(folder))
        data = b"".join([*members, bytes(2 * BLOCK)])
        attack.run(data, links=links, overwrite=overwrite)
        attack.run(data, links=links, overwrite=overwrite)


def test_the_raw_headers_are_ones_that_tarfile_reads() -> None:
    data = b"".join(
        [pax({b"path": b"n" * 200}), file(b"x", b"abc"), gnu_long(b"L", b"m" * 150 + b"\0"), file(b"y"), GOOD]
    )
    with tarfile.open(fileobj=io.BytesIO(data + bytes(2 * BLOCK))) as tar:
        assert tar.getnames() == ["n" * 200, "m" * 150, "good"]
