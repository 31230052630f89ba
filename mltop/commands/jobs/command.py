"""`mltop jobs …`: what is scheduled, what ran, and changing it. Nothing asks back where there is no terminal."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence

from mltop.commands.jobs import adopt as jobs_adopt
from mltop.commands.jobs import apply as jobs_apply
from mltop.commands.jobs import convert as jobs_convert
from mltop.commands.jobs import edit as jobs_edit
from mltop.commands.jobs import look as jobs_look
from mltop.commands.jobs import run as jobs_run
from mltop.commands.jobs.asked import Asked, CommandError, document, errors
from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.jobs.plan.apply import ApplyError
from mltop.model.job import JOBS_SCHEMA


def main(arguments: list[str]) -> int:
    """Do one of the subcommands; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.do(Asked(options))
        return code
    except CommandError as error:
        return refuse(options, error.lines, error.code)
    except Fault as fault:
        return refuse(options, fault.lines, ExitCode.USAGE)
    except ApplyError as error:
        return refuse(options, error.lines, ExitCode.FAILED)
    except KeyboardInterrupt:
        return 130


def refuse(options: argparse.Namespace, lines: Sequence[str], code: int) -> int:
    """Say why not: a line each on standard error, and for JSON the usual document with `errors`."""
    sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in lines))
    if options.json:
        with contextlib.suppress(CommandError):  # said on standard error already
            document({"schema": options.schema, options.key: [], "errors": errors(lines)})
    return int(code)


def parser() -> Parser:
    """The parser of all subcommands."""
    what = "Scheduled jobs: see, change and start them, and what they did."
    top = Parser(prog="mltop jobs", description=what, allow_abbrev=False)
    words = top.add_subparsers(metavar="COMMAND", required=True)

    def one(
        name: str, do: Callable[[Asked], int], what: str, schema: str = JOBS_SCHEMA, key: str = "jobs"
    ) -> argparse.ArgumentParser:
        made = words.add_parser(name, help=what, description=what, allow_abbrev=False)
        made.add_argument("--json", action="store_true", help=f"one JSON document, {schema}")
        common(made)
        made.set_defaults(do=do, schema=schema, key=key)
        return made

    for module in (jobs_look, jobs_run, jobs_edit, jobs_adopt, jobs_convert, jobs_apply):
        module.add_to(one)
    return top
