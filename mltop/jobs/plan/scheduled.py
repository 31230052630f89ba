"""When jobs run as the schedulers have them, whatever the config says: a line that somebody changed, or took away."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from mltop.jobs.crontab import block
from mltop.jobs.crontab.line import Owned
from mltop.jobs.crontab.stray import strays
from mltop.jobs.plan.plan import Installed, block_lines, cron_d_lines
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, parse
from mltop.jobs.site import Site
from mltop.jobs.systemd import unit


def scheduled(site: Site, have: Installed) -> Mapping[str, tuple[Schedule, ...]]:
    """By job, the schedules by which something starts it now; none of what is paused, stopped or cannot be read."""
    found: dict[str, list[str]] = {}
    calls = site.calls()
    for lines in (block_lines(have), cron_d_lines(have)):
        for id, one in block.found(lines, calls).items():
            found.setdefault(id, []).extend(_of_lines(one.owned))
    if have.crontab is not None and have.crontab_parts is not None:
        for stray in strays(have.crontab, calls):
            found.setdefault(stray.owned.id, []).extend(_of_lines([stray.owned]))
    for folder in have.units.values():
        for name in folder.enabled - folder.stopped if folder.off is None else ():
            found.setdefault(unit.id_of(name) or "", []).extend(unit.expressions(folder.files[name]))
    return {id: parsed(texts) for id, texts in found.items()}


def _of_lines(owned: Iterable[Owned]) -> list[str]:
    return [one.schedule for one in owned if not one.is_paused]


def parsed(texts: Iterable[str]) -> tuple[Schedule, ...]:
    """Those that can be read."""
    found = []
    for text in dict.fromkeys(texts):
        with contextlib.suppress(ScheduleFault):
            found.append(parse(text))
    return tuple(found)
