"""What several looks need: who asks, the config with its faults, and what is in the schedulers. Read when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

from mltop.config.document import Files
from mltop.config.fault import Fault
from mltop.config.jobs import Jobs, job_files, judge
from mltop.config.load import load
from mltop.config.settings import Settings
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.plan.plan import Installed, Plan, installed, plan
from mltop.jobs.plan.wish import Wish, wishes
from mltop.jobs.schedule.schedule import parse
from mltop.jobs.scheduler import cron_off
from mltop.jobs.site import Site, site


class Scene:
    """One user's box. Each look has its own, in its own child: reading any of it may hang."""

    def __init__(self, config: str | None, state: str | None, environment: Mapping[str, str]) -> None:
        self._config = config
        self._state = state
        self.environment = environment

    @cached_property
    def site(self) -> Site:
        """Where we stand; raises SiteError."""
        return site(self._config, self._state, self.environment)

    @cached_property
    def files(self) -> Files:
        """The config's files."""
        return job_files(self._config, self.environment)

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs, and all faults of the files they stand in."""
        return judge(self.files, parse)

    @cached_property
    def settings(self) -> Settings | None:
        """The settings; `None` where they have faults."""
        try:
            return load(self._config, self.environment)
        except Fault:
            return None

    def faults(self) -> tuple[str, ...]:
        """Everything that is wrong with the config (D22, D23)."""
        try:
            load(self._config, self.environment)
        except Fault as fault:
            return tuple(dict.fromkeys((*fault.lines, *self.jobs.faults)))
        return self.jobs.faults

    @cached_property
    def crontab(self) -> tuple[bytes | None, str | None]:
        """Our crontab, and why it cannot be had."""
        if (off := cron_off(self.environment)) is not None:
            return None, off
        try:
            return Crontab(self.site.state, self.environment).read(), None
        except CrontabError as error:
            return None, str(error)

    @cached_property
    def wishes(self) -> list[Wish]:
        """What the config wants of the schedulers."""
        return wishes(self.jobs.jobs.values(), self.site)

    @cached_property
    def installed(self) -> Installed:
        """What the schedulers hold."""
        crontab, _ = self.crontab
        found = installed(self.site, crontab or b"")
        return found if crontab is not None else msgspec.structs.replace(found, crontab=None, crontab_parts=None)

    @cached_property
    def plan(self) -> Plan:
        """What stands between the two."""
        return plan(self.jobs.jobs.values(), self.site, have=self.installed)

    def uses(self, backend: str) -> bool:
        """Whether a job is to be run by this scheduler."""
        return any(wish.backend == backend for wish in self.wishes)
