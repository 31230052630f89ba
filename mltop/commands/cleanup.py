"""`mltop cleanup JOB`: a real run by the wrapper, a dry run at once."""

from __future__ import annotations

import os

import msgspec

from mltop.commands.parser import Parser, common
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.commands.tended import Tending, tend
from mltop.config.job import JobConfig
from mltop.tasks.cleanup.clean import CleanupReport, clean
from mltop.tasks.cleanup.profile import clean_pip, folders_of
from mltop.tasks.configured import cleanup_job, profiles_of
from mltop.tasks.outcome import Control, Exit
from mltop.tasks.summary import cleanup_lines


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
    return tend(
        Tending("mltop.cleanup/1", CleanupReport, cleanup_job, _look, cleanup_lines),
        parser.parse_args(arguments),
        parser.prog,
    )


def _look(job: JobConfig) -> tuple[int, CleanupReport]:
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
