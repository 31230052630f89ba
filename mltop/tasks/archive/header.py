"""The headers of a tar, PAX format on `tarfile`'s own: times to the nanosecond, names as bytes, sparse maps.

A sparse file goes in as GNU's PAX format 1.0, which GNU tar, bsdtar and `tarfile` read.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Sequence

from mltop.tasks.archive.scan import Found

BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
"""Two empty blocks end a tar."""

Extent = tuple[int, int]
"""Offset and length of a piece of data in a sparse file."""


def folder(found: Found) -> bytes:
    """Return the header of a folder."""
    return _header(found, tarfile.DIRTYPE)


def symlink(found: Found) -> bytes:
    """Return the header of a symbolic link."""
    return _header(found, tarfile.SYMTYPE, link=found.link or "")


def hardlink(found: Found, target: str) -> bytes:
    """Return the header of another name of `target`, an earlier member."""
    return _header(found, tarfile.LNKTYPE, link=target)


def file(found: Found, size: int) -> bytes:
    """Return the header of a file of `size` bytes, which follow."""
    return _header(found, tarfile.REGTYPE, size=size)


def sparse(found: Found, size: int, extents: Sequence[Extent]) -> tuple[bytes, bytes]:
    """Return header and map of a sparse file of apparent `size`; the data of `extents` follow the map."""
    if sum(extents[-1] if extents else (0, 0)) < size:
        extents = [*extents, (size, 0)]  # GNU tar takes a file's length from its last extent
    lines = [str(len(extents)), *(str(number) for extent in extents for number in extent)]
    map_bytes = ("\n".join(lines) + "\n").encode()
    map_bytes += padding(len(map_bytes))
    stored = len(map_bytes) + sum(length for _, length in extents)
    info = _info(found, tarfile.REGTYPE, size=stored)
    records = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": found.name,
        "GNU.sparse.realsize": str(size),
    }
    info.pax_headers = {**info.pax_headers, **records}
    head, _, tail = found.name.rpartition("/")
    info.name = f"{head}/GNUSparseFile.0/{tail}" if head else f"GNUSparseFile.0/{tail}"
    return _bytes(info), map_bytes


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def _header(found: Found, kind: bytes, size: int = 0, link: str = "") -> bytes:
    return _bytes(_info(found, kind, size, link))


def _info(found: Found, kind: bytes, size: int = 0, link: str = "") -> tarfile.TarInfo:
    status = found.status
    info = tarfile.TarInfo(found.name)
    info.type, info.size, info.linkname = kind, size, link
    info.mode = stat.S_IMODE(status.st_mode)
    # numbers only: to ask for a user's name may mean to ask a directory server
    info.uid, info.gid = status.st_uid, status.st_gid
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    info.mtime = seconds
    if nanoseconds or seconds < 0:
        info.pax_headers = {"mtime": _decimal(status.st_mtime_ns)}
    return info


def _decimal(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return f"{sign}{seconds}.{rest:09d}"


def _bytes(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
