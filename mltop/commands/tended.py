"""A command that is one run of a job: by the wrapper where it acts, at once where it only says what it would do."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from mltop.commands.enter import Orders, run_wrapped, without_report
from mltop.commands.output import Complaint, Document, complain, complaints_of, is_terminal, write_document, write_lines
from mltop.commands.parser import ExitCode
from mltop.config.fault import Fault
from mltop.config.job import JobConfig
from mltop.config.jobs import load_job
from mltop.tasks.outcome import TaskError

Report = TypeVar("Report", bound=msgspec.Struct)


class TendedDocument(Document, Generic[Report], frozen=True, kw_only=True):
    """`mltop.cleanup/1` and `mltop.rotate/1`: a job and the report of its run."""

    job: str
    report: Report | None = None


class Tending(NamedTuple, Generic[Report]):
    """What tells one such command from another."""

    schema: str
    kind: type[Report]
    check: Callable[[JobConfig], object]
    """Raises `TaskError` for a job that is none of this command's."""
    look: Callable[[JobConfig], tuple[int, Report]]
    """The dry run: exit code and report."""
    lines: Callable[[Report], list[str]]


def tend(of: Tending[Report], options: argparse.Namespace, prog: str, more: Orders | None = None) -> int:
    """Do it; 0 done, 1 failed or refused, 2 wrong usage or config, 130 and 143 stopped."""
    report: Report | None
    try:
        job = load_job(options.job, options.config)
        of.check(job)
        code, report = of.look(job) if options.dry_run else run_wrapped(job.id, options, of.kind, more)
    except (Fault, TaskError) as error:
        return _end(of, options, prog, ExitCode.USAGE, complaints=complaints_of(error))
    missing = () if report else (without_report(job.id, code),)
    code = code if code in (0, 2) or code > 100 else int(ExitCode.FAILED)
    return _end(of, options, prog, code, report, missing)


def _end(
    of: Tending[Report],
    options: argparse.Namespace,
    prog: str,
    code: int,
    report: Report | None = None,
    complaints: Sequence[Complaint] = (),
) -> int:
    if options.json:
        if code == ExitCode.USAGE:
            complain(complaints, prog)
        document = TendedDocument(schema=of.schema, job=options.job, report=report, errors=tuple(complaints))
        return write_document(document) or code
    if code == ExitCode.USAGE or options.dry_run or not is_terminal():  # else the wrapper showed it live
        complain(complaints, prog)
        return (write_lines(of.lines(report)) if report else 0) or code
    return code
