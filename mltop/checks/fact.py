"""Judging what is known beside the snapshot: why there is no fact, and values that are averages already."""

from __future__ import annotations

from mltop.checks.case import NOT_READ, REASONS, Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import HostFacts
from mltop.model.snapshot import Reading, Status

DAY_S = 86400.0


def facts(case: Case) -> HostFacts:
    """What is known of the host; of another box, and in the dashboard, nothing."""
    here = case.surroundings
    return HostFacts() if here is None or here.host is None else here.host


def unread(check: str, group: Reading, *, target: str = "", name: str = "") -> Judgement:
    """Why a check has no value: UNKNOWN where it should have one, SKIP where it is not there or refused."""
    reason = REASONS.get(group.status, "error")
    words = group.reason or str(group.status)
    if group.status in NOT_READ or group.status is Status.OK:
        return judgement(check, Level.UNKNOWN, f"not read: {words}", target=target, name=name, reason=reason)
    return skip(check, words, target=target, name=name, reason=reason)


def steady(case: Case, check: str, value: float, summary: str, action: str | None = None, *, name: str) -> Judgement:
    """A value that is the average of a while, so that one look says enough: no `for`, but the way back (`clear`)."""
    limit = case.limits[check]
    held = case.memory.level(check, "") if case.memory is not None else Level.OK
    level = limit.level(value, held)
    if case.memory is not None and level is not Level.UNKNOWN:
        case.memory.keep(check, "", level)
    return judgement(check, level, summary, action, name=name, value=value, limit=limit)


def ago(seconds: float) -> str:
    """How long ago, in words of one unit."""
    for unit, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
