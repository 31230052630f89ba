"""The members of a tar, read once from front to end: ustar, GNU and PAX, with bounds on all that a file could claim.

Not by `tarfile`: its stream copies every byte several times and trusts the sizes that it is told.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mltop.tasks.archive import ustar
from mltop.tasks.archive.attribute import from_records
from mltop.tasks.archive.header import BLOCK, Extent
from mltop.tasks.archive.stream import Blocks
from mltop.tasks.outcome import CorruptError

_END = bytes(BLOCK)
_MAX_EXTENSION = 1 << 20
_MAX_EXTENSIONS = 4 << 20
"""Of all headers that say something of one member: an endless row of them must end, in time and in memory."""
_MAX_EXTENTS = 1 << 20
_MAX_SIZE = 1 << 62
_MAX_SECONDS = 1 << 62
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "fifo",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the archive claims it: nothing of it has been checked."""

    index: int
    name: str
    kind: str
    """`file`, `dir`, `symlink`, `hardlink`, `device`, `fifo` or `unknown`."""
    size: int
    link: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    extents: tuple[Extent, ...] | None
    attributes: Mapping[str, bytes] = field(default_factory=dict)
    """Extended ones, by name."""


class Members:
    """Iterate over the members; `data` yields the current one's content. What is not read of it is passed over."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._left = 0
        self._padding = 0
        self._current: Member | None = None
        self.is_broken = False
        """Whether the stream itself cannot be read on."""

    def __iter__(self) -> Iterator[Member]:
        """Yield each member, to the end mark; raises `CorruptError` when there is none or a header is damaged."""
        index = 0
        while (member := self._advance(index)) is not None:
            self._current = member
            yield member
            index += 1

    def _advance(self, index: int) -> Member | None:
        try:
            self._pass_over()
            pax: dict[str, bytes] = {}
            info = self._next(pax)
            return None if info is None else self._member(index, info, pax)
        except CorruptError:
            self.is_broken = True
            raise

    def data(self) -> Iterator[tuple[int, memoryview]]:
        """Yield the content of the current member: where each piece belongs, and the piece."""
        member = self._current
        if member is None:
            return
        for offset, length in member.extents if member.extents is not None else ((0, member.size),):
            position = offset
            for piece in self._read(length):
                yield position, piece
                position += len(piece)

    def _read(self, count: int) -> Iterator[memoryview]:
        if count > self._left:
            raise CorruptError("a sparse map claims more data than its member has")
        try:
            for piece in self._blocks.pieces(count):
                self._left -= len(piece)
                count -= len(piece)
                yield piece
        except CorruptError:
            self.is_broken = True
            raise
        if count:
            self.is_broken = True
            raise CorruptError("the archive ends in the middle of a file")

    def _pass_over(self) -> None:
        for _ in self._read(self._left):
            pass
        if len(self._blocks.take(self._padding)) < self._padding:
            raise CorruptError("the archive ends in the middle of a file")
        self._padding = 0

    def _next(self, pax: dict[str, bytes]) -> ustar.Header | None:
        """Return the next real header with all that precedes it put into `pax`; `None` at the end mark."""
        left = _MAX_EXTENSIONS
        while left > 0:
            block = self._blocks.take(BLOCK)
            if len(block) < BLOCK:
                raise CorruptError("the archive ends without an end mark: it is cut short")
            if block == _END:
                return None
            info = ustar.unpack(block)
            left -= BLOCK + info.size
            if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                pax |= _records(self._extension(info.size))
            elif info.type == tarfile.XGLTYPE:
                self._extension(info.size)  # comments of git and the like; nothing that names a file may be global
            elif info.type == tarfile.GNUTYPE_LONGNAME:
                pax["path"] = self._extension(info.size).rstrip(b"\0")
            elif info.type == tarfile.GNUTYPE_LONGLINK:
                pax["linkpath"] = self._extension(info.size).rstrip(b"\0")
            else:
                return info
        raise CorruptError("a row of headers without an end is refused")

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION:
            raise CorruptError(f"a header of {size} bytes is refused")
        data = self._blocks.take(size)
        self._blocks.take(-size % BLOCK)
        return data

    def _member(self, index: int, info: ustar.Header, pax: dict[str, bytes]) -> Member:
        stored = _number(pax.get("size"), info.size)
        kind = _KINDS.get(info.type, "unknown")
        if kind not in ("file", "unknown"):
            stored = 0
        if not 0 <= stored <= _MAX_SIZE:
            raise CorruptError(f"a member of {stored} bytes is refused")
        self._left, self._padding = stored, -stored % BLOCK
        size, extents = stored, None
        path = pax.get("path")
        if pax.get("GNU.sparse.major") == b"1" and kind == "file":
            path = pax.get("GNU.sparse.name", path)
            size = _number(pax.get("GNU.sparse.realsize"), 0)
            if size > _MAX_SIZE:
                raise CorruptError(f"a member of {size} bytes is refused")
            extents = self._sparse_map(size)
        elif info.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse") for key in pax):
            kind = "unknown"
            self._old_sparse(info)
        member_name = os.fsdecode(path if path is not None else info.name)
        return Member(
            index=index,
            name=(member_name.rstrip("/") or "/") if kind == "dir" else member_name,
            kind=kind,
            size=size if kind == "file" else 0,
            link=os.fsdecode(pax.get("linkpath", info.link)),
            mode=info.mode,
            uid=_number(pax.get("uid"), info.uid),
            gid=_number(pax.get("gid"), info.gid),
            mtime_ns=_nanoseconds(pax.get("mtime"), info.mtime),
            extents=extents,
            attributes=from_records(pax) if pax else {},
        )

    def _old_sparse(self, info: ustar.Header) -> None:
        """Pass over the further map blocks of an old GNU sparse member."""
        has_more = info.type == tarfile.GNUTYPE_SPARSE and info.is_extended
        for _ in range(_MAX_EXTENTS):
            if not has_more:
                return
            has_more = bool(self._blocks.take(BLOCK)[504:505].strip(b"\0"))
        raise CorruptError("a sparse map without an end is refused")

    def _sparse_map(self, size: int) -> tuple[Extent, ...]:
        """Read the map at the beginning of a sparse member's data (GNU PAX format 1.0)."""
        numbers = self._map_numbers()
        count = next(numbers)
        if not 0 <= count <= _MAX_EXTENTS:
            raise CorruptError("a sparse map is damaged")
        extents = tuple((next(numbers), next(numbers)) for _ in range(count))
        end = 0
        for offset, length in extents:
            if offset < end or length < 0 or offset + length > size:
                raise CorruptError("a sparse map is damaged")
            end = offset + length
        return extents

    def _map_numbers(self) -> Iterator[int]:
        text = b""
        while True:
            line, mark, rest = text.partition(b"\n")
            if mark:
                text = rest
                if not line.isdigit() or len(line) > 20:
                    raise CorruptError("a sparse map is damaged")
                yield int(line)
            elif self._left < BLOCK or len(text) > BLOCK:
                raise CorruptError("a sparse map is damaged")
            else:
                text += b"".join(bytes(piece) for piece in self._read(BLOCK))


def _records(data: bytes) -> dict[str, bytes]:
    """Return the records of a PAX header (`length key=value` and a line end)."""
    found: dict[str, bytes] = {}
    start = 0
    while start < len(data):
        length, _, _ = data[start : start + 20].partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length) <= len(data) - start:
            if data[start:].strip(b"\0"):
                raise CorruptError("a PAX header is damaged")
            break
        end = start + int(length)
        key, mark, value = data[start + len(length) + 1 : end - 1].partition(b"=")
        if not mark or data[end - 1 : end] != b"\n":
            raise CorruptError("a PAX header is damaged")
        found[key.decode("utf-8", "replace")] = value
        start = end
    return found


def _number(text: bytes | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 20:
        raise CorruptError("a number in a PAX header is damaged")
    return int(text)


def _nanoseconds(text: bytes | None, seconds: int) -> int:
    """Return a PAX time in nanoseconds; a float would lose some of them."""
    if text is None:
        if abs(seconds) > _MAX_SECONDS:
            raise CorruptError("a time in a header is damaged")
        return seconds * 1_000_000_000
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 18 or (fraction and not fraction.isdigit()):
        raise CorruptError("a time in a PAX header is damaged")
    return sign * (int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or 0))
