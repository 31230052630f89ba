"""The family `services`: what the services answered, held against the limits and against the last run. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from mltop.checks.case import Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.config.limits import TABLE
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer


class _Concern(NamedTuple):
    """One thing that an answer says, and how bad that is."""

    level: Level
    words: str
    reason: str


_VALUES = {
    "redis.memory": "memory at {:.0f} % of maxmemory",
    "redis.clients": "clients at {:.0f} % of maxclients",
    "pg.connections": "connections at {:.0f} % of max_connections",
    "pg.lag": "{:.1f} s behind its primary",
}
"""A value in words, by its row of the limits."""


def services(case: Case) -> Iterator[Judgement]:
    """What each service that was asked says; nothing where none could be (another box, the dashboard)."""
    answers = case.surroundings.services if case.surroundings is not None else ()
    for answer in answers:
        yield _judged(case, answer)


def _judged(case: Case, answer: ServiceAnswer) -> Judgement:
    if answer.level is None:
        return skip(answer.check, answer.summary, target=answer.name, reason=answer.reason)
    said = _Concern(answer.level, answer.summary, answer.reason)
    worst, *others = sorted([said, *_concerns(case, answer)], key=lambda one: -one.level)
    words = [worst.words, *(one.words for one in others if one.level > Level.OK or one is said)]
    found = judgement(
        answer.check,
        worst.level,
        ", ".join(words),
        answer.action if worst.level > Level.OK else None,
        target=answer.name,
        reason=worst.reason,
        value=answer.duration_s,
        limit=case.limits[answer.check] if answer.duration_s is not None and answer.check in TABLE else None,
        data=answer.data or None,
    )
    return msgspec.structs.replace(found, duration_s=answer.duration_s)


def _concerns(case: Case, answer: ServiceAnswer) -> Iterator[_Concern]:
    if answer.duration_s is not None and answer.check in TABLE:
        level = case.level(answer.check, answer.name, answer.duration_s)
        yield _Concern(level, "slow", "slow")
    for row, value in answer.values.items():
        yield _Concern(case.level(row, answer.name, value), _VALUES[row].format(value), "limit")
