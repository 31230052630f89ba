"""What `mltop --check` reads: the box and its services, side by side, within the run's time."""

from __future__ import annotations

import time

import msgspec

from mltop.checks.case import judgement
from mltop.checks.judgement import Judgement
from mltop.checks.profile import Profile
from mltop.checks.selection import Selection
from mltop.checks.service.probe import ServiceProbe
from mltop.checks.service.unit import Expectation
from mltop.config.service import Services
from mltop.config.settings import Settings
from mltop.model.finding import Level
from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings
from mltop.sampling.look import Look
from mltop.sampling.root import Roots
from mltop.system.process import reap_children
from mltop.system.text import clean


def read(
    settings: Settings, selection: Selection, profile: Profile, limit_s: float, started: float
) -> tuple[Snapshot, Surroundings, list[Judgement]]:
    """The box and its services, side by side, within the run's time."""
    left_s = limit_s - (time.monotonic() - started)
    look = Look(Roots.from_environment(), selection.families, settings.expect.gpus, left_s, selection.checks)
    probe = ServiceProbe(_services(settings, selection), _units(selection, profile), left_s)
    try:
        snapshot, surroundings = look.take(probe)
        return snapshot, msgspec.structs.replace(surroundings, services=tuple(probe.answers())), []
    finally:
        probe.close()
        look.close()
        reap_children(0.02)


def _services(settings: Settings, selection: Selection) -> Services:
    """The configured services whose check runs."""
    kinds = {"svc.unit": "unit", "api": "http", "redis": "redis", "pg": "postgres", "tcp": "tcp"}
    left_out = {kind: () for check, kind in kinds.items() if check not in selection.checks}
    return msgspec.structs.replace(settings.services, **left_out)


def _units(selection: Selection, profile: Profile) -> Expectation | None:
    return profile.units if "svc.unit" in selection.checks else None


def own_config(settings: Settings) -> Judgement:
    """`self.config`: a config with a fault is no verdict at all, so what gets here is well."""
    summary = f"read {', '.join(settings.files)}" if settings.files else "no config file: defaults"
    return judgement("self.config", Level.OK, clean(summary, 200), name="config")
