from __future__ import annotations

import io
import os
import tarfile
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.tasks.archive import header, ustar
from mltop.tasks.archive.scan import Found
from mltop.tasks.outcome import CorruptError


def _found(name: str, mode: int, uid: int, mtime_ns: int, link: str | None = None) -> Found:
    status = SimpleNamespace(st_mode=0o100000 | mode, st_uid=uid, st_gid=uid + 1, st_mtime_ns=mtime_ns)
    return Found("/x", name, cast(os.stat_result, status), link)


names = st.binary(min_size=1, max_size=300).filter(lambda raw: b"\0" not in raw and b"/" not in raw).map(os.fsdecode)
times = st.integers(-(10**18), 10**19)


@given(names, st.integers(0, 0o7777), st.integers(0, 2**32 - 2), times)
def test_tarfile_reads_what_we_write(name: str, mode: int, uid: int, mtime_ns: int) -> None:
    found = _found(name, mode, uid, mtime_ns, link=name[::-1])
    data = header.file(found, 5) + b"hello" + header.padding(5) + header.symlink(found) + header.END
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        file, link = tar.getmembers()
        content = tar.extractfile(file)
        assert content is not None
        assert content.read() == b"hello"
    for each in (file, link):
        assert (each.name, each.mode, each.uid, each.gid) == (name, mode, uid, uid + 1)
        assert each.mtime == pytest.approx(mtime_ns / 1e9)
    assert os.fsencode(link.linkname) == os.fsencode(name[::-1])


def test_sizes_beyond_octal() -> None:
    data = header.file(_found("big", 0o644, 0, 0), 1 << 40)
    with tarfile.open(fileobj=io.BytesIO(data + bytes(10240))) as tar:
        first = tar.next()
    assert first is not None
    assert first.size == 1 << 40


@given(
    names,
    st.integers(0, 0o7777),
    st.integers(0, 2**31),
    st.integers(0, 2**40),
    st.integers(-(2**40), 2**40),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]),
)
def test_we_read_what_tarfile_writes(name: str, mode: int, uid: int, size: int, mtime: int, form: int) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.size, info.mtime = mode, uid, size, mtime
    try:
        block = info.tobuf(form, "utf-8", "surrogateescape")[-512:]
    except ValueError:
        return  # more than ustar can say
    read = ustar.unpack(block)
    theirs = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    assert (os.fsdecode(read.name), read.mode, read.uid, read.size, read.mtime, read.type) == (
        theirs.name,
        theirs.mode,
        theirs.uid,
        theirs.size,
        theirs.mtime,
        theirs.type,
    )


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_changed_byte_is_seen(position: int, change: int) -> None:
    block = bytearray(ustar.pack(b"name", tarfile.REGTYPE, 0o644, 0, 0, 5, 0))
    block[position] ^= change
    try:
        read = ustar.unpack(bytes(block))
    except CorruptError:
        return
    assert position in range(148, 156), "only the checksum has more than one way to be written"
    assert read.size == 5
