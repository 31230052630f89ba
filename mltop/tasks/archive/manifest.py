"""The manifest of an archive: lines of JSON; the first is the head with its own checksum, the others are the entries.

The head is small and read alone to list archives; it holds the checksum of the entries, so that one flipped bit
anywhere shows. `sums` is the same content as `sha256sum` writes and reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from mltop.tasks.archive.record import Entry, Head
from mltop.tasks.outcome import CorruptError

MAX_HEAD = 64 << 20


class _Sealed(msgspec.Struct, frozen=True):
    head: msgspec.Raw
    sha256: str


_encoder = msgspec.json.Encoder()
_sealed = msgspec.json.Decoder(_Sealed)
_head = msgspec.json.Decoder(Head)
_entry = msgspec.json.Decoder(Entry)


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """Return the lines of the entries; their SHA-256 belongs in the head."""
    return _encoder.encode_lines(list(entries))


def encode_head(head: Head) -> bytes:
    """Return the first line, sealed with its own checksum."""
    raw = _encoder.encode(head)
    return _encoder.encode(_Sealed(msgspec.Raw(raw), hashlib.sha256(raw).hexdigest())) + b"\n"


def decode_head(line: bytes) -> Head:
    """Return the head in a manifest's first line; raises `CorruptError`."""
    try:
        sealed = _sealed.decode(line)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"the manifest is damaged: {error}") from error
    if hashlib.sha256(bytes(sealed.head)).hexdigest() != sealed.sha256:
        raise CorruptError("the manifest is damaged: its head does not match its checksum")
    try:
        return _head.decode(sealed.head)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"the manifest is of another format: {error}") from error


def decode(data: bytes) -> tuple[Head, tuple[Entry, ...]]:
    """Return head and entries of a whole manifest; raises `CorruptError` when any byte of it changed."""
    line, _, lines = data.partition(b"\n")
    head = decode_head(line)
    if hashlib.sha256(lines).hexdigest() != head.entries_sha256:
        raise CorruptError("the manifest is damaged: its entries do not match their checksum")
    try:
        entries = tuple(_entry.decode_lines(lines))
    except msgspec.MsgspecError as error:
        raise CorruptError(f"the manifest is of another format: {error}") from error
    return head, entries


def sums(entries: Iterable[Entry]) -> bytes:
    """Return the checksums of all whole files in the format of coreutils, for `sha256sum -c` in the restored folder.

    A name with a backslash or a line end is escaped as coreutils does it, the line then begins with a backslash.
    """
    lines = []
    by_name = {entry.name: entry for entry in entries}
    for entry in by_name.values():
        content = by_name.get(entry.link or "", entry) if entry.kind == "hardlink" else entry
        if content.sha256 is None or content.status != "ok":
            continue
        name = entry.name.encode("utf-8", "surrogateescape")
        escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        mark = b"\\" if escaped != name else b""
        lines.append(mark + content.sha256.encode() + b"  " + escaped + b"\n")
    return b"".join(lines)
