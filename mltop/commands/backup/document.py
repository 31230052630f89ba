"""What the backup commands share: which target is meant, the JSON document, and the end of one that cannot go on."""

from __future__ import annotations

import argparse
from datetime import datetime

import msgspec

from mltop.commands.output import Complaint, Document, complain, complaints_of, write_document
from mltop.commands.parser import ExitCode
from mltop.config.fault import Fault
from mltop.config.jobs import load_job
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import Archive, BackupReport, PruneReport, RestoreReport, VerifyReport
from mltop.tasks.configured import backup_job, local_target
from mltop.tasks.outcome import TaskError, UsageError

SCHEMA = "mltop.backups/1"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One target folder and what is in it."""

    target: str
    jobs: tuple[str, ...] = ()
    """Those that write to it; none where it was named by `--target`."""
    status: str = "ok"
    """`ok`, `absent` (not made yet), `timeout`, `error` or `unsupported`."""
    reason: str | None = None
    archives: tuple[Archive, ...] = ()
    free_bytes: int | None = None


class Trashed(msgspec.Struct, frozen=True, kw_only=True):
    """An archive in the trash."""

    id: str
    deleted_at: datetime


class BackupsDocument(Document, frozen=True, kw_only=True):
    """`mltop.backups/1`: each action fills its own keys."""

    schema: str = SCHEMA
    action: str
    targets: tuple[Place, ...] = ()
    created: BackupReport | None = None
    verified: tuple[VerifyReport, ...] = ()
    restored: RestoreReport | None = None
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

    Raises `Fault`, `UsageError`, `EngineError`.
    """
    words = list(options.words)
    if options.target is not None:
        return None, local_target(options.target), words
    if not words:
        raise UsageError("expected a job, or --target DIR")
    job = backup_job(load_job(words[0], options.config))
    return job, job.target, words[1:]


def no_more(words: list[str]) -> None:
    """Raise `UsageError` for words that nothing takes."""
    if words:
        raise UsageError(f"not expected: {' '.join(words)}")
