"""`mltop backup verify`, `prune` and `undelete`: the care of what is on the shelf."""

from __future__ import annotations

import argparse

import msgspec

from mltop.commands.backup.document import BackupsDocument, Trashed, complaint_of, meant, no_more
from mltop.commands.backup.restore import is_id
from mltop.commands.noted import noted
from mltop.commands.output import Complaint, table, write_document, write_lines
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.tasks.archive import shelf
from mltop.tasks.archive.prune import prune_by_hand, trash
from mltop.tasks.archive.prune import undelete as bring_back
from mltop.tasks.archive.record import State, VerifyReport
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import verify as check
from mltop.tasks.outcome import CancelledError, Exit, UsageError
from mltop.tasks.summary import keep_lines, prune_lines, verify_lines

_READABLE = (State.VERIFIED, State.PARTIAL, State.CORRUPT, State.MISSING, State.FOREIGN)


def verify(options: argparse.Namespace) -> int:
    """Read archives back; 4 where one of them is not what it was."""
    job, folder, words = meant(options)
    for word in words:
        if not is_id(word):
            raise UsageError(f"{word!r} is not the id of an archive")
    whose = job.job if job else None
    reports: list[VerifyReport] = []
    code = 0
    with Target(folder) as target:
        wanted = _wanted(target, whose, words, every=options.all)
        with terminal_of(None) as terminal, watched(terminal, say_on_error) as (control, cancellation):
            try:
                for each in wanted:
                    reports.append(check(target, each, control, options.level))
            except CancelledError as error:
                code = cancellation.code(error.code)
    code = code or max((int(each.exit_code) for each in reports), default=0)
    errors = tuple(
        Complaint(message=each.message or f"{each.state.value}", where=each.path)
        for each in reports
        if each.exit_code is not Exit.OK
    )
    if options.json:
        return write_document(BackupsDocument(action="verify", verified=tuple(reports), errors=errors)) or code
    return write_lines([line for each in reports for line in verify_lines(each)] or ["no archives"]) or code


def _wanted(target: Target, job: str | None, words: list[str], *, every: bool) -> list[str]:
    if words:
        return words
    if not every:
        return [shelf.newest(target, job).id]
    return [each.id for each in shelf.archives(target, job) if each.state in _READABLE]


def prune(options: argparse.Namespace) -> int:
    """Apply the retention; 5 where a guard says no."""
    job, _, words = meant(options)
    no_more(words)
    if job is None:
        raise UsageError("prune takes a job: only a job says what is to stay")
    asked = msgspec.structs.replace(job, accept_clock=options.accept_clock)
    report = prune_by_hand(asked, options.dry_run)
    if not options.dry_run:
        removed = " ".join((*report.removed, *report.purged))
        noted(options, "prune", job.job, removed=removed, bytes=report.removed_bytes, exit_code=int(report.exit_code))
    if options.json:
        errors = complaint_of(report.message, report.hint, job.job)
        return write_document(BackupsDocument(action="prune", pruned=report, errors=errors)) or int(report.exit_code)
    plan = keep_lines(report) if options.dry_run else []
    return write_lines([f"prune {job.job}", *plan, *prune_lines(report)]) or int(report.exit_code)


def undelete(options: argparse.Namespace) -> int:
    """Bring back what retention removed, or list it."""
    job, folder, words = meant(options)
    if job is None:
        raise UsageError("undelete takes a job")
    no_more(words[1:])
    with Target(folder) as target:
        there = tuple(Trashed(id=archive_id, deleted_at=at) for archive_id, at in trash(target, job.job))
        back = tuple(file for word in words for file in bring_back(target, word))
    if words:
        noted(options, "undelete", job.job, brought_back=" ".join(back))
    if options.json:
        return write_document(BackupsDocument(action="undelete", trash=there, undeleted=back))
    if words:
        return write_lines([f"brought back {each}" for each in back])
    if not there:
        return write_lines(["the trash is empty"])
    rows = [(f"{each.deleted_at:%Y-%m-%d %H:%M}", each.id) for each in there]
    return write_lines(table(("DELETED (UTC)", "ID"), rows))
