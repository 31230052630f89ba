"""`mltop task KIND JOB`: what the wrapper starts for a built-in kind; not for people (D29).

Its output is the run's log. It ends with the task's own code; by a signal with nothing half done and 128+n.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mltop.commands.enter import Orders, hand_back, orders
from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.config.jobs import load_job
from mltop.tasks.outcome import TaskError, UsageError

if TYPE_CHECKING:
    import argparse

    from mltop.config.job import JobConfig


def _parser() -> Parser:
    parser = Parser(prog="mltop task", description="The inside of mltop run, for built-in kinds.", allow_abbrev=False)
    parser.add_argument("kind", choices=tuple(_TASKS), metavar="KIND", help=", ".join(_TASKS))
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    common(parser)
    return parser


def main(arguments: list[str]) -> int:
    """Do what the job asks for; the task's exit code."""
    options = _parser().parse_args(arguments)
    try:
        job = load_job(options.job, options.config)
        if job.kind != options.kind:
            raise UsageError(f"{job.id} is a {job.kind} job, not a {options.kind} job")
        return _TASKS[options.kind](job, options, orders())
    except Fault as fault:
        sys.stderr.write("".join(f"{line}\n" for line in fault.lines))
        return ExitCode.USAGE
    except TaskError as error:
        sys.stderr.write(f"{error}" + (f" ({error.hint})" if error.hint else "") + "\n")
        return int(error.code)


def _say(line: str) -> None:
    """A line of the log, at once: a run that is killed tells how far it was."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say_all(lines: Sequence[str]) -> None:
    for line in lines:
        _say(line)


def _backup(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    import msgspec

    from mltop.commands.progress import terminal_of, watched
    from mltop.tasks.archive.backup import create
    from mltop.tasks.archive.hooks import with_hooks
    from mltop.tasks.archive.prune import prune_by_hand
    from mltop.tasks.configured import backup_job, hooks_of
    from mltop.tasks.summary import backup_lines, keep_lines, prune_lines

    asked = msgspec.structs.replace(backup_job(job), accept_clock=told.accept_clock)
    if options.dry_run:
        planned = prune_by_hand(asked, dry_run=True)
        _say_all([*keep_lines(planned), *prune_lines(planned)])
        return int(planned.exit_code)
    with terminal_of(told.terminal) as terminal, watched(terminal, _say) as (control, cancellation):
        report = with_hooks(asked, hooks_of(job), control, create)
    hand_back(report)
    _say_all(backup_lines(report))
    return cancellation.code(report.exit_code)


def _drill(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    from mltop.commands.backup.drill import drill_job
    from mltop.commands.progress import terminal_of, watched
    from mltop.jobs.runner.outcome import OVERLAP
    from mltop.tasks.summary import drill_lines

    with terminal_of(told.terminal) as terminal, watched(terminal, _say) as (control, cancellation):
        report = drill_job(job, options.state_dir, control)
    hand_back(report)
    _say_all(drill_lines(report))
    return OVERLAP if report.is_skipped else cancellation.code(report.exit_code)


def _cleanup(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    from mltop.commands.cleanup import clean_job
    from mltop.commands.progress import terminal_of, watched
    from mltop.tasks.summary import cleanup_lines

    with terminal_of(told.terminal) as terminal, watched(terminal, _say) as (control, cancellation):
        report = clean_job(job, options.dry_run, control)
    hand_back(report)
    _say_all(cleanup_lines(report))
    return cancellation.code(_plain(report.exit_code))


def _rotate(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    from mltop.commands.progress import watched
    from mltop.tasks.configured import rotate_rules
    from mltop.tasks.rotate.rotate import rotate
    from mltop.tasks.summary import rotate_lines

    with watched(None, _say) as (control, cancellation):
        report = rotate(rotate_rules(job), options.dry_run, told.force, control)
    hand_back(report)
    _say_all(rotate_lines(report))
    return cancellation.code(_plain(report.exit_code))


def _metrics(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    from mltop.commands.metrics import record_job

    report = record_job(job, options.state_dir, dry_run=options.dry_run)
    hand_back(report)
    _say_all(report.lines())
    if report.has_no_gpu:
        from mltop.jobs.runner.outcome import NO_GPU

        return NO_GPU
    return int(report.exit_code)


def _check(job: JobConfig, options: argparse.Namespace, told: Orders) -> int:
    """The verdict in the log; that the box is not well is no failure of the run (D33)."""
    from mltop.commands.check import command as check
    from mltop.config.job import CheckSpec

    words = ["--no-color"]
    for option, value in (("--config", options.config), ("--state-dir", options.state_dir)):
        words += [option, value] if value else []
    if isinstance(job.spec, CheckSpec) and job.spec.profile is not None:
        words += ["--profile", job.spec.profile]
    code = check.main(words)
    return 0 if code <= 2 else code


def _plain(code: int) -> int:
    """Cleanup and rotation end with 0, 1 or 2: a refusal is a finding (interface: exit codes)."""
    return code if code in (0, 2) or code > 128 else int(ExitCode.FAILED)


_TASKS: Mapping[str, Callable[[JobConfig, argparse.Namespace, Orders], int]] = {
    "backup": _backup,
    "drill": _drill,
    "cleanup": _cleanup,
    "rotate": _rotate,
    "metrics": _metrics,
    "check": _check,
}
