"""History on disk: one bounded file of 10 s means, appended line by line (M36).

A line is JSON: a header with the keys that hold from there on, or a record: the time (seconds since the epoch) and a
value a key. A line is whole or it is skipped, so a crash, a full disk or a torn write costs one record. All calls may
block (a home can be a dead network mount), so they are made in a process that can be abandoned.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
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

    def load(self) -> list[Record]:
        """Every whole record, oldest first; none where there is no file. Creates nothing; raises OSError."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.seek(max(0, os.fstat(descriptor).st_size - MAX_BYTES))
            return sorted(decoded(file.read(MAX_BYTES)), key=lambda record: record[0])

    def write(self, at: float, values: Mapping[str, float]) -> None:
        """Append a record; raises `Busy` while another process records, and OSError."""
        if self._file is None:
            self._open(at)
        assert self._file is not None
        keys = tuple(sorted(values))
        data = b""
        if keys != self._keys:
            data = _header(keys)
        append(self._file, data + _line(at, [values[key] for key in keys]))
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

    def _compact(self, at: float) -> None:
        """Rewrite the file without what is too old, too much or torn; then append to the new one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        try:
            kept = [record for record in self.load() if at - KEEP_S <= record[0] <= at + KEEP_S]
            data = encoded(kept)
            if len(data) > MAX_BYTES // 2:
                data = encoded(kept[-len(kept) * (MAX_BYTES // 2) // len(data) :])
            if data or self._path.exists():
                with contextlib.suppress(OSError):  # a full disk: the old file will do
                    write_atomic(self._path, data)
        finally:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, flags, 0o600)
        self._keys, self._written = (), 0
        _end_torn_line(self._file)


def decoded(data: bytes) -> Iterator[Record]:
    """The whole records of a file's content; what is no record is skipped."""
    keys: list[str] = []
    for line in data.splitlines():
        try:
            content = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(content, dict):
            keys = _keys_of(content)
        elif isinstance(content, list) and keys and len(content) == len(keys) + 1 and _is_numbers(content):
            values = zip(keys, content[1:], strict=True)
            yield float(content[0]), {key: float(value) for key, value in values if value is not None}


def encoded(records: Sequence[Record]) -> bytes:
    """The content of a file of these records."""
    parts = []
    keys: tuple[str, ...] = ()
    for at, values in records:
        here = tuple(sorted(values))
        if here != keys:
            parts.append(_header(here))
            keys = here
        parts.append(_line(at, [values[key] for key in here]))
    return b"".join(parts)


def _header(keys: Sequence[str]) -> bytes:
    return msgspec.json.encode({"schema": SCHEMA, "keys": keys}) + b"\n"


def _line(at: float, values: Sequence[float]) -> bytes:
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
