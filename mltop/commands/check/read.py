"""What `mltop --check` reads: the box and its services, side by side, within the run's time."""

from __future__ import annotations

import time

import msgspec

from mltop.checks.case import judgement
from mltop.checks.judgement import Judgement
from mltop.checks.profile import Profile
from mltop.checks.selection import Selection
from mltop.checks.service.probe import ServiceProbe
from mltop.commands.check.job import JobReading, job_faults
from mltop.config.settings import Settings
from mltop.model.finding import Level
from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings
from mltop.sampling.look import Look
from mltop.sampling.root import Roots
from mltop.system.text import clean

_JOBS_S = 0.05
_LAST_S = 0.2
"""Kept back of a run's time for judging and printing."""


class Reading:
    """The box, its services and its jobs, which are asked from the start on, side by side. For one thread."""

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        profile: Profile,
        until: float,
        places: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """`until`: when the run ends, by `time.monotonic`; `places`: --config and --state-dir."""
        self._until = until
        left_s = until - time.monotonic()
        roots = Roots.from_environment()
        self._look = Look(roots, selection.families, settings.expect.gpus, left_s, selection.checks)
        self._probe = ServiceProbe(settings.services, selection.checks, profile.units, left_s)
        self._jobs = JobReading(*places, selection.checks, left_s)

    def take(self) -> tuple[Snapshot, Surroundings]:
        """What was found, within the run's time."""
        snapshot, surroundings = self._look.take(self._probe)
        facts = self._jobs.facts(max(_JOBS_S, self._until - _LAST_S - time.monotonic()))
        return snapshot, msgspec.structs.replace(surroundings, services=tuple(self._probe.answers()), jobs=facts)

    def close(self) -> None:
        """End the children; waits for none that is stuck."""
        self._jobs.close()
        self._probe.close()
        self._look.close()


def own_config(settings: Settings, config: str | None = None) -> Judgement:
    """`self.config`: a fault of the config is no verdict at all; one of its jobs, which only they mind, a WARNING."""
    if not settings.files:
        return judgement("self.config", Level.OK, "no config file: defaults", name="config")
    faults = job_faults(config)
    if not faults:
        return judgement("self.config", Level.OK, clean(f"read {', '.join(settings.files)}", 200), name="config")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    summary = clean(f"{faults[0]}{more}", 300)
    return judgement("self.config", Level.WARNING, summary, "mltop config check", name="config", reason="fault")
