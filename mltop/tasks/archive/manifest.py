"""The manifest of an archive: lines of JSON; the first is the head with its own checksum, the others are the entries.

The head is small and read alone to list archives; it holds the checksum of the entries, so that one flipped bit
anywhere shows. `sums` is the same content as `sha256sum` writes and reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

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


def encode_entry(entry: Entry) -> bytes:
    """Return the line of an entry; the SHA-256 of them all belongs in the head."""
    return _encoder.encode(entry) + b"\n"


def decode_entry(line: bytes) -> Entry:
    """Return the entry in a line; raises `CorruptError`."""
    try:
        return _entry.decode(line)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"the manifest is of another format: {error}") from error


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
    return head, tuple(decode_entry(each) for each in lines.splitlines())


def sums_line(entry_name: str, content: Entry) -> bytes:
    """Return the line for `sha256sum -c` in the restored folder, as coreutils writes it; nothing where none can be.

    A name with a backslash or a line end is escaped as coreutils does it, the line then begins with a backslash.
    `content` is the entry itself, or the file that a hard link is another name of.
    """
    if content.sha256 is None or content.status != "ok":
        return b""
    text = entry_name.encode("utf-8", "surrogateescape")
    escaped = text.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if escaped != text else b""
    return mark + content.sha256.encode() + b"  " + escaped + b"\n"


def sums(entries: Callable[[], Iterable[Entry]]) -> Iterator[bytes]:
    """Yield the lines of the checksums of all entries, which are gone through twice: a link's content comes before it.

    Only what links point to is kept in memory.
    """
    wanted = {entry.link for entry in entries() if entry.kind == "hardlink"}
    contents: dict[str, Entry] = {}
    for entry in entries():
        if entry.name in wanted:
            contents[entry.name] = entry
        yield sums_line(entry.name, contents.get(entry.link or "", entry) if entry.kind == "hardlink" else entry)
