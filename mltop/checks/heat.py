"""`cpu.thermal`: each sensor against the limits of its own chip, and for how long the processor slowed itself down."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement
from mltop.checks.fact import unread
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import Thermal
from mltop.model.snapshot import Status

_ACTION = "check fans and air flow"
_MINUTE_S = 60.0


def thermal(case: Case, heat: Thermal) -> Judgement:
    """The worst of all sensors; above `critical` is CRITICAL at once, above `high` a WARNING when it lasts."""
    if heat.status is not Status.OK:
        return unread("cpu.thermal", heat, name="CPU")
    hottest = max(heat.sensors, key=lambda one: one.celsius, default=None)
    value = None if hottest is None else hottest.celsius
    faults = sorted([*_sensors(case, heat), *_slowed(case, heat)], key=lambda one: -one[0])
    words = [] if value is None else [f"{value:.0f} C"]
    level = faults[0][0] if faults else Level.OK
    summary = ", ".join([*words, *(fault for _, fault in faults)] if faults else [*words, "not slowed down by heat"])
    limit = case.limits["cpu.thermal"] if case.limits.is_configured("cpu.thermal") else None
    return judgement("cpu.thermal", level, summary, _ACTION, name="CPU", reason="heat", value=value, limit=limit)


def _sensors(case: Case, heat: Thermal) -> Iterator[tuple[Level, str]]:
    """Above its limits (awesome-prometheus-alerts' hwmon rules), or above the config's."""
    for one in heat.sensors:
        if case.limits.is_configured("cpu.thermal"):
            level, words = case.level("cpu.thermal", one.name, one.celsius), "above the limit of the config"
        elif one.critical is not None and one.celsius > one.critical:
            level, words = case.settled("cpu.thermal", one.name, Level.CRITICAL), f"critical is {one.critical:.0f} C"
        else:
            is_high = one.high is not None and one.celsius > one.high
            level = case.settled("cpu.thermal", one.name, Level.WARNING if is_high else Level.OK)
            words = f"high is {one.high or 0:.0f} C"
        if level is not Level.OK:
            yield level, f"{one.name} at {one.celsius:.0f} C, {words}"


def _slowed(case: Case, heat: Thermal) -> Iterator[tuple[Level, str]]:
    """By the time that was lost; where a kernel (before 5.5) only counts events, one a minute is as much."""
    if heat.throttle_ms is not None:
        growth = case.growth("cpu.thermal", "", heat.throttle_ms, name="time")
        percent = 0.0 if growth is None else growth.amount / 10.0 / growth.seconds
        level = case.level("cpu.thermal", "share", percent, row="cpu.thermal.share")
        if level is not Level.OK:
            yield level, f"slowed down by heat for {percent:.0f} % of the time"
    elif heat.throttle_count is not None:
        growth = case.growth("cpu.thermal", "", heat.throttle_count, name="count")
        if growth is not None and growth.amount >= max(1.0, growth.seconds / _MINUTE_S):
            yield Level.WARNING, f"slowed down by heat {growth.amount:.0f} times since the last run"
