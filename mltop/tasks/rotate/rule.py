"""What to rotate, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from mltop.tasks.outcome import Exit

_ROTATED = re.compile(r"(?P<log>.+)-(?P<utc>[0-9]{8}T[0-9]{6}Z)(?P<number>\.[0-9]+)?(?P<ending>\.zst|\.gz)?")
_STAMP = "%Y%m%dT%H%M%SZ"
ENDINGS = {"zstd": ".zst", "gzip": ".gz", "none": ""}


class RotateRule(msgspec.Struct, frozen=True, kw_only=True):
    """Logs that are treated alike. Sizes are bytes, times seconds; with both triggers either one rotates."""

    paths: tuple[str, ...]
    """Paths or patterns of them."""
    size_bytes: int | None = None
    age_s: float | None = None
    """Since the last rotation; a log that never was rotated is at once."""
    keep: int = 7
    """Rotated files to keep for each log."""
    max_bytes: int | None = None
    """The most that all rotated files of one log may take."""
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    level: int = 1
    mode: Literal["rename", "copytruncate"] = "rename"
    """`copytruncate` is for writers that never reopen; lines written while it copies may be lost."""
    after: tuple[str, ...] = ()
    """A command to run once when something was rotated, so that the writer reopens."""
    after_timeout_s: float = 60


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one log."""

    path: str
    action: str
    """`rotated`, `left` (nothing to do), `refused` or `failed`."""
    to: str | None = None
    bytes: int = 0
    """Of the log."""
    compressed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    freed_bytes: int = 0
    reason: str | None = None


class RotateReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one rotation ended."""

    exit_code: Exit
    dry_run: bool
    logs: tuple[Rotated, ...] = ()
    rotated: int = 0
    freed_bytes: int = 0
    duration_s: float = 0.0
    message: str | None = None


class Old(msgspec.Struct, frozen=True, kw_only=True):
    """A rotated file, by its name."""

    name: str
    log: str
    at: datetime
    number: int
    is_packed: bool


def rotated_name(log: str, at: datetime, number: int = 0) -> str:
    """Return what a log is called after its rotation; `number` tells those of one second apart."""
    return f"{log}-{at.astimezone(UTC):{_STAMP}}" + (f".{number}" if number else "")


def parse_rotated(name: str) -> Old | None:
    """Return what a name says, or `None` when it is not one of a rotated file."""
    match = _ROTATED.fullmatch(name)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["utc"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    number = int((match["number"] or ".0")[1:])
    return Old(name=name, log=match["log"], at=at, number=number, is_packed=match["ending"] is not None)
