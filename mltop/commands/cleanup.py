"""`mltop cleanup JOB`: a real run by the wrapper, a dry run at once."""

from __future__ import annotations

import argparse
import os

import msgspec

from mltop.commands.enter import run_wrapped, without_report
from mltop.commands.output import Complaint, Document, complain, complaints_of, is_terminal, write_document, write_lines
from mltop.commands.parser import ExitCode, Parser, common
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.config.fault import Fault
from mltop.config.job import JobConfig
from mltop.config.jobs import load_job
from mltop.tasks.cleanup.clean import CleanupReport, clean
from mltop.tasks.cleanup.profile import clean_pip, folders_of
from mltop.tasks.configured import cleanup_job, profiles_of
from mltop.tasks.outcome import Control, Exit, TaskError
from mltop.tasks.summary import cleanup_lines

SCHEMA = "mltop.cleanup/1"


class CleanupDocument(Document, frozen=True, kw_only=True):
    """`mltop.cleanup/1`."""

    schema: str = SCHEMA
    job: str
    report: CleanupReport | None = None


def main(arguments: list[str]) -> int:
    """Clean; 0 done, 1 failed or refused, 2 wrong usage or config."""
    parser = Parser(
        prog="mltop cleanup",
        description="Remove old files from the folders of a job: what is open, young or elsewhere stays.",
        allow_abbrev=False,
    )
    parser.add_argument("job", metavar="JOB", help="a job of kind cleanup")
    parser.add_argument("--dry-run", action="store_true", help="the same without the removing: what would go, and why")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    common(parser)
    options = parser.parse_args(arguments)
    try:
        job = load_job(options.job, options.config)
        cleanup_job(job)  # of this kind
        code, report = _dry(job) if options.dry_run else run_wrapped(job.id, options, CleanupReport)
    except (Fault, TaskError) as error:
        return _refuse(options, complaints_of(error))
    missing = () if report else (without_report(job.id, code),)
    code = code if code in (0, 2) or code > 100 else int(ExitCode.FAILED)
    if options.json:
        return write_document(CleanupDocument(job=job.id, report=report, errors=missing)) or code
    if options.dry_run or not is_terminal():  # else the wrapper showed it live
        complain(missing, parser.prog)
        return (write_lines(cleanup_lines(report)) if report else 0) or code
    return code


def _refuse(options: argparse.Namespace, complaints: tuple[Complaint, ...]) -> int:
    complain(complaints, "mltop cleanup")
    if options.json:
        write_document(CleanupDocument(job=options.job, errors=complaints))
    return ExitCode.USAGE


def _dry(job: JobConfig) -> tuple[int, CleanupReport]:
    with terminal_of(None) as terminal, watched(terminal, say_on_error) as (control, cancellation):
        report = clean_job(job, True, control)
    return cancellation.code(report.exit_code), report


def clean_job(job: JobConfig, dry_run: bool, control: Control) -> CleanupReport:
    """Clean what a job names, its profiles too; raises `UsageError` before anything is touched."""
    asked = cleanup_job(job)
    profiles = profiles_of(job)
    folders = folders_of(profiles, os.environ.get("USER") or str(os.geteuid()))
    report = clean(msgspec.structs.replace(asked, paths=(*asked.paths, *folders)), dry_run, control)
    if "pip" not in profiles or report.exit_code in (Exit.CANCELLED, Exit.TERMINATED):
        return report
    pip = clean_pip(dry_run)
    code = Exit.FAILED if pip.problems and report.exit_code is Exit.OK else report.exit_code
    return msgspec.structs.replace(
        report,
        exit_code=code,
        paths=(*report.paths, pip),
        files_removed=report.files_removed + pip.files_removed,
        bytes_removed=report.bytes_removed + pip.bytes_removed,
    )
