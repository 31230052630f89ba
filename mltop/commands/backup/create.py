"""`mltop backup create`: a job's by the wrapper; of two folders at once, with neither config nor history."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from mltop.commands.backup.document import BackupsDocument, complaint_of, meant, no_more
from mltop.commands.enter import Orders, run_wrapped, without_report
from mltop.commands.output import Complaint, complain, is_terminal, write_document, write_lines
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.config.field import duration
from mltop.config.job import SETTLE_S
from mltop.tasks.archive.backup import create as make
from mltop.tasks.archive.job import UNFINISHED, BackupJob
from mltop.tasks.archive.record import BackupReport
from mltop.tasks.configured import local_target
from mltop.tasks.outcome import Exit, UsageError
from mltop.tasks.retention import Keep
from mltop.tasks.summary import backup_lines


def create(options: argparse.Namespace) -> int:
    """Make one backup."""
    missing: tuple[Complaint, ...] = ()
    report: BackupReport | None
    if options.source or options.target is not None:
        code, report = _of_folders(options)
        was_shown = False
    else:
        job, _, words = meant(options)
        no_more(words)
        assert job is not None
        more = Orders(accept_clock=options.accept_clock)
        code, report = run_wrapped(job.job, options, BackupReport, more)
        missing = () if report else (without_report(job.job, code),)
        was_shown = is_terminal()
    if options.json:
        errors = missing or (complaint_of(report.message, report.hint, report.job) if report and code else ())
        return write_document(BackupsDocument(action="create", created=report, errors=errors)) or code
    if was_shown:
        return code
    complain(missing, options.prog)
    return (write_lines(backup_lines(report)) if report else 0) or code


def _of_folders(options: argparse.Namespace) -> tuple[int, BackupReport]:
    no_more(options.words)
    if not options.source or options.target is None:
        raise UsageError("--source and --target go together")
    if not 1 <= options.level <= (19 if options.compression == "zstd" else 9):
        raise UsageError(f"--level: {options.compression} has no level {options.level}")
    if options.keep_days is not None and options.keep_days < 1:
        raise UsageError("--keep-days: expected 1 or more")
    job = BackupJob(
        job=options.id or _id_of(options.source[0]),
        sources=tuple(str(Path(each).expanduser().absolute()) for each in options.source),
        target=local_target(options.target),
        compression=options.compression,
        level=options.level,
        exclude=tuple(options.exclude) or UNFINISHED,
        # nobody said what may go: nothing does
        keep=Keep() if options.keep_days is None else Keep.days(options.keep_days),
        settle_s=SETTLE_S if options.settle is None else _seconds(options.settle),
        accept_clock=options.accept_clock,
    )
    with terminal_of(None) as terminal, watched(terminal, say_on_error) as (control, cancellation):
        report = make(job, control)
    code = Exit(cancellation.code(report.exit_code))
    return int(code), report


def _seconds(text: str) -> float:
    try:
        return duration(text)
    except ValueError:
        raise UsageError(f"--settle: expected a duration such as 60s, got {text!r}") from None


def _id_of(source: str) -> str:
    """A job's id from the name of a folder."""
    name = Path(source).expanduser().resolve().name.lower()
    return re.sub(r"[^a-z0-9_-]+", "-", name).strip("-_")[:63] or "backup"
