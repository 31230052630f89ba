"""`mltop rotate JOB`: a real run by the wrapper, a dry run at once; `mltop rotate export`: the same for logrotate."""

from __future__ import annotations

import sys
from pathlib import Path

from mltop.commands.enter import Orders
from mltop.commands.output import complain, complaints_of, write
from mltop.commands.parser import ExitCode, Parser, common
from mltop.commands.tended import Tending, tend
from mltop.config.fault import Fault
from mltop.config.job import JobConfig, RotateSpec
from mltop.config.jobs import load_job, load_jobs
from mltop.system.file import write_named
from mltop.tasks.configured import rotate_rules
from mltop.tasks.outcome import EngineError, TaskError, UsageError, os_reason
from mltop.tasks.rotate import logrotate
from mltop.tasks.rotate.rotate import rotate
from mltop.tasks.rotate.rule import RotateReport
from mltop.tasks.summary import rotate_lines


def main(arguments: list[str]) -> int:
    """Rotate or export; 0 done, 1 failed or refused, 2 wrong usage or config."""
    if arguments[:1] == ["export"]:
        return _export(arguments[1:])
    parser = Parser(
        prog="mltop rotate",
        usage="mltop rotate JOB [--dry-run] [--force] [--json]\n       mltop rotate export [JOB] [-o FILE]",
        description="Rotate logs by the rules of a job.",
        allow_abbrev=False,
    )
    parser.add_argument("job", metavar="JOB", help="a job of kind rotate")
    parser.add_argument("--dry-run", action="store_true", help="say what would be rotated, and touch nothing")
    parser.add_argument("--force", action="store_true", help="rotate every log that is not empty, due or not")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    common(parser)
    options = parser.parse_args(arguments)

    def look(job: JobConfig) -> tuple[int, RotateReport]:
        report = rotate(rotate_rules(job), dry_run=True, force=options.force)
        return int(report.exit_code), report

    of = Tending("mltop.rotate/1", RotateReport, rotate_rules, look, rotate_lines)
    return tend(of, options, parser.prog, Orders(force=options.force))


def _export(arguments: list[str]) -> int:
    parser = Parser(
        prog="mltop rotate export",
        description="The rules as a file for logrotate, for who wants the system's tool; mltop then leaves those logs.",
        allow_abbrev=False,
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="a job of kind rotate (default: all of them)")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write it there, 0644 (default: standard output)")
    common(parser)
    options = parser.parse_args(arguments)
    try:
        jobs = [load_job(options.job, options.config)] if options.job else _rotating(options.config)
        text = logrotate.render({job.id: rotate_rules(job) for job in jobs})
    except (Fault, TaskError) as error:
        complain(complaints_of(error), parser.prog)
        return ExitCode.USAGE
    code = _written(text, options.output, parser.prog)
    try:
        faults = logrotate.faults_of(text)
    except EngineError as missing:
        sys.stderr.write(f"{parser.prog}: {missing}: not validated\n")
        return code
    for fault in faults:
        sys.stderr.write(f"{parser.prog}: logrotate: {fault}\n")
    return ExitCode.FAILED if faults else code


def _rotating(config: str | None) -> list[JobConfig]:
    found = load_jobs(config)
    if found.faults:
        raise Fault(found.faults)
    jobs = [job for job in found.jobs.values() if isinstance(job.spec, RotateSpec)]
    if not jobs:
        raise UsageError("no job of kind rotate in the config", "mltop init writes one")
    return jobs


def _written(text: str, output: str | None, prog: str) -> int:
    if output is None:
        return write(text)
    try:
        write_named(Path(output), text.encode("utf-8", "surrogateescape"), 0o644)
    except OSError as error:
        sys.stderr.write(f"{prog}: {output}: {os_reason(error)}\n")
        return ExitCode.FAILED
    return ExitCode.DONE
