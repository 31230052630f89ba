"""`mltop run JOB` and `mltop run -- CMD`: what a crontab line or a unit calls. Prints nothing where nobody looks."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mltop.commands.parser import Parser, common
from mltop.config.derived import DRILL
from mltop.config.event_path import event_path
from mltop.config.fault import Fault
from mltop.config.job import CommandSpec, JobConfig
from mltop.config.location import state_directory
from mltop.config.quantity import duration_s
from mltop.jobs.history.history import History
from mltop.jobs.place import Place, fallback, memory_folder
from mltop.jobs.runner import command, preparation
from mltop.jobs.runner.child import Plan
from mltop.jobs.runner.environment import EnvironmentFault
from mltop.jobs.runner.outcome import WRAPPER
from mltop.jobs.runner.runner import Request, Runner
from mltop.jobs.runner.screen import Screen

_FOR_EVER_RUNS = 100_000
"""As many as a config can ask for: a line that stays in a crontab without its job fills no disk."""
_FOR_EVER_DAYS = 36_500
_FOR_EVER_BYTES = 1 << 62
_TRIGGERS = ("schedule", "manual", "catch-up")


class _Parser(Parser):
    """A wrapper's own fault has a code of its own: 2 may be the command's."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRAPPER, f"mltop run: {message} (see mltop run --help)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="mltop run",
        usage="mltop run JOB [--trigger T] [--dry-run]\n       mltop run [--id ID] [--timeout D] -- CMD ...",
        description="Run a job, or any command, with a lock, a time limit, a log and a line in the history.",
        epilog="Exit codes: the command's own, 128+n for signal n; 124 time limit, 75 skipped because it runs already,"
        " 125 mltop itself failed, 126 not executable, 127 not found.",
        allow_abbrev=False,
        # a width of its own: to ask the terminal for it loads the compression libraries (shutil)
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="a job of the config")
    parser.add_argument("--trigger", choices=_TRIGGERS, help="who asks (default: manual on a terminal, else schedule)")
    parser.add_argument("--scheduled-for", metavar="TIME", help=argparse.SUPPRESS)
    parser.add_argument("--catch-up", action="store_true", help="start what is persistent and was missed, once")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and run nothing")
    parser.add_argument("--id", type=_id, metavar="ID", help="with a command: its name in the history, and its lock")
    parser.add_argument("--timeout", type=_seconds, metavar="D", help="with a command: its time limit, as 90s, 15m, 4h")
    common(parser)
    return parser


