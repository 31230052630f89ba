"""What somebody changed by hand in a scheduler, as changes of the config that say the same (`apply --theirs`)."""

from __future__ import annotations

from mltop.config.change import Change, SetKey
from mltop.jobs.crontab import block
from mltop.jobs.crontab.line import Call
from mltop.jobs.crontab.stray import strays
from mltop.jobs.plan.plan import Installed, block_lines, cron_d_lines
from mltop.jobs.plan.wish import Wish
from mltop.jobs.site import Site
from mltop.jobs.systemd import unit
from mltop.model.job import Drift


class HandEditError(Exception):
    """A hand edit that the config cannot say."""


def changes_of(wish: Wish, site: Site, have: Installed) -> list[Change]:
    """What the config has to say for a job that was edited by hand; raises HandEditError."""
    schedules = _of_units(wish, site, have) if wish.backend == "systemd" else _of_lines(wish, site, have)
    if not schedules:
        return [SetKey(wish.id, ("enabled",), False)]
    value = schedules[0] if len(schedules) == 1 else list(schedules)
    return [SetKey(wish.id, ("schedule",), value)]


def _of_lines(wish: Wish, site: Site, have: Installed) -> tuple[str, ...]:
    lines = cron_d_lines(have) if wish.backend == "cron.d" else block_lines(have)
    found = block.found(lines, site.calls()).get(wish.id)
    pairs = list(zip(found.lines, found.owned, strict=True)) if found is not None else []
    outside = strays(have.crontab, site.calls()) if have.crontab is not None and wish.backend == "cron" else []
    astray = [(one.raw, one.owned) for one in outside if one.owned.id == wish.id]
    if not astray and (found is None or block.drift(wish.id, found, wish.lines) is not Drift.DRIFTED):
        raise HandEditError(f"{wish.id}: nothing was edited by hand where it is scheduled now")
    pairs += astray
    user = "root " if wish.backend == "cron.d" else ""
    expected = user + " ".join(site.call(wish.job.scope).argv(wish.id))
    for raw, one in pairs:
        text = raw.decode("utf-8", "replace").lstrip("# \t").partition(" # mltop:v1:")[0]
        if " ".join(text.split()) != f"{' '.join(one.schedule.split())} {expected}":
            raise HandEditError(
                f"{wish.id}: more than its schedule was edited, which the config cannot say; use --mine"
            )
    return tuple(dict.fromkeys(one.schedule for _, one in pairs if not one.is_paused))


def _of_units(wish: Wish, site: Site, have: Installed) -> tuple[str, ...]:
    folder = have.units.get(wish.job.scope)
    service, timer = unit.names(wish.id)
    data = folder.files if folder else {}
    if folder is None or timer not in data or _start(data.get(service)) != site.call(wish.job.scope):
        raise HandEditError(f"{wish.id}: more than its timer was edited, which the config cannot say; use --mine")
    return unit.expressions(data[timer]) if timer in folder.enabled - folder.stopped else ()


def _start(data: bytes | None) -> Call | None:
    owned = unit.owned("mltop-x.service", data) if data is not None else None
    return owned.call if owned is not None and owned.is_intact else None
