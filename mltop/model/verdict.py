"""The verdict: what `--check` says of one box, as it goes over the wire (`mltop.check/1`).

The keys are a public contract. `warn` and `crit` are Nagios ranges (`@85:` is "85 and above", `@~:10` is "10 and
below"), whatever way the limit was written; a value that is not known is `None`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

SCHEMA = "mltop.check/1"


class State(StrEnum):
    """What a check says of a target."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"
    """It was asked for, or is measured here by default, and could not be told."""
    SKIP = "SKIP"
    """Not there, and nobody said that it should be."""


EXIT_CODES = {State.OK: 0, State.WARNING: 1, State.CRITICAL: 2, State.UNKNOWN: 3}
"""Source: Monitoring Plugins Development Guidelines, "Plugin Return Codes"."""
_BADNESS = {State.SKIP: -1, State.OK: 0, State.UNKNOWN: 1, State.WARNING: 2, State.CRITICAL: 3}


def badness(state: State) -> int:
    """A number for the order SKIP < OK < UNKNOWN < WARNING < CRITICAL."""
    return _BADNESS[state]


def worst(states: Iterable[State]) -> State:
    """The state of all together; what was skipped does not count, and where nothing ran it is UNKNOWN."""
    found = max(states, key=badness, default=State.SKIP)
    return State.UNKNOWN if found is State.SKIP else found


_FAMILIES = {"mem": "memory", "svc": "services", "api": "services", "redis": "services", "pg": "services"}
_FAMILIES |= {"tcp": "services", "docker": "services", "job": "jobs", "backup": "jobs", "host": "self"}
_FAMILIES |= {"io": "disk", "proc": "kernel", "time": "kernel", "net": "kernel"}


def family_of(check: str) -> str:
    """The family of a check, by its id: `disk`, `memory`, `cpu`, `gpu`, `services`, `kernel`, `jobs`, `self`."""
    first = check.partition(".")[0]
    return _FAMILIES.get(first, first)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one target."""

    check: str
    """The check's id, e.g. `disk.space`."""
    target: str
    """What it is about, by identity: a mount, a GPU's uuid or bus id, a service's name; "" for the box."""
    target_name: str
    """The same for a reader: `GPU 3`, `/data`."""
    state: State
    reason: str | None = None
    """A word for programs: `limit`, `lost`, `timeout`, `permission`, `unsupported` …; `None` where it is OK."""
    summary: str = ""
    """A few words: `91 % used`."""
    action: str | None = None
    """What to do."""
    value: float | None = None
    unit: str | None = None
    warn: str | None = None
    crit: str | None = None
    since: str | None = None
    """Since when it has been in this state as far as runs have seen it, RFC 3339 in UTC; `None` without their state."""
    duration_s: float | None = None
    """How long the reading took, where it was timed."""
    data: dict[str, Any] = {}
    """More for programs."""
    fingerprint: str = ""
    """The same for the same check of the same target of the same host."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many results are in which state."""

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0
    skip: int = 0

    @classmethod
    def of(cls, results: Iterable[Result]) -> Counts:
        """Count them."""
        counts = dict.fromkeys(cls.__struct_fields__, 0)
        for result in results:
            counts[result.state.value.lower()] += 1
        return cls(**counts)


class Mishap(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no verdict, or no whole one."""

    message: str
    where: str | None = None
    remedy: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the checks."""

    schema: str = SCHEMA
    version: str = ""
    host: str = ""
    boot_id: str | None = None
    time: str = ""
    """RFC 3339 in UTC with `Z`."""
    duration_s: float = 0.0
    profile: str = "default"
    state: State = State.UNKNOWN
    exit_code: int = 3
    complete: bool = False
    """Whether every check that was asked for has its results here."""
    counts: Counts = Counts()
    disabled: tuple[str, ...] = ()
    """Checks that the config or `--skip` switched off: they have no results."""
    results: tuple[Result, ...] = ()
    errors: tuple[Mishap, ...] = ()
