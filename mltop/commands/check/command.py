"""`mltop --check`: a verdict for scripts, cron and Nagios; exits 0 to 3 and with nothing else."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from mltop.commands.check.refuse import NoVerdictError, guarded
from mltop.commands.check.write import write
from mltop.commands.parser import common
from mltop.config.fault import Fault
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.checks.profile import Profile
    from mltop.checks.selection import Selection
    from mltop.config.limits import Limits
    from mltop.config.settings import Settings
    from mltop.model.verdict import Verdict

FORMATS = ("human", "nagios", "json", "prometheus", "checkmk")
LIMIT_S = 10.0
"""The usual patience of a monitoring server with a plugin: Monitoring Plugins Development Guidelines."""
_NET_S = 0.2
"""The timer that ends a run goes off so long after the run should have ended by itself."""


class Parser(argparse.ArgumentParser):
    """Argparse whose complaints are no verdict: its own code for them, 2, is CRITICAL here."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong."""
        raise NoVerdictError(f"{message} (see {self.prog} --help)")

    def print_help(self, file: object = None) -> None:
        """Write it whole, or say why not: argparse drops what could not be written."""
        write(self.format_help(), None, 0)


def main(arguments: Sequence[str]) -> int:
    """Judge this box; `arguments` are those after `--check`. Returns 0 to 3; `--help` ends with 0."""
    was_collecting = gc.isenabled()
    gc.disable()  # a run makes no garbage worth a collection
    try:
        return guarded(arguments, lambda: _judge(arguments))
    finally:
        gc.freeze()  # nor is the interpreter's end: what it would look through costs a tenth of the run
        if was_collecting:
            gc.enable()


def _judge(arguments: Sequence[str]) -> int:
    started = time.monotonic()
    try:
        return _run(_parser().parse_args(arguments), started)
    except Fault as fault:
        raise NoVerdictError(*fault.lines) from None


def _parser() -> Parser:
    parser = Parser(
        prog="mltop --check",
        description="Judge this box: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN (also for a bad flag or config).",
        allow_abbrev=False,
    )
    parser.add_argument("-f", "--format", choices=FORMATS, help="default: human")
    parser.add_argument("--json", action="store_true", help="the same as -f json")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, at once, instead of standard output")
    parser.add_argument("--only", action="append", default=[], metavar="ID,..", help="these checks; globs are fine")
    parser.add_argument("--skip", action="append", default=[], metavar="ID,..", help="all but these checks")
    parser.add_argument(
        "--profile", metavar="P", help="default, seed, gate, inference, training or desktop; --list shows what it sets"
    )
    parser.add_argument("-w", "--warning", action="append", default=[], metavar="ID=RANGE", help="a WARNING limit")
    parser.add_argument("-c", "--critical", action="append", default=[], metavar="ID=RANGE", help="a CRITICAL limit")
    parser.add_argument("-t", "--timeout", type=_seconds, default=LIMIT_S, metavar="SEC", help="default: 10")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="every target; -vv limits, -vvv all")
    parser.add_argument("--no-state", action="store_true", help="neither read nor write what earlier runs found")
    parser.add_argument("--unknown-as", type=_state, metavar="STATE", help="unknown, warning or critical")
    parser.add_argument("--list", action="store_true", help="the checks with their limits, then end")
    parser.add_argument("--schema", action="store_true", help="the JSON Schema of -f json, then end")
    parser.add_argument("--version", action="store_true", help="the version, then end")
    parser.add_argument("--no-color", action="store_true", help="no colours (as with NO_COLOR set)")
    common(parser)
    return parser


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


def _run(options: argparse.Namespace, started: float) -> int:
    signal.setitimer(signal.ITIMER_REAL, options.timeout + _NET_S)
    if options.version:
        from mltop import __version__

        return write(f"mltop {__version__}\n", None, 0)
    from mltop.config.load import load

    _reach(options, started)
    if options.schema:
        from mltop.reports.json import schema

        return write(schema(), options.output, 0)
    settings = load(options.config)
    profile_name, profile = _profile(options, settings)
    selection = _selection(options, settings, profile)
    limits = _limits(options, settings, profile)
    if options.list:
        from mltop.commands.check.list import listing

        listed = listing(selection, limits, profile_name, as_json=_format(options) == "json")
        return write(listed, options.output, 0)
    made = _verdict(options, settings, selection, (profile_name, profile), limits, started)
    return write(_report(made, options), options.output, made.exit_code)


