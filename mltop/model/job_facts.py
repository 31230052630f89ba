"""What a verdict knows of the box's own jobs: how they ended, and what was due since. `commands` reads the history."""

from __future__ import annotations

import msgspec


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended."""

    state: str
    """`ok`, `failed`, `timeout`, `stuck`, `lost` or `skipped`."""
    at: str
    """When, RFC 3339 in UTC with `Z`; of one that was lost, when it began."""
    exit_code: int | None = None
    reason: str | None = None


class DrillFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The restore test of a backup."""

    last: Ended | None = None
    due: int = 0
    """How often it has been due, its grace over, since the last one began; without one, since the first backup."""


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One job of the config that is switched on."""

    id: str
    kind: str
    last: Ended | None = None
    """The last run that says anything: neither skipped, nor ended by hand, nor at work still."""
    failures: int = 0
    """How many of the last ones failed, in a row."""
    is_scheduled: bool = True
    late_since: str | None = None
    """A time for which it was scheduled, its grace over, with no start since."""
    started_at: str | None = None
    """Its last start; `None`: it never ran."""
    good_at: str | None = None
    """When it last went well."""
    due_since_good: int = 0
    """How often it has been due, its grace over, since then; since its first run, where none went well."""
    drill: DrillFacts | None = None
    """`None` where there is no restore test to make."""


class JobsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs of whoever asks."""

    jobs: tuple[JobFacts, ...] = ()
    trouble: str | None = None
    """Why the history cannot be read, where it is there and cannot."""
