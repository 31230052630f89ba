"""`mltop --check`: a verdict for scripts, cron and Nagios; exits 0 to 3 and with nothing else."""

from __future__ import annotations

import argparse
import gc
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mltop.commands.check.parser import Parser, check_parser
from mltop.commands.check.refuse import NoVerdictError, guarded
from mltop.commands.check.report import format_of, report
from mltop.commands.check.write import write
from mltop.config.fault import Fault
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.checks.judgement import Judgement
    from mltop.checks.profile import Profile
    from mltop.checks.selection import Selection
    from mltop.commands.check.state import Store
    from mltop.config.limits import Limits
    from mltop.config.settings import Settings
    from mltop.model.snapshot import Snapshot
    from mltop.model.surroundings import Surroundings
    from mltop.model.verdict import Result, Verdict

_NET_S = 0.2
"""The timer that ends a run goes off so long after the run should have ended by itself."""


def main(arguments: Sequence[str]) -> int:
    """Judge this box; `arguments` are those after `--check`. Returns 0 to 3; `--help` ends with 0."""
    with without_garbage():
        return guarded(arguments, lambda: judge(check_parser(), arguments))


@contextmanager
def without_garbage() -> Iterator[None]:
    """A run makes no garbage worth a collection."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor is the interpreter's end: what it would look through costs a tenth of the run
        if was_collecting:
            gc.enable()


def judge(parser: Parser, arguments: Sequence[str]) -> int:
    """Judge by a parser's arguments; raises NoVerdictError."""
    started = time.monotonic()
    try:
        options = parser.parse_args(arguments)
        return parser.write_version() if options.version else _run(options, started)
    except Fault as fault:
        raise NoVerdictError(*fault.lines) from None


def _run(options: argparse.Namespace, started: float) -> int:
    signal.setitimer(signal.ITIMER_REAL, options.timeout + _NET_S)
    _reach(options, started)
    if options.schema:
        from mltop.reports.json import schema

        return write(schema(), options.output, 0)
    from mltop.system.process import reap_children

    try:
        if options.list or options.no_state:
            return _judged(options, None, started)
        from mltop.commands.check.state import opened
        from mltop.config.location import state_directory

        folder = state_directory(options.state_dir)
        with opened(None if folder is None else str(folder), lambda: _left_s(options, started)) as store:
            return _judged(options, store, started)
    finally:
        reap_children(0.02)


def _judged(options: argparse.Namespace, store: Store | None, started: float) -> int:
    """List the checks, or judge and report; the exit code."""
    from mltop.config.load import load

    settings = load(options.config)
    profile_name, profile = _profile(options, settings)
    selection = _selection(options, settings, profile)
    limits = _limits(options, settings, profile)
    if options.list:
        from mltop.commands.check.list import listing

        listed = listing(selection, limits, profile_name, as_json=format_of(options) == "json")
        return write(listed, options.output, 0)
    made, snapshot, surroundings = _verdict(
        options, settings, selection, (profile_name, profile), limits, store, started
    )
    code = write(report(made, snapshot, surroundings, options), options.output, made.exit_code)
    if settings.log.events is not None and not options.no_state:
        from mltop.commands.check.event import note

        note(made, settings.log.events)
    return code


def _left_s(options: argparse.Namespace, started: float) -> float:
    return max(0.05, float(options.timeout) - (time.monotonic() - started))


def _reach(options: argparse.Namespace, started: float) -> None:
    """Touch no config, no output and no file of lxcfs on a dead mount: that would be the end of every deadline."""
    from pathlib import Path

    from mltop.commands.check.reach import KERNEL_FILES, dead_mount
    from mltop.config.location import SYSTEM_CONFIG, explicit_config, user_config

    own = explicit_config(options.config) or user_config()
    output = None if options.output is None else Path(options.output)
    paths = [path for path in (SYSTEM_CONFIG, own, output, *KERNEL_FILES) if path is not None]
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

    warnings, criticals = (_with_id(words, options) for words in (options.warning, options.critical))
    try:
        return overridden(limits_of(profile, settings.limits), warnings, criticals)
    except ValueError as error:
        raise NoVerdictError(str(error)) from None


def _with_id(words: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Limits with their id: a RANGE alone is of the one check that `--only` names."""
    only = _words(options.only)
    return [word if "=" in word or len(only) != 1 else f"{only[0]}={word}" for word in words]


def _verdict(
    options: argparse.Namespace,
    settings: Settings,
    selection: Selection,
    profile: tuple[str, Profile],
    limits: Limits,
    store: Store | None,
    started: float,
) -> tuple[Verdict, Snapshot, Surroundings]:
    """Read, judge and sum up; the verdict, and what it is about."""
    from mltop.checks.judge import judgements
    from mltop.checks.memory import dated, seconds
    from mltop.checks.profile import raised
    from mltop.checks.verdict import results, verdict
    from mltop.commands.check.read import own_config, read
    from mltop.commands.check.recall import recalled
    from mltop.commands.check.state import no_state
    from mltop.model.verdict import State

    snapshot, surroundings = read(
        settings, selection, profile[1], options.timeout, started, (options.config, options.state_dir)
    )
    memory = store.memory(_left_s(options, started)) if store is not None else None
    if memory is not None:
        surroundings = recalled(memory, snapshot, surroundings)
    found = [
        *judgements(snapshot, limits, memory, surroundings, selection.families, selection.checks),
        own_config(settings, options.config),
    ]

    def told(of_state: Judgement) -> tuple[Result, ...]:
        return results(
            raised(profile[1], [*found, of_state]),
            selection,
            snapshot,
            unknown_as=State(options.unknown_as or profile[1].unknown_as),
            needs_facilities=profile[1].needs_facilities,
        )

    if store is None or memory is None:
        made = told(no_state())
    else:
        at, of_state = seconds(snapshot.time), store.judgement()
        made = dated(told(of_state), memory, at)
        store.keep(memory.settled(selection.checks, at), _left_s(options, started))
        if store.judgement() != of_state:  # it could not be kept
            made = dated(told(store.judgement()), memory, at)
    whole = verdict(
        made,
        selection,
        snapshot,
        profile_name=profile[0],
        profile=profile[1],
        duration_s=time.monotonic() - started,
    )
    return whole, snapshot, surroundings
