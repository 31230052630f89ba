"""mltop's lines as they are against as they should be: which job is in step, and what the block becomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from mltop.jobs.crontab.line import CATCH_UP, Call, Owned, is_ours, owned
from mltop.model.job import Drift

Resolve = Literal["keep", "mine", "theirs"]
"""What happens to a hand edit: it stays and is reported, the config's goes over it, or the config follows it."""


class Choice(msgspec.Struct, frozen=True):
    """What of a difference is put in step."""

    resolve: Resolve = "keep"
    only: frozenset[str] | None = None
    """Other jobs stay as they are; `None`: all are put in step."""

    def leaves(self, id: str, drift: Drift) -> bool:
        """Whether a job stays as it is found."""
        if self.only is not None and id not in self.only and not is_catch_up(id):
            return True
        return drift is Drift.DRIFTED and self.resolve != "mine"


class Found(msgspec.Struct, frozen=True):
    """The lines of one job in a scheduler."""

    lines: tuple[bytes, ...]
    owned: tuple[Owned, ...]


def found(block: Sequence[bytes], calls: Collection[Call]) -> dict[str, Found]:
    """The lines of this config's jobs, by job; those of another config and strangers' are not ours."""
    by_id: dict[str, list[tuple[bytes, Owned]]] = {}
    for raw in block:
        if (one := owned(raw)) is not None and is_ours(one, calls):
            by_id.setdefault(one.id, []).append((raw, one))
    return {id: Found(tuple(raw for raw, _ in pairs), tuple(one for _, one in pairs)) for id, pairs in by_id.items()}


def drift(id: str, have: Found | None, want: Sequence[bytes] | None) -> Drift:
    """How a job's lines stand. `want` is `None` for a job that the config does not know."""
    lines = have.lines if have else ()
    if want is None:
        return Drift.ORPHANED
    if tuple(lines) == tuple(want):
        return Drift.IN_SYNC
    if not lines or have is None:
        return Drift.MISSING
    if not all(one.is_intact for one in have.owned):
        return Drift.DRIFTED
    return Drift.CHANGED


def merged(
    block: Sequence[bytes], calls: Collection[Call], want: Mapping[str, Sequence[bytes]], keep: frozenset[str]
) -> list[bytes]:
    """The lines of the block as they should be: each job where it stood, new ones at the end.

    Jobs in `keep` stay as they are; so does every line that is not this config's.
    """
    made: list[bytes] = []
    done: set[str] = set()
    for raw in block:
        one = owned(raw)
        if one is None or not is_ours(one, calls) or one.id in keep:
            made.append(raw)
            done.update([one.id] if one is not None and one.id in keep else [])
        elif one.id not in done:
            done.add(one.id)
            made += want.get(one.id, ())
    for id, lines in want.items():
        if id not in done and id not in keep:
            made += lines
    return made


def is_catch_up(id: str) -> bool:
    """Whether these are not a job's lines but those for missed runs."""
    return id == CATCH_UP
