"""History on disk: one bounded file of 10 s means, appended line by line (M36).

A line is JSON: a header with the keys that hold from there on, or a record: the time (seconds since the epoch) and a
value a key. A line is whole or it is skipped, so a crash, a full disk or a torn write costs one record. All calls may
block (a home can be a dead network mount), so they are made in a process that can be abandoned.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mltop.model.history import MAX_SERIES, SLOT_S, SLOTS
from mltop.system.file import append, try_lock, write_atomic

SCHEMA = "mltop.history/1"
FILE = "recent.jsonl"
LOCK = "lock"
KEEP_S = SLOT_S * SLOTS
MAX_BYTES = 8 << 20
_COMPACT_RECORDS = SLOTS
"""Records between two compactions: the file holds at most twice what is kept."""

Record = tuple[float, dict[str, float]]
"""Time and values by key."""


class Busy(Exception):  # noqa: N818 - another mltop records, which is as good
    """Another process has the lock."""


class Recording:
    """The file, and the lock of the one process that writes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / FILE
        self._keys: tuple[str, ...] = ()
        self._file: int | None = None
        self._lock: int | None = None
        self._written = 0

    def records(self) -> Iterator[Record]:
        """Every whole record, as the file has them; none where there is no file. Creates nothing; raises OSError."""
        return decoded(self._lines())

    def _lines(self) -> Iterator[bytes]:
        """The file, a line at a time: read whole, it would cost the reader's memory for good."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.seek(max(0, os.fstat(descriptor).st_size - MAX_BYTES))
            while line := file.readline(MAX_BYTES):
                yield line

    def write(self, at: float, values: Mapping[str, float]) -> None:
        """Append a record; raises `Busy` while another process records, and OSError."""
        if self._file is None:
            self._open(at)
        assert self._file is not None
        keys = tuple(sorted(values))
        data = b""
        if keys != self._keys:
            data = header_line(keys)
        append(self._file, data + record_line(at, [values[key] for key in keys]))
        self._keys = keys
        self._written += 1
        if self._written >= _COMPACT_RECORDS:
            self._compact(at)

    def close(self) -> None:
        """Let another process record."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._lock = None

    def _open(self, at: float) -> None:
        """Take the lock and the file: the first record, or after another process has gone."""
        if self._lock is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = try_lock(self._directory / LOCK)
            if self._lock is None:
                raise Busy
        self._compact(at)

    def _kept(self, at: float, reach_s: float) -> bytes:
        """The file's content without what is older than `reach_s`, and without what is torn."""
        data = bytearray()
        known: list[str] = []
        for keys, content, line in _scanned(self._lines()):
            if abs(at - content[0]) <= reach_s:
                if keys != known:
                    data += header_line(keys)
                    known = keys
                data += line.rstrip() + b"\n"
        return bytes(data)

    def _compact(self, at: float) -> None:
        """Rewrite the file without what is too old, too much or torn; then append to the new one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        try:
            data, reach_s = self._kept(at, KEEP_S), KEEP_S
            while len(data) > MAX_BYTES // 2:
                reach_s /= 2
                data = self._kept(at, reach_s)
            if data or self._path.exists():
                with contextlib.suppress(OSError):  # a full disk: the old file will do
                    write_atomic(self._path, data)
        finally:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, flags, 0o600)
        self._keys, self._written = (), 0
        _end_torn_line(self._file)


def decoded(lines: Iterable[bytes]) -> Iterator[Record]:
    """The whole records of a file's lines; what is no record is skipped."""
    for keys, content, _ in _scanned(lines):
        values = zip(keys, content[1:], strict=True)
        yield float(content[0]), {key: float(value) for key, value in values if value is not None}


def _scanned(lines: Iterable[bytes]) -> Iterator[tuple[list[str], list[Any], bytes]]:
    """Keys, content and line of every whole record."""
    keys: list[str] = []
    for line in lines:
        try:
            content = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(content, dict):
            keys = _keys_of(content)
        elif isinstance(content, list) and keys and len(content) == len(keys) + 1 and _is_numbers(content):
            yield keys, content, line


def header_line(keys: Sequence[str]) -> bytes:
    """The line that names the keys of the records after it."""
    return msgspec.json.encode({"schema": SCHEMA, "keys": keys}) + b"\n"


def record_line(at: float, values: Sequence[float]) -> bytes:
    """A record's line: four digits are more than a graph can show."""
    short = ",".join("0" if not value else f"{value:.4g}" for value in values)
    return f"[{at:.0f},{short}]\n".encode() if values else f"[{at:.0f}]\n".encode()


def _keys_of(header: dict[str, Any]) -> list[str]:
    keys = header.get("keys")
    if header.get("schema") != SCHEMA or not isinstance(keys, list) or len(keys) > MAX_SERIES:
        return []
    return keys if all(isinstance(key, str) for key in keys) and len(set(keys)) == len(keys) else []


def _is_numbers(content: list[object]) -> bool:
    if not isinstance(content[0], int | float) or isinstance(content[0], bool):
        return False
    return all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
        for value in content
    )


def _end_torn_line(descriptor: int) -> None:
    """A crash left a line without its end: end it, so that the next one is whole."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        append(descriptor, b"\n")