def _id(text: str) -> str:
    if not command.JOB_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected lower-case letters, digits, - and _, got {text!r}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = duration_s(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a duration as 90s, 15m or 4h, got {text!r}") from None
    return seconds


def main(arguments: list[str]) -> int:
    """Run it; the exit code is the command's own, or says why there is none."""
    words = arguments[arguments.index("--") + 1 :] if "--" in arguments else None
    parser = _parser()
    options = parser.parse_args(arguments[: arguments.index("--")] if words is not None else arguments)
    _check(parser, options, words)
    options.trigger = options.trigger or _trigger()
    if options.catch_up:
        return _catch_up(options)
    try:
        job, plan = _of_job(options) if words is None else _of_command(options, words)
    except (Fault, EnvironmentFault) as fault:
        lines = fault.lines if isinstance(fault, Fault) else (str(fault),)
        return _refuse(options, lines)
    return _run(job, plan, options)


def _check(parser: _Parser, options: argparse.Namespace, words: Sequence[str] | None) -> None:
    if words is not None and options.job is not None:
        parser.error("expected a job or a command, got both")
    if options.catch_up and (options.job or words):
        parser.error("--catch-up takes no job")
    if not options.catch_up and not options.job and not words:
        parser.error("expected a job, or -- and a command")
    if words is None and (options.id is not None or options.timeout is not None):
        parser.error("--id and --timeout go with -- and a command")


def _trigger() -> str:
    return "manual" if any(os.isatty(fd) for fd in (0, 1, 2)) else "schedule"


def _of_job(options: argparse.Namespace) -> tuple[JobConfig, Plan]:
    from mltop.config.jobs import load_job

    job = load_job(options.job, options.config, os.environ)
    files = command.Files(options.config, options.state_dir)
    return job, preparation.of_job(job, files, os.environ, is_scheduled=options.trigger != "manual")


def _of_command(options: argparse.Namespace, words: Sequence[str]) -> tuple[JobConfig, Plan]:
    job = JobConfig(
        id=options.id or command.adhoc_id(words),
        kind="command",
        spec=CommandSpec(command=tuple(words)),
        timeout_s=options.timeout or None,
    )
    return job, preparation.of_command(words, os.environ)


def _run(job: JobConfig, plan: Plan, options: argparse.Namespace) -> int:
    if options.dry_run:
        state = state_directory(options.state_dir) or memory_folder()
        lines = preparation.described(job, plan, Place(state)) + (_scheduled(job, options) if options.job else [])
        from mltop.commands.output import write_lines

        return write_lines(lines)
    screen = Screen(1)
    request = Request(options.trigger, options.scheduled_for, _delay_s(job, options))
    runner = Runner(job, plan, History(_state(options)), screen, request)
    is_stale = not job.enabled and options.trigger != "manual"
    code = runner.skip("disabled") if is_stale else runner.run()
    _note_event(runner, options)
    for fault in runner.faults:
        if not screen.is_open or fault not in (runner.run_record.reason or ""):
            sys.stderr.write(f"mltop run: {fault}\n")
    return code


def _delay_s(job: JobConfig, options: argparse.Namespace) -> float:
    if not job.jitter_s or options.trigger != "schedule":
        return 0.0
    from mltop.jobs.runner import jitter

    return jitter.delay_s(job, os.environ)


def _scheduled(job: JobConfig, options: argparse.Namespace) -> list[str]:
    """What the job is in its scheduler, as `apply` writes it (J41)."""
    from mltop.jobs.plan.wish import wish
    from mltop.jobs.site import SiteError, site

    try:
        made = wish(job, site(options.config, options.state_dir))
    except SiteError as error:
        return [f"schedule   {error}"]
    if made.units:
        texts = [f"# {name}\n{data.decode()}" for name, data in sorted(made.units.items())]
        return [f"schedule   {line}" for text in texts for line in text.splitlines()]
    lines = [line.decode() for line in made.lines]
    return [f"schedule   {line}" for line in lines or [made.fault or made.note or "by hand only"]]


def _note_event(runner: Runner, options: argparse.Namespace) -> None:
    """`[log] events`: after the lock is given back, so that nothing waits for it."""
    path = event_path(options.config, os.environ)
    if path is None:
        return
    from mltop.system import event_log

    try:
        event_log.note(path, "run", runner.run_record.document())
    except OSError as error:
        runner.faults.append(f"[log] events: {path}: {error.strerror}")


def _state(options: argparse.Namespace) -> Path:
    return state_directory(options.state_dir) or fallback()


def _refuse(options: argparse.Namespace, lines: Sequence[str]) -> int:
    """Say what is wrong; a schedule that calls for it sees that in the history too."""
    sys.stderr.write("".join(f"mltop run: {line}\n" for line in lines))
    if (
        options.trigger != "manual"
        and not options.dry_run
        and command.JOB_ID.fullmatch((options.job or "").removesuffix(DRILL))
    ):
        # what its own config says of retention is not known: nothing expires for a typo
        job = JobConfig(
            id=options.job,
            kind="command",
            spec=CommandSpec(command=()),
            history_runs=_FOR_EVER_RUNS,
            history_days=_FOR_EVER_DAYS,
            history_max_bytes=_FOR_EVER_BYTES,
        )
        request = Request(options.trigger, options.scheduled_for)
        runner = Runner(job, Plan(argv=(), environment={}), History(_state(options)), Screen(-1), request)
        runner.refuse(lines[0])
        _note_event(runner, options)
    return WRAPPER


def _catch_up(options: argparse.Namespace) -> int:
    from mltop.commands.catch_up import catch_up

    return catch_up(options.config, options.state_dir, is_dry=options.dry_run)
