"""`mltop backup drill`: the restore test of a job, run by the wrapper as the derived job that it is (D37)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from mltop.commands.backup.document import BackupsDocument, Drilled, complaint_of, no_more
from mltop.commands.enter import run_wrapped, without_report
from mltop.commands.output import Complaint, complain, is_terminal, write_document, write_lines
from mltop.config.derived import DRILL
from mltop.config.job import JobConfig
from mltop.config.jobs import load_job
from mltop.config.location import state_directory
from mltop.jobs.history.history import History
from mltop.tasks.archive.drill import drill as restore_and_compare
from mltop.tasks.archive.record import Archive, DrillReport
from mltop.tasks.configured import backup_job, drilled, lacks_key
from mltop.tasks.outcome import Control, Exit, UsageError
from mltop.tasks.summary import drill_lines

_SCRATCH = "drill"
"""Below the state's folder."""


def drill(options: argparse.Namespace) -> int:
    """Try a backup; 0 where it can be restored whole, also where there is no key to try it with."""
    if options.target is not None:
        raise UsageError("a drill takes a job: its date is noted in the history")
    if not options.words:
        raise UsageError("expected a job")
    no_more(options.words[1:])
    job = load_job(options.words[0].removesuffix(DRILL) + DRILL, options.config)
    if not lacks_key(drilled(job)):
        backup_job(drilled(job))  # what this version cannot do is said before a run
    code, report = run_wrapped(job.id, options, DrillReport)
    if report and report.is_skipped:
        code = Exit.OK
    missing = () if report else (without_report(job.id, code),)
    if options.json:
        errors: tuple[Complaint, ...] = missing
        if report and code:
            errors = complaint_of(report.message, report.hint, report.job)
        return write_document(BackupsDocument(action="drill", drilled=report, errors=errors)) or code
    if is_terminal():  # the wrapper showed it live
        return code
    complain(missing, options.prog)
    return (write_lines(drill_lines(report)) if report else 0) or code


def last_drills(jobs: Sequence[str], archives: Sequence[Archive], state_dir: str | None) -> tuple[Drilled, ...]:
    """The last restore test of each backup: its run in the history, and what the archives that are here say."""
    state = state_directory(state_dir)
    runs = {} if state is None else History(state).lasts([job + DRILL for job in jobs])
    found = []
    for job in jobs:
        run = runs.get(job + DRILL)
        dates = [each.restored_at for each in archives if each.job == job and each.restored_at is not None]
        found.append(
            Drilled(
                job=job,
                at=run.started_at if run else None,
                state=str(run.state) if run else None,
                reason=(run.last_error_line or run.reason) if run else None,
                restored_at=max(dates, default=None),
            )
        )
    return tuple(found)


def last_drill_line(drilled: Drilled) -> str:
    """`m: last restored whole 2026-11-01 00:00Z; the last drill failed 2026-11-20 00:00Z: …`."""
    whole = f"{drilled.restored_at:%Y-%m-%d %H:%M}Z" if drilled.restored_at else "never"
    line = f"{drilled.job}: last restored whole by a drill: {whole}"
    if drilled.state in (None, "ok"):
        return line
    why = f": {drilled.reason}" if drilled.reason else ""
    return f"{line}; the drill of {(drilled.at or '')[:16].replace('T', ' ')}Z: {drilled.state}{why}"


def drill_job(job: JobConfig, state_dir: str | None, control: Control) -> DrillReport:
    """Do what a derived job asks for; raises `TaskError` for what this version cannot do."""
    backup = drilled(job)
    if lacks_key(backup):
        now = datetime.now(UTC)
        return DrillReport(job=backup.id, exit_code=Exit.OK, is_skipped=True, started_at=now, message="no key")
    state = state_directory(state_dir)
    return restore_and_compare(backup_job(backup), () if state is None else (str(state / _SCRATCH),), control)
