"""One run of `mltop --check`, from its flags to its exit code.

What takes long is begun first: the box answers while Python loads that which judges it.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from mltop.commands.check.refuse import NoVerdictError
from mltop.commands.check.report import format_of, report
from mltop.commands.check.write import write

if TYPE_CHECKING:
    from mltop.checks.judgement import Judgement
    from mltop.checks.memory import Memory
    from mltop.commands.check.choice import Choice
    from mltop.commands.check.state import Store
    from mltop.config.settings import Settings
    from mltop.model.snapshot import Snapshot
    from mltop.model.surroundings import Surroundings
    from mltop.model.verdict import Result, Verdict


class Run:
    """The flags, when the run is to end, and what it has under way; raises NoVerdictError and Fault."""

    def __init__(self, options: argparse.Namespace, started: float) -> None:
        """`started` by `time.monotonic`."""
        self._options = options
        self._started = started
        self._until: float = started + options.timeout

    def code(self) -> int:
        """List the checks, or judge and report; the exit code."""
        _touch_no_dead_mount(self._options, self._left_s())
        if self._options.list:
            return self._list()
        try:
            if self._options.no_state:
                return self._judge(None)
            from mltop.commands.check.state import opened
            from mltop.config.location import state_directory

            folder = state_directory(self._options.state_dir)
            with opened(None if folder is None else str(folder), self._left_s) as store:
                return self._judge(store)
        finally:
            from mltop.system.process import reap_children

            reap_children(0.02)

    def _left_s(self) -> float:
        return max(0.05, self._until - time.monotonic())

    def _chosen(self) -> tuple[Settings, Choice]:
        from mltop.commands.check.choice import chosen
        from mltop.config.load import load

        settings = load(self._options.config)
        return settings, chosen(self._options, settings)

    def _list(self) -> int:
        from mltop.commands.check.list import listing

        _, choice = self._chosen()
        is_json = format_of(self._options) == "json"
        return write(
            listing(choice.selection, choice.limits, choice.profile_name, as_json=is_json), self._options.output, 0
        )

    def _judge(self, store: Store | None) -> int:
        settings, choice = self._chosen()
        made, snapshot, surroundings = self._verdict(settings, choice, store)
        code = write(report(made, snapshot, surroundings, self._options), self._options.output, made.exit_code)
        if settings.log.events is not None and not self._options.no_state:
            from mltop.commands.check.event import note

            note(made, settings.log.events)
        return code

    def _verdict(
        self, settings: Settings, choice: Choice, store: Store | None
    ) -> tuple[Verdict, Snapshot, Surroundings]:
        """Read, judge and sum up; the verdict, and what it is about."""
        from mltop.commands.check.read import Reading, own_config

        places = (self._options.config, self._options.state_dir)
        reading = Reading(settings, choice.selection, choice.profile, self._until, places)
        try:
            from mltop.checks.judge import judgements
            from mltop.checks.verdict import verdict
            from mltop.commands.check.recall import recalled
            from mltop.commands.check.report import prepare

            prepare(self._options)
            snapshot, surroundings = reading.take()
        finally:
            reading.close()
        memory = store.memory(self._left_s()) if store is not None else None
        if memory is not None:
            surroundings = recalled(memory, snapshot, surroundings)
        selection = choice.selection
        found = [
            *judgements(snapshot, choice.limits, memory, surroundings, selection.families, selection.checks),
            own_config(settings, self._options.config),
        ]
        whole = verdict(
            self._results(found, choice, snapshot, store, memory),
            selection,
            snapshot,
            profile_name=choice.profile_name,
            profile=choice.profile,
            duration_s=time.monotonic() - self._started,
        )
        return whole, snapshot, surroundings

    def _results(
        self,
        found: list[Judgement],
        choice: Choice,
        snapshot: Snapshot,
        store: Store | None,
        memory: Memory | None,
    ) -> tuple[Result, ...]:
        """With since when each is so, where there is a state; and that stored for the next run."""
        from mltop.checks.memory import dated, seconds
        from mltop.checks.profile import raised
        from mltop.checks.verdict import results
        from mltop.commands.check.state import no_state
        from mltop.model.verdict import State

        def told(of_state: Judgement) -> tuple[Result, ...]:
            return results(
                raised(choice.profile, [*found, of_state]),
                choice.selection,
                snapshot,
                unknown_as=State(self._options.unknown_as or choice.profile.unknown_as),
                needs_facilities=choice.profile.needs_facilities,
            )

        if store is None or memory is None:
            return told(no_state())
        at, of_state = seconds(snapshot.time), store.judgement()
        made = dated(told(of_state), memory, at)
        store.keep(memory.settled(choice.selection.checks, at), self._left_s())
        if store.judgement() != of_state:  # it could not be kept
            made = dated(told(store.judgement()), memory, at)
        return made


def _touch_no_dead_mount(options: argparse.Namespace, left_s: float) -> None:
    """Touch no config, no output and no file of lxcfs on a dead mount: that would be the end of every deadline."""
    from pathlib import Path

    from mltop.commands.check.reach import KERNEL_FILES, dead_mount
    from mltop.config.location import SYSTEM_CONFIG, explicit_config, user_config

    own = explicit_config(options.config) or user_config()
    output = None if options.output is None else Path(options.output)
    paths = [path for path in (SYSTEM_CONFIG, own, output, *KERNEL_FILES) if path is not None]
    found = dead_mount(paths, left_s)
    if found is not None:
        raise NoVerdictError(f"{found[0]}: its mount {found[1]} does not answer")
