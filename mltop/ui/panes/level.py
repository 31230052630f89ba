"""How bad each part of the box is, from the findings: the panes have no thresholds of their own."""

from __future__ import annotations

from collections.abc import Iterable

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Gpu, Reading, Status
from mltop.ui.format import duration
from mltop.ui.line import Role
from mltop.ui.view import View

ROLES = {
    Level.OK: Role.OK,
    Level.UNKNOWN: Role.STALE,
    Level.WARNING: Role.WARNING,
    Level.CRITICAL: Role.CRITICAL,
}
NAMES = {Level.OK: "OK", Level.UNKNOWN: "UNKN", Level.WARNING: "WARN", Level.CRITICAL: "CRIT"}

WORDS = {
    Status.OK: "",
    Status.STALE: "stale",
    Status.UNSUPPORTED: "unsupported",
    Status.NO_PERMISSION: "no permission",
    Status.TIMEOUT: "no answer",
    Status.LOST: "LOST",
    Status.ERROR: "error",
    Status.ABSENT: "absent",
}
"""Each reason for a missing value is another word (M15)."""


class Levels:
    """The findings by target and check."""

    __slots__ = ("_by_target",)

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._by_target: dict[str, dict[str, Finding]] = {}
        for finding in findings:
            known = self._by_target.setdefault(finding.target, {})
            if finding.check not in known or known[finding.check].level < finding.level:
                known[finding.check] = finding

    def of(self, *targets: str | None) -> dict[str, Finding]:
        """The findings about a thing by check; it may go by several names."""
        found: dict[str, Finding] = {}
        for target in targets:
            if target is not None and target in self._by_target:
                found |= self._by_target[target]
        return found

    def gpu(self, gpu: Gpu) -> dict[str, Finding]:
        """The findings about a GPU."""
        if not self._by_target:
            return {}
        index = None if gpu.index is None else f"index:{gpu.index}"
        return self.of(index, gpu.pci_bus_id, gpu.uuid)


def worst(findings: dict[str, Finding], *checks: str) -> Level:
    """The worst level of these checks (a name ending in `.` is a family); OK where nothing is found."""
    level = Level.OK
    for name, finding in findings.items():
        if finding.level > level and any(name == c or (c[-1] == "." and name.startswith(c)) for c in checks):
            level = finding.level
    return level


def role_of(findings: dict[str, Finding], calm: Role, *checks: str) -> Role:
    """The role of a number that these checks judge; `calm` where nothing is found."""
    level = worst(findings, *checks) if findings else Level.OK
    return calm if level is Level.OK else ROLES[level]


def is_old(view: View, reading: Reading) -> bool:
    """Whether the values are older than 3 of their cadence: by their status, or as the sampler fell silent (D5)."""
    if reading.status in (Status.STALE, Status.TIMEOUT):
        return True
    interval = (view.snapshot.interval_s if view.snapshot else None) or 2.0
    if reading.status is Status.ERROR and reading.age_s is not None and reading.age_s > 3 * interval:
        return True  # the last values before the fault
    return view.silent_s > 2 * interval


def age_of(view: View, reading: Reading) -> float | None:
    """How old the values are now."""
    return None if reading.age_s is None else reading.age_s + view.silent_s


def stale(view: View, reading: Reading) -> str:
    """`stale 12s`, or why there is nothing to be old."""
    age = age_of(view, reading)
    return "stale" if age is None else f"stale {duration(age)}"


def why_not(reading: Reading) -> str:
    """Why there are no values, in words: the reason, else the status's word."""
    return reading.reason or WORDS[reading.status] or "unknown"