def _reach(options: argparse.Namespace, started: float) -> None:
    """Touch no config and no output on a dead mount: that would be the end of every deadline."""
    from pathlib import Path

    from mltop.commands.check.reach import dead_mount
    from mltop.config.location import SYSTEM_CONFIG, explicit_config, user_config

    own = explicit_config(options.config) or user_config()
    output = None if options.output is None else Path(options.output)
    paths = [path for path in (SYSTEM_CONFIG, own, output) if path is not None]
    found = dead_mount(paths, options.timeout - (time.monotonic() - started))
    if found is not None:
        raise NoVerdictError(f"{found[0]}: its mount {found[1]} does not answer")


def _selection(options: argparse.Namespace, settings: Settings, profile: Profile) -> Selection:
    from mltop.checks.selection import NoSuchCheckError, select

    try:
        return select(_words(options.only), _words(options.skip), settings.checks.disabled, profile.off)
    except NoSuchCheckError as error:
        raise NoVerdictError(str(error)) from None


def _words(lists: Sequence[str]) -> list[str]:
    return [word.strip() for text in lists for word in text.split(",") if word.strip()]


def _profile(options: argparse.Namespace, settings: Settings) -> tuple[str, Profile]:
    from mltop.checks.profile import named

    name = settings.checks.profile if options.profile is None else options.profile
    try:
        return name, named(name)
    except ValueError as error:
        raise NoVerdictError(f"--profile: {clean(str(error), 300)}") from None


def _limits(options: argparse.Namespace, settings: Settings, profile: Profile) -> Limits:
    """The limits of the flags over the config's over the profile's over the table's."""
    from mltop.checks.override import overridden
    from mltop.checks.profile import limits_of

    try:
        return overridden(limits_of(profile, settings.limits), options.warning, options.critical)
    except ValueError as error:
        raise NoVerdictError(str(error)) from None


def _verdict(
    options: argparse.Namespace,
    settings: Settings,
    selection: Selection,
    profile: tuple[str, Profile],
    limits: Limits,
    started: float,
) -> Verdict:
    """Read, judge and sum up."""
    from mltop.checks.judge import judgements
    from mltop.checks.profile import raised
    from mltop.checks.verdict import results, verdict
    from mltop.commands.check.read import own_config, read
    from mltop.model.verdict import State

    snapshot, surroundings, services = read(settings, selection, profile[1], options.timeout, started)
    found = [*judgements(snapshot, limits, None, surroundings, selection.families), *services, own_config(settings)]
    made = results(
        raised(profile[1], found),
        selection,
        snapshot,
        unknown_as=State(options.unknown_as or profile[1].unknown_as),
        needs_facilities=profile[1].needs_facilities,
    )
    return verdict(
        made,
        selection,
        snapshot,
        profile_name=profile[0],
        profile=profile[1],
        duration_s=time.monotonic() - started,
    )


def _format(options: argparse.Namespace) -> str:
    return "json" if options.json else str(options.format or "human")


def _report(made: Verdict, options: argparse.Namespace) -> str:
    match _format(options):
        case "json":
            from mltop.reports import json

            return json.text(made)
        case "nagios":
            from mltop.reports import nagios

            return nagios.text(made, options.verbose, limit_s=options.timeout)
        case "prometheus":
            from mltop.reports import prometheus

            return prometheus.text(made)
        case "checkmk":
            from mltop.reports import checkmk

            return checkmk.text(made)
    from mltop.reports import human

    return human.text(made, options.verbose, color=_has_colors(options))


def _has_colors(options: argparse.Namespace) -> bool:
    if options.no_color or options.output or os.environ.get("NO_COLOR"):
        return False
    return os.isatty(1) and os.environ.get("TERM", "") not in ("", "dumb")
