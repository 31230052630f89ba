"""The command lines of the verdict: `mltop --check`, and `check_mltop` with the flags of a Nagios plugin."""

from __future__ import annotations

import argparse
import os
from functools import cache
from typing import NoReturn

from mltop.commands.check.refuse import NoVerdictError
from mltop.commands.check.write import write
from mltop.commands.parser import common

FORMATS = ("human", "nagios", "json", "prometheus", "checkmk")
LIMIT_S = 10.0
"""The usual patience of a monitoring server with a plugin: Monitoring Plugins Development Guidelines."""


class _Help(argparse.HelpFormatter):
    """Argparse makes one for every flag; by itself each asks the terminal, through `shutil` and all that it imports."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


@cache
def _columns() -> int:
    """As `shutil.get_terminal_size` has it."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
    except (ValueError, OSError):
        return 80


class Parser(argparse.ArgumentParser):
    """Argparse whose complaints are no verdict: its own code for them, 2, is CRITICAL here."""

    name = "mltop"
    exit_code = 0
    """Of `--help` and `--version`."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong."""
        raise NoVerdictError(f"{message} (see {self.prog} --help)")

    def print_help(self, file: object = None) -> None:
        """Write it whole, or say why not: argparse drops what could not be written."""
        write(self.format_help(), None, 0)
        raise SystemExit(self.exit_code)

    def write_version(self) -> int:
        """Write it; returns the exit code."""
        from mltop import __version__

        return write(f"{self.name} {__version__}\n", None, self.exit_code)


def check_parser() -> Parser:
    """The parser of `mltop --check`."""
    parser = Parser(
        prog="mltop --check",
        formatter_class=_Help,
        description="Judge this box: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for a bad flag or config).",
        allow_abbrev=False,
    )
    parser.add_argument("-f", "--format", choices=FORMATS, help="default: human")
    parser.add_argument("--json", action="store_true", help="the same as -f json")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, at once, instead of standard output")
    parser.add_argument("--list", action="store_true", help="the checks with their limits, then end")
    parser.add_argument("--schema", action="store_true", help="the JSON Schema of -f json, then end")
    parser.add_argument("--version", action="store_true", help="the version, then end")
    parser.add_argument("--no-color", action="store_true", help="no colours (as with NO_COLOR set)")
    _add_choices(parser)
    return parser


def plugin_parser(name: str) -> Parser:
    """The parser of the Nagios plugin: the guidelines' own flags, one format, and 3 for what is no verdict."""
    parser = Parser(
        prog=name,
        formatter_class=_Help,
        description="Judge this box: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for this help).",
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="store_true", help="the version, then end")
    parser.set_defaults(format="nagios", json=False, output=None, list=False, schema=False)
    parser.name, parser.exit_code = name, 3
    _add_choices(parser)
    return parser


def _add_choices(parser: Parser) -> None:
    """What is judged, by which limits, and how long it may take."""
    parser.add_argument("--only", action="append", default=[], metavar="ID,..", help="these checks; globs are fine")
    parser.add_argument("--skip", action="append", default=[], metavar="ID,..", help="all but these checks")
    parser.add_argument(
        "--profile", metavar="P", help="default, seed, gate, inference, training or desktop; --list shows what it sets"
    )
    limit = "limit; a RANGE alone where --only has one check"
    parser.add_argument("-w", "--warning", action="append", default=[], metavar="ID=RANGE", help=f"a WARNING {limit}")
    parser.add_argument("-c", "--critical", action="append", default=[], metavar="ID=RANGE", help=f"a CRITICAL {limit}")
    parser.add_argument("-t", "--timeout", type=_seconds, default=LIMIT_S, metavar="SEC", help="default: 10")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="every target; -vv limits, -vvv all")
    parser.add_argument("--no-state", action="store_true", help="neither read nor write what earlier runs found")
    parser.add_argument("--unknown-as", type=_state, metavar="STATE", help="unknown, warning or critical")
    common(parser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.5 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"expected 0.5 to 600 seconds, got {text!r}")
    return seconds


def _state(text: str) -> str:
    if text.upper() not in ("UNKNOWN", "WARNING", "CRITICAL"):
        raise argparse.ArgumentTypeError(f"expected unknown, warning or critical, got {text!r}")
    return text.upper()
