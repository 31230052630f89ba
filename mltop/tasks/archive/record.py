"""What is written down about an archive: its entries, its manifest's head, and the reports for the caller."""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from mltop.tasks.outcome import Exit, Problem
from mltop.tasks.retention import Choice

Kind = Literal["file", "dir", "symlink", "hardlink"]


class State(StrEnum):
    """What an archive is worth. Only `verified` counts for retention."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    """Whole and read back, but something of the source is not in it, or not in a consistent state."""
    FAILED = "failed"
    CORRUPT = "corrupt"
    MISSING = "missing"
    """A manifest without its archive."""
    UNSEALED = "unsealed"
    """An archive without its manifest: not a backup, kept, never deleted."""
    FOREIGN = "foreign"
    """Of the scripts before; readable, never deleted."""
    UNCHANGED = "unchanged"
    """Of a run, not of an archive: the newest verified archive still is the source."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of an archive. Paths are as in the tar; `*_bytes` hold those that are not valid UTF-8."""

    path: str
    kind: Kind
    member: int
    """Which member of the tar holds it, from 0: a file that had to be read again is there more than once."""
    size: int = 0
    mode: int = 0
    mtime_ns: int = 0
    sha256: str | None = None
    """Of the content as stored, holes as zeros; files only."""
    target: str | None = None
    stored_bytes: int | None = None
    """Of a sparse file: how much of it is data."""
    status: str = "ok"
    """`ok`, `changed` (inconsistent: it was written to while it was read) or `unreadable`."""
    reason: str | None = None
    path_bytes: bytes | None = None
    target_bytes: bytes | None = None

    @property
    def name(self) -> str:
        """The exact path, with surrogate escapes where it is not UTF-8."""
        return self.path if self.path_bytes is None else os.fsdecode(self.path_bytes)

    @property
    def link(self) -> str | None:
        """The exact target of a link."""
        return self.target if self.target_bytes is None else os.fsdecode(self.target_bytes)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A source and what it is called in the tar."""

    path: str
    name: str


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What went in."""

    files: int = 0
    directories: int = 0
    links: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    """The same without the holes of sparse files."""
    archive_bytes: int = 0
    excluded: int = 0
    excluded_bytes: int = 0


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """A moment on two clocks, so that a jump of one shows: wall time, and seconds since this boot with sleep."""

    wall: datetime
    boot_id: str
    since_boot_s: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a manifest: everything but the entries."""

    schema: str = "mltop.archive/1"
    id: str
    job: str
    sequence: int
    archive: str
    """The archive's file name, beside the manifest."""
    state: State
    host: str
    version: str
    """Of mltop; `libraries` has those of what packed it."""
    libraries: dict[str, str] = {}
    created: Clock
    sources: tuple[Source, ...]
    compression: str
    level: int
    fingerprint: str
    """Of the source's names, sizes, times and modes, and of the options that choose from it."""
    statistics: Statistics
    archive_sha256: str
    sums_sha256: str
    entries_sha256: str
    entries: int
    verified_at: datetime | None = None
    restored_at: datetime | None = None
    """When a drill last restored it and found it whole."""
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """One archive in a list."""

    id: str
    state: State
    path: str
    job: str | None = None
    sequence: int | None = None
    created: datetime | None = None
    verified_at: datetime | None = None
    restored_at: datetime | None = None
    """When a drill last restored it and found it whole."""
    archive_bytes: int | None = None
    source_bytes: int | None = None
    files: int | None = None
    problems: int = 0
    reason: str | None = None


class PruneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What retention did, or would do."""

    exit_code: Exit = Exit.OK
    dry_run: bool = False
    choices: tuple[Choice, ...] = ()
    removed: tuple[str, ...] = ()
    """Ids that went to the trash (would go, in a dry run)."""
    removed_bytes: int = 0
    purged: tuple[str, ...] = ()
    """File names whose time in the trash was over."""
    purged_bytes: int = 0
    message: str | None = None
    hint: str | None = None


class BackupReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one backup ended."""

    job: str
    state: State
    exit_code: Exit
    message: str | None = None
    hint: str | None = None
    id: str | None = None
    path: str | None = None
    statistics: Statistics | None = None
    verified: str | None = None
    """How: `read back: SHA-256 of the archive and of every file`."""
    verified_at: datetime | None = None
    started_at: datetime
    scan_s: float = 0.0
    write_s: float = 0.0
    verify_s: float = 0.0
    duration_s: float = 0.0
    problems: tuple[Problem, ...] = ()
    """What makes it partial."""
    notes: tuple[Problem, ...] = ()
    prune: PruneReport | None = None
    remaining: int | None = None
    """Archives of this job in the target now."""
    target_bytes: int | None = None
    """All of this job's files in the target."""
    free_bytes: int | None = None


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What reading an archive back said."""

    id: str
    path: str
    state: State
    exit_code: Exit
    level: int
    files: int = 0
    source_bytes: int = 0
    archive_bytes: int = 0
    archive_sha256: str | None = None
    duration_s: float = 0.0
    problems: tuple[Problem, ...] = ()
    message: str | None = None


class Restored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one entry."""

    path: str
    kind: str
    result: str
    """`restored`, `same` (was there, equal), `exists` (was there, different, left alone), `skipped`, `refused` or
    `failed`."""
    size: int = 0
    reason: str | None = None


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one restore ended; `entries` has everything but what was restored without a word."""

    id: str
    path: str
    to: str
    exit_code: Exit
    dry_run: bool = False
    counts: dict[str, int] = {}
    restored_bytes: int = 0
    entries: tuple[Restored, ...] = ()
    duration_s: float = 0.0
    message: str | None = None
    hint: str | None = None


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one restore test ended."""

    job: str
    """The backup's id."""
    exit_code: Exit
    is_skipped: bool = False
    """Not tried: what the backup is encrypted with is not on this box."""
    id: str | None = None
    """The archive that was restored."""
    created: datetime | None = None
    files: int = 0
    """All of its files, where all are as they were backed up."""
    restored_bytes: int = 0
    started_at: datetime
    duration_s: float = 0.0
    problems: tuple[Problem, ...] = ()
    message: str | None = None
    hint: str | None = None
