"""A snapshot to findings: what is wrong with the box, the worst first. Pure; what is not OK is never left out."""

from __future__ import annotations

from mltop.checks.case import Case, Memory
from mltop.checks.catalogue import FAMILIES, ORDER
from mltop.config.limits import Limits
from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Snapshot

__all__ = ["Memory", "judge"]


def judge(snapshot: Snapshot, limits: Limits | None = None, memory: Memory | None = None) -> tuple[Finding, ...]:
    """What is not OK in a snapshot, worst first.

    With a `memory` (one for each watched box, changed by this), levels are left later than entered (`clear`) and what
    has to last is told when it has lasted (`for`); without one, the moment counts.
    """
    case = Case(snapshot, limits or Limits(), memory)
    found = [one for family in FAMILIES for one in family(case) if one.level is not Level.OK]
    if memory is not None:
        memory.forget()
    return tuple(sorted(found, key=lambda one: (-one.level, ORDER[one.check])))
