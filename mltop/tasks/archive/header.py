"""The headers of a tar in PAX format: times to the nanosecond, names as bytes, sparse maps.

A sparse file goes in as GNU's PAX format 1.0, which GNU tar, bsdtar and `tarfile` read.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from mltop.tasks.archive import ustar
from mltop.tasks.archive.attribute import records
from mltop.tasks.archive.found import Found

BLOCK = ustar.BLOCK
_NAMES = (b"path", b"linkpath", b"GNU.sparse.name")
END = bytes(2 * BLOCK)
"""Two empty blocks end a tar."""

Attributes = Mapping[str, bytes]
"""Extended ones, by name."""
NO_ATTRIBUTES: Attributes = MappingProxyType({})
Extent = tuple[int, int]
"""Offset and length of a piece of data in a sparse file."""


def folder(found: Found, attributes: Attributes = NO_ATTRIBUTES) -> bytes:
    """Return the header of a folder."""
    return _header(found, tarfile.DIRTYPE, records=records(attributes))


def symlink(found: Found) -> bytes:
    """Return the header of a symbolic link."""
    return _header(found, tarfile.SYMTYPE, link=found.link or "")


def hardlink(found: Found, target: str) -> bytes:
    """Return the header of another name of `target`, an earlier member."""
    return _header(found, tarfile.LNKTYPE, link=target)


def file(found: Found, size: int, attributes: Attributes = NO_ATTRIBUTES) -> bytes:
    """Return the header of a file of `size` bytes, which follow."""
    return _header(found, tarfile.REGTYPE, size=size, records=records(attributes))


def sparse(
    found: Found, size: int, extents: Sequence[Extent], attributes: Attributes = NO_ATTRIBUTES
) -> tuple[bytes, bytes]:
    """Return header and map of a sparse file of apparent `size`; the data of `extents` follow the map."""
    if sum(extents[-1] if extents else (0, 0)) < size:
        extents = [*extents, (size, 0)]  # GNU tar takes a file's length from its last extent
    lines = [str(len(extents)), *(str(number) for extent in extents for number in extent)]
    map_bytes = ("\n".join(lines) + "\n").encode()
    map_bytes += padding(len(map_bytes))
    stored = len(map_bytes) + sum(length for _, length in extents)
    told = {
        **records(attributes),
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": os.fsencode(found.name),
        b"GNU.sparse.realsize": b"%d" % size,
    }
    head, _, tail = found.name.rpartition("/")
    stand_in = f"{head}/GNUSparseFile.0/{tail}" if head else f"GNUSparseFile.0/{tail}"
    return _header(found, tarfile.REGTYPE, stored, name=stand_in, records=told), map_bytes


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def _header(
    found: Found,
    kind: bytes,
    size: int = 0,
    link: str = "",
    name: str | None = None,
    records: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """Return a header and, before it, the PAX records for what does not fit into it.

    Users are numbers only: to ask for a name may mean to ask a directory server.
    """
    status = found.status
    path, target = os.fsencode(found.name if name is None else name), os.fsencode(link)
    if kind == tarfile.DIRTYPE:
        path += b"/"
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    told = dict(records or {})
    if len(path) > ustar.NAME_MAX or not path.isascii():
        told[b"path"] = path
    if len(target) > ustar.NAME_MAX or not target.isascii():
        told[b"linkpath"] = target
    for key, number in ((b"uid", status.st_uid), (b"gid", status.st_gid)):
        if number > ustar.NUMBER_MAX:
            told[key] = b"%d" % number
    if size > ustar.SIZE_MAX:
        told[b"size"] = b"%d" % size
    if nanoseconds or not 0 <= seconds <= ustar.SIZE_MAX:
        told[b"mtime"] = _decimal(status.st_mtime_ns)
    mode = stat.S_IMODE(status.st_mode)
    block = ustar.pack(path[:100], kind, mode, status.st_uid, status.st_gid, size, seconds, target[:100])
    return _pax(told) + block if told else block


def _pax(records: dict[bytes, bytes]) -> bytes:
    """Return a PAX header with its records (`length key=value`, POSIX.1-2001 pax)."""
    data = b"".join(_record(key, value) for key, value in records.items())
    # of names, that is: the value of an attribute is bytes either way
    if not all(_is_text(records[key]) for key in _NAMES if key in records):
        data = _record(b"hdrcharset", b"BINARY") + data
    return _pax_block(len(data)) + data + padding(len(data))


@lru_cache(maxsize=256)
def _pax_block(size: int) -> bytes:
    """The same for most files: those of one size differ in nothing."""
    return ustar.pack(b"././@PaxHeader", tarfile.XHDTYPE, 0, 0, 0, size, 0)


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3  # a space, an equals sign, a line end
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decimal(nanoseconds: int) -> bytes:
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return (b"-%d.%09d" if nanoseconds < 0 else b"%d.%09d") % (seconds, rest)
