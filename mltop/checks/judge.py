"""A snapshot to judgements, and the findings among them: what is wrong with the box, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mltop.checks.case import Case, surviving
from mltop.checks.catalogue import CATALOGUE, FAMILIES, ORDER
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.config.limits import Limits
from mltop.model.finding import Finding
from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings

__all__ = ["Memory", "judge", "judgements"]


def judge(snapshot: Snapshot, limits: Limits | None = None, memory: Memory | None = None) -> tuple[Finding, ...]:
    """What is not OK in a snapshot, worst first.

    With a `memory` (one for each watched box, changed by this), levels are left later than entered (`clear`) and what
    has to last is told when it has lasted (`for`); without one, the moment counts.
    """
    found = [one.finding() for one in judgements(snapshot, limits, memory) if one.is_finding]
    return tuple(sorted(found, key=lambda one: (-one.level, ORDER[one.check])))


def judgements(
    snapshot: Snapshot,
    limits: Limits | None = None,
    memory: Memory | None = None,
    surroundings: Surroundings | None = None,
    families: Collection[str] = FAMILIES.keys(),
    checks: Collection[str] = ORDER.keys(),
) -> Iterator[Judgement]:
    """What these families' checks say of each target, also where it is OK or there is nothing to judge.

    `checks` are those that are looked at: of what else the families hold the memory is left as it was.
    """
    case = Case(snapshot, limits or Limits(), memory, surroundings)
    for name in FAMILIES:
        if name in families:
            members = [check.id for check in CATALOGUE if check.family == name]
            yield from surviving(FAMILIES[name](case), members, name=name)
    if memory is not None:
        memory.forget([check.id for check in CATALOGUE if check.family in families and check.id in checks])
