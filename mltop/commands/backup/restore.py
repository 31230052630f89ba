"""`mltop backup restore`: an archive, or paths of it, into a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from mltop.commands.backup.document import BackupsDocument, complaint_of, meant
from mltop.commands.noted import noted
from mltop.commands.output import write_document, write_lines
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.tasks.archive import name, shelf
from mltop.tasks.archive.restore import RestoreJob
from mltop.tasks.archive.restore import restore as extract
from mltop.tasks.archive.target import Target
from mltop.tasks.summary import restore_lines


def restore(options: argparse.Namespace) -> int:
    """Restore; 3 where an entry was refused or something else stood in its place."""
    job, folder, words = meant(options)
    with Target(folder) as target:
        given = words.pop(0) if words and is_id(words[0]) else None
        archive_id = given or shelf.newest(target, job.job if job else None).id
        asked = RestoreJob(
            archive_id=archive_id,
            to=str(Path(options.to).expanduser().absolute()),
            select=tuple(words),
            overwrite=options.overwrite,
            links=options.links,
            dry_run=options.dry_run,
        )
        with terminal_of(None) as terminal, watched(terminal, say_on_error) as (control, cancellation):
            report = extract(target, asked, control)
    code = cancellation.code(report.exit_code)
    if not options.dry_run:
        noted(options, "restore", report.id, to=report.to, bytes=report.restored_bytes, exit_code=code)
    if options.json:
        errors = complaint_of(report.message, report.hint, report.id)
        return write_document(BackupsDocument(action="restore", restored=report, errors=errors)) or code
    return write_lines(restore_lines(report)) or code


def is_id(word: str) -> bool:
    """Whether a word is an archive's id, and no path in one."""
    return name.parse_id(word) is not None or name.foreign(word) is not None
