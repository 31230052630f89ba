"""What the backup commands share: which target is meant, the JSON document, and the end of one that cannot go on."""

from __future__ import annotations

import argparse
from datetime import datetime

import msgspec

from mltop.commands.backup.answer import require_answer
from mltop.commands.output import Complaint, Document, complain, complaints_of, write_document
from mltop.commands.parser import ExitCode
from mltop.config.fault import Fault
from mltop.config.jobs import load_job
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import (
    Archive,
    BackupReport,
    DrillReport,
    PruneReport,
    RestoreReport,
    Source,
    VerifyReport,
)
from mltop.tasks.configured import backup_job, local_target
from mltop.tasks.outcome import Problem, TaskError, UsageError
from mltop.tasks.retention import Keep

SCHEMA = "mltop.backups/1"


class Drilled(msgspec.Struct, frozen=True, kw_only=True):
    """The last restore test of a job, whatever came of it."""

    job: str
    at: str | None = None
    """When it began; `None`: never."""
    state: str | None = None
    """Of that run: `ok`, `failed`, `skipped` …"""
    reason: str | None = None
    restored_at: datetime | None = None
    """When one last restored an archive that is still here."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One target folder and what is in it."""

    target: str
    jobs: tuple[str, ...] = ()
    """Those that write to it; none where it was named by `--target`."""
    status: str = "ok"
    """`ok`, `absent` (not made yet), `timeout`, `error` or `unsupported`."""
    reason: str | None = None
    archives: tuple[Archive, ...] = ()
    drills: tuple[Drilled, ...] = ()
    free_bytes: int | None = None


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """An archive in the trash."""

    id: str
    deleted_at: datetime


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What a job covers, what of it is proven, and what its retention would do."""

    job: str
    sources: tuple[Source, ...] = ()
    target: str
    files: int = 0
    source_bytes: int = 0
    exclude: tuple[str, ...] = ()
    excluded: int = 0
    excluded_bytes: int = 0
    settle_s: float = 0.0
    problems: tuple[Problem, ...] = ()
    """What would make a backup partial now."""
    notes: tuple[Problem, ...] = ()
    hooks: tuple[str, ...] = ()
    keep: Keep
    pruned: PruneReport | None = None
    """What a prune would do now, with every archive's reasons; `None` without a target."""
    newest: Archive | None = None
    drill: Drilled
    next_runs: tuple[str, ...] = ()
    next_drills: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    """How to restore by hand, without mltop."""


class BackupsDocument(Document, frozen=True, kw_only=True):
    """`mltop.backups/1`: each action fills its own keys."""

    schema: str = SCHEMA
    action: str
    targets: tuple[Place, ...] = ()
    created: BackupReport | None = None
    verified: tuple[VerifyReport, ...] = ()
    restored: RestoreReport | None = None
    drilled: DrillReport | None = None
    explained: Explained | None = None
    pruned: PruneReport | None = None
    trash: tuple[Trashed, ...] = ()
    undeleted: tuple[str, ...] = ()


def refuse(options: argparse.Namespace, error: Fault | TaskError) -> int:
    """Say why it cannot be done; the exit code."""
    complaints = complaints_of(error)
    complain(complaints, options.prog)
    if options.json:
        write_document(BackupsDocument(action=action_of(options), errors=complaints))
    return int(error.code) if isinstance(error, TaskError) else ExitCode.USAGE


def action_of(options: argparse.Namespace) -> str:
    """The word after `mltop backup`."""
    return str(options.prog).rpartition(" ")[2]


def complaint_of(message: str | None, hint: str | None, where: str | None = None) -> tuple[Complaint, ...]:
    """A report's own complaint, for `errors`."""
    return (Complaint(message=message, where=where, remedy=hint),) if message else ()


def meant(options: argparse.Namespace) -> tuple[BackupJob | None, str, list[str]]:
    """The job (`None` with `--target`), the target folder, and the words that are left.

    Raises `Fault`, `UsageError`, `EngineError`, and `TaskError` where the target does not answer.
    """
    words = list(options.words)
    if options.target is not None:
        folder = local_target(options.target)
        require_answer(folder)
        return None, folder, words
    if not words:
        raise UsageError("expected a job" if options.is_of_job else "expected a job, or --target DIR")
    job = backup_job(load_job(words[0], options.config))
    require_answer(job.target)
    return job, job.target, words[1:]


def no_more(words: list[str]) -> None:
    """Raise `UsageError` for words that nothing takes."""
    if words:
        raise UsageError(f"not expected: {' '.join(words)}")
