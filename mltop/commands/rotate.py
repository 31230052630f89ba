"""`mltop rotate JOB`: a real run by the wrapper, a dry run at once."""

from __future__ import annotations

import argparse

from mltop.commands.enter import Orders, run_wrapped, without_report
from mltop.commands.output import Complaint, Document, complain, complaints_of, is_terminal, write_document, write_lines
from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.config.jobs import load_job
from mltop.tasks.configured import rotate_rules
from mltop.tasks.outcome import TaskError
from mltop.tasks.rotate.rotate import rotate
from mltop.tasks.rotate.rule import RotateReport
from mltop.tasks.summary import rotate_lines

SCHEMA = "mltop.rotate/1"


class RotateDocument(Document, frozen=True, kw_only=True):
    """`mltop.rotate/1`."""

    schema: str = SCHEMA
    job: str
    report: RotateReport | None = None


def main(arguments: list[str]) -> int:
    """Rotate; 0 done, 1 failed or refused, 2 wrong usage or config."""
    parser = Parser(prog="mltop rotate", description="Rotate logs by the rules of a job.", allow_abbrev=False)
    parser.add_argument("job", metavar="JOB", help="a job of kind rotate")
    parser.add_argument("--dry-run", action="store_true", help="say what would be rotated, and touch nothing")
    parser.add_argument("--force", action="store_true", help="rotate every log that is not empty, due or not")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    common(parser)
    options = parser.parse_args(arguments)
    report: RotateReport | None
    try:
        job = load_job(options.job, options.config)
        rules = rotate_rules(job)
        if options.dry_run:
            report = rotate(rules, dry_run=True, force=options.force)
            code = int(report.exit_code)
        else:
            code, report = run_wrapped(job.id, options, RotateReport, Orders(force=options.force))
    except (Fault, TaskError) as error:
        return _refuse(options, complaints_of(error))
    missing = () if report else (without_report(job.id, code),)
    code = code if code in (0, 2) or code > 100 else int(ExitCode.FAILED)
    if options.json:
        return write_document(RotateDocument(job=job.id, report=report, errors=missing)) or code
    if options.dry_run or not is_terminal():  # else the wrapper showed it live
        complain(missing, parser.prog)
        return (write_lines(rotate_lines(report)) if report else 0) or code
    return code


def _refuse(options: argparse.Namespace, complaints: tuple[Complaint, ...]) -> int:
    complain(complaints, "mltop rotate")
    if options.json:
        write_document(RotateDocument(job=options.job, errors=complaints))
    return ExitCode.USAGE
