"""The members of a tar, read once from front to end: ustar, GNU and PAX, with bounds on all that a file could claim.

Not by `tarfile`: its stream copies every byte several times and trusts the sizes that it is told.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mltop.tasks.archive import pax, sparse, ustar
from mltop.tasks.archive.attribute import from_records
from mltop.tasks.archive.header import BLOCK, Extent
from mltop.tasks.archive.stream import Blocks
from mltop.tasks.outcome import CorruptError

_END = bytes(BLOCK)
_MAX_EXTENSION = 1 << 20
_MAX_EXTENSIONS = 4 << 20
"""Of all headers that say something of one member: an endless row of them must end, in time and in memory."""
_MAX_SIZE = 1 << 62
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_KINDS = {
    **dict.fromkeys(_FILES, "file"),
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
            records: dict[str, bytes] = {}
            info = self._next(records)
            return None if info is None else self._member(index, info, records)
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

    def _next(self, records: dict[str, bytes]) -> ustar.Header | None:
        """Return the next real header with all that precedes it put into `records`; `None` at the end mark."""
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
                records |= pax.records(self._extension(info.size))
            elif info.type == tarfile.XGLTYPE:
                self._extension(info.size)  # comments of git and the like; nothing that names a file may be global
            elif info.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = self._extension(info.size).rstrip(b"\0")
            elif info.type == tarfile.GNUTYPE_LONGLINK:
                records["linkpath"] = self._extension(info.size).rstrip(b"\0")
            else:
                return info
        raise CorruptError("a row of headers without an end is refused")

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_EXTENSION:
            raise CorruptError(f"a header of {size} bytes is refused")
        data = self._blocks.take(size)
        self._blocks.take(-size % BLOCK)
        return data

    def _member(self, index: int, info: ustar.Header, records: dict[str, bytes]) -> Member:
        stored = pax.number(records.get("size"), info.size)
        kind = _KINDS.get(info.type, "unknown")
        if kind not in ("file", "unknown"):
            stored = 0
        if not 0 <= stored <= _MAX_SIZE:
            raise CorruptError(f"a member of {stored} bytes is refused")
        self._left, self._padding = stored, -stored % BLOCK
        size, extents = stored, None
        if info.sparse or "GNU.sparse.major" in records or "GNU.sparse.size" in records:
            kind, size, extents = self._sparse(info, records)
        path = records.get("GNU.sparse.name", records.get("path"))
        member_name = os.fsdecode(path if path is not None else info.name)
        return Member(
            index=index,
            name=(member_name.rstrip("/") or "/") if kind == "dir" else member_name,
            kind=kind,
            size=size if kind == "file" else 0,
            link=os.fsdecode(records.get("linkpath", info.link)),
            mode=info.mode,
            uid=pax.number(records.get("uid"), info.uid),
            gid=pax.number(records.get("gid"), info.gid),
            mtime_ns=pax.nanoseconds(records.get("mtime"), info.mtime),
            extents=extents,
            attributes=from_records(records) if records else {},
        )

    def _sparse(self, info: ustar.Header, records: Mapping[str, bytes]) -> tuple[str, int, tuple[Extent, ...] | None]:
        """Return kind, size and map of a sparse file; one of a format that is not known is of no known kind."""
        if info.sparse:
            size, extents = sparse.from_header(info.sparse, lambda: self._blocks.take(BLOCK))
        elif info.type not in _FILES:
            return "unknown", 0, None
        elif records.get("GNU.sparse.major") == b"1":
            size = pax.number(records.get("GNU.sparse.realsize"), 0)
            extents = sparse.from_data(self._block_of_data, size)
        elif "GNU.sparse.major" in records:
            return "unknown", 0, None
        else:
            size, extents = sparse.from_records(records)
        if not 0 <= size <= _MAX_SIZE:
            raise CorruptError(f"a member of {size} bytes is refused")
        return "file", size, extents

    def _block_of_data(self) -> bytes:
        return b"".join(bytes(piece) for piece in self._read(BLOCK))
