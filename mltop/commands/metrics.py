"""`mltop metrics record JOB` and `mltop metrics show`: what the GPUs did, in daily files."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mltop.commands.output import Document, complain, complaints_of, is_terminal, write, write_document, write_lines
from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.config.job import JobConfig, MetricsSpec
from mltop.config.location import state_directory
from mltop.config.quantity import duration_s
from mltop.model.snapshot import Snapshot, Status
from mltop.tasks.configured import wrong_kind
from mltop.tasks.metrics import Row, append_rows, folder_of, keep, look, read, rows_of, text_of
from mltop.tasks.outcome import Exit, TaskError

SCHEMA = "mltop.metrics/1"
_ACTIONS = ("record", "show")


class MetricsReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one recording ended."""

    exit_code: Exit = Exit.OK
    dry_run: bool = False
    path: str | None = None
    rows: tuple[Row, ...] = ()
    removed: tuple[str, ...] = ()
    """Files whose days were over."""
    has_no_gpu: bool = False
    message: str | None = None

    def lines(self) -> list[str]:
        """For people, and for the run's log."""
        lost = [f"  GPU {row.index}: {row.status}: {row.reason}" for row in self.rows if row.status != "ok"]
        count = sum(row.kind == "gpu" for row in self.rows)
        verb = "would record" if self.dry_run else "recorded"
        lines = [f"metrics: {verb} {count} GPUs and the host" + (f" in {self.path}" if self.path else ""), *lost]
        lines += [f"  removed {name}" for name in self.removed]
        return [*lines, f"metrics: {self.message}"] if self.message else lines


class MetricsDocument(Document, frozen=True, kw_only=True):
    """`mltop.metrics/1`."""

    schema: str = SCHEMA
    folder: str | None = None
    report: MetricsReport | None = None
    rows: tuple[Row, ...] = ()


def main(arguments: list[str]) -> int:
    """Record or show; 0 done, 1 failed, 2 wrong usage or config."""
    if arguments[:1] == ["record"]:
        return _record(arguments[1:])
    if arguments[:1] == ["show"]:
        return _show(arguments[1:])
    parser = Parser(prog="mltop metrics", description="GPU metrics in daily files.", allow_abbrev=False)
    parser.add_argument("action", choices=_ACTIONS, help="record: one run of a job; show: a table and plots")
    parser.parse_args(arguments[:1])
    return ExitCode.USAGE


def _record(arguments: list[str]) -> int:
    from mltop.config.jobs import load_job

    parser = Parser(prog="mltop metrics record", description="Record once, as the schedule does.", allow_abbrev=False)
    parser.add_argument("job", metavar="JOB", help="a job of kind metrics")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    common(parser)
    options = parser.parse_args(arguments)
    try:
        job = load_job(options.job, options.config)
        _spec(job)
    except (Fault, TaskError) as error:
        complaints = complaints_of(error)
        complain(complaints, parser.prog)
        if options.json:
            write_document(MetricsDocument(errors=complaints))
        return ExitCode.USAGE
    from mltop.commands.enter import run_wrapped, without_report

    code, report = run_wrapped(job.id, options, MetricsReport)
    missing = () if report else (without_report(job.id, code),)
    code = code if code in (0, 2) or code > 100 else int(ExitCode.FAILED)
    if options.json:
        return write_document(MetricsDocument(report=report, errors=missing)) or code
    if not is_terminal():
        complain(missing, parser.prog)
        return (write_lines(report.lines()) if report else 0) or code
    return code


def _spec(job: JobConfig) -> MetricsSpec:
    if not isinstance(job.spec, MetricsSpec):
        raise wrong_kind(job, "metrics")
    return job.spec


def record_job(job: JobConfig, state_dir: str | None, *, dry_run: bool) -> MetricsReport:
    """Look once and append the lines; raises `TaskError`. The host is recorded also where there is no GPU."""
    spec = _spec(job)
    snapshot = look()
    rows = tuple(rows_of(snapshot))
    has_no_gpu = snapshot.driver.status is Status.ABSENT and not snapshot.gpus
    message = "no GPU" if has_no_gpu else _driver_fault(snapshot)
    code = Exit.FAILED if message and not has_no_gpu else Exit.OK
    report = MetricsReport(exit_code=code, dry_run=dry_run, rows=rows, has_no_gpu=has_no_gpu, message=message)
    if dry_run:
        return report
    folder = _folder(state_dir)
    path = append_rows(folder, rows, spec.format)
    removed = keep(folder, spec.keep_days, datetime.now(UTC).date())
    return msgspec.structs.replace(report, path=str(path), removed=tuple(removed))


def _driver_fault(snapshot: Snapshot) -> str | None:
    """Why the GPUs' numbers are not there; one that is lost among others has its own line."""
    if snapshot.driver.status in (Status.OK, Status.ABSENT):
        return None
    return f"driver: {snapshot.driver.reason or snapshot.driver.status.value}"


def _folder(state_dir: str | None) -> Path:
    state = state_directory(state_dir)
    if state is None:
        raise TaskError("no place for metrics: HOME is not set", "name one with --state-dir")
    return folder_of(state)


def _show(arguments: list[str]) -> int:
    options = _show_parser().parse_args(arguments)
    try:
        folder = _folder(options.state_dir)
        rows = read(folder, options.since, options.gpu)
    except TaskError as error:
        complaints = complaints_of(error)
        complain(complaints, "mltop metrics show")
        if options.json:
            write_document(MetricsDocument(errors=complaints))
        return ExitCode.FAILED
    if options.json:
        return write_document(MetricsDocument(folder=str(folder), rows=tuple(rows)))
    if options.csv:
        return write(text_of(rows))
    if not rows:
        return write_lines([f"nothing recorded in that time in {folder}"])
    from mltop.commands.metrics_text import shown

    return write_lines(shown(rows, options.since, is_one=options.gpu is not None, ascii_only=options.ascii))


def _show_parser() -> Parser:
    parser = Parser(prog="mltop metrics show", description="What was recorded, as a table and plots.")
    parser.add_argument("--since", type=_seconds, default=86400.0, metavar="D", help="as 90m, 6h, 7d (default 24h)")
    parser.add_argument("--gpu", type=int, metavar="N", help="one GPU, by its index")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one JSON document")
    forms.add_argument("--csv", action="store_true", help="the lines as they are kept")
    parser.add_argument("--ascii", action="store_true", help="plots in ASCII")
    common(parser)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = duration_s(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3650 * 86400:
        raise argparse.ArgumentTypeError(f"expected a duration as 90m, 6h or 7d, got {text!r}")
    return seconds
