"""The family `services`: what the services answered, held against the limits and against the last run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mltop.checks.case import Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Growth
from mltop.config.limits import TABLE
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer

RESTARTS_S = 300.0
"""The time in which restarts are counted: node mixin's crash loop."""


class _Concern(msgspec.Struct, frozen=True):
    """One thing that an answer says, and how bad that is."""

    level: Level
    words: str
    reason: str
    action: str | None = None


class _Counter(msgspec.Struct, frozen=True):
    """How the growth of a counter is judged."""

    over_s: float
    value: Callable[[Growth], float]
    words: str
    reason: str


_VALUES = {
    "redis.memory": ("memory at {:.0f} % of maxmemory", "raise maxmemory, or let it evict (maxmemory-policy)"),
    "redis.clients": ("clients at {:.0f} % of maxclients", "CLIENT LIST: who holds them; or raise maxclients"),
    "pg.connections": (
        "connections at {:.0f} % of max_connections",
        "pg_stat_activity: who holds them; or a pool, or a higher max_connections",
    ),
    "pg.lag": ("{:.1f} s behind its primary", "look at the standby's log, its disk and the network to its primary"),
    **dict.fromkeys(("api.certificate", "redis.certificate"), ("its certificate ends in {:.1f} days", "renew it")),
}
"""A value in words and what to do, by its row of the limits."""
_REMEDIES = {
    "down": "start it, or correct its {keys}",
    "timeout": "look at its load and its log; a longer timeout where it is only slow",
    "slow": "look at its load and its log",
    "garbage": "something else listens there: correct its {keys}",
    "busy": "wait until it is ready; its log says how far it is",
    "full": "find who holds its connections, or allow it more",
    "rejected": "find who holds its connections, or allow it more",
    "broken": "look at its log and its disk",
    "status": "look at its log",
    "tls": "correct tls or the port",
    "model": "load that model, or correct model and api_path",
    "generation": "restart its engine: it answers and does not work",
    "stalled": "restart its engine: it answers and does not work",
    "role": "promote or demote it, or correct role",
    "restarts": "look at its log",
    "parse": "something else listens there: correct its {keys}",
    "absent": "install it, or take it out of the config",
    "facility": "take it out of this box's config",
}
"""What to do, by the reason, where the answer does not say."""
_KEYS = {"api": "url", "docker": "socket"}
"""What names where it is asked, where that is not `host` and `port`."""


def _in_five_minutes(growth: Growth) -> float:
    return growth.amount * RESTARTS_S / max(growth.seconds, RESTARTS_S)


def _standstill_s(growth: Growth) -> float:
    return growth.seconds if growth.amount == 0 else 0.0


_COUNTERS = {
    "svc.unit.restarts": _Counter(RESTARTS_S, _in_five_minutes, "restarted {:.0f} times in 5 minutes", "restarts"),
    "redis.rejected": _Counter(RESTARTS_S, lambda growth: growth.amount, "rejected {:.0f} connections", "rejected"),
    # two minutes, so that of runs a minute apart one that came early does not hide it
    "api.stalled": _Counter(120.0, _standstill_s, "requests run and no token was made for {:.0f} s", "stalled"),
}
"""By the row of the limits."""


def services(case: Case) -> Iterator[Judgement]:
    """What each service that was asked says; nothing where none could be (another box, the dashboard)."""
    answers = case.surroundings.services if case.surroundings is not None else ()
    for answer in answers:
        yield _judged(case, answer)


def _judged(case: Case, answer: ServiceAnswer) -> Judgement:
    if answer.level is None:
        return skip(answer.check, answer.summary, target=answer.name, reason=answer.reason)
    said = _Concern(answer.level, answer.summary, answer.reason, answer.action)
    worst, *others = sorted([said, *_concerns(case, answer)], key=lambda one: -one.level)
    words = [worst.words, *(one.words for one in others if one.level > Level.OK or one is said)]
    is_timed = answer.duration_s is not None and answer.check in TABLE
    if answer.place and worst.level > Level.OK:
        words[0] += f" ({answer.place})"
    found = judgement(
        answer.check,
        worst.level,
        ", ".join(words),
        (worst.action or _remedy(answer.check, worst.reason)) if worst.level > Level.OK else answer.action,
        target=answer.name,
        reason=worst.reason,
        value=answer.duration_s if is_timed else None,
        limit=case.limits[answer.check] if is_timed else None,
        data=answer.data or None,
    )
    return msgspec.structs.replace(found, duration_s=answer.duration_s)


def _remedy(check: str, reason: str) -> str | None:
    action = _REMEDIES.get(reason)
    return None if action is None else action.format(keys=_KEYS.get(check, "host and port"))


def _concerns(case: Case, answer: ServiceAnswer) -> Iterator[_Concern]:
    if answer.duration_s is not None and answer.check in TABLE:
        level = case.level(answer.check, answer.name, answer.duration_s)
        yield _Concern(level, "slow", "slow")
    for row, value in answer.values.items():
        words, action = _VALUES[row]
        yield _Concern(_level(case, answer, row, value), words.format(value), "limit", action)
    for row, value in answer.counters.items():
        counter = _COUNTERS[row]
        growth = case.growth(answer.check, answer.name, value, name=row, over_s=counter.over_s)
        if growth is not None and value >= 0:  # below 0 nothing is counted: an idle engine
            grown = counter.value(growth)
            yield _Concern(_level(case, answer, row, grown), counter.words.format(grown), counter.reason)


def _level(case: Case, answer: ServiceAnswer, row: str, value: float) -> Level:
    """By the row's limit; each row of a service has a memory of its own."""
    return case.level(answer.check, f"{answer.name} {row}", value, row=row)
