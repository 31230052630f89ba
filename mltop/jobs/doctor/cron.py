"""Whether cron runs what it is told: the program, the daemon, who may use it, and in which zone it counts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from mltop.jobs.crontab.text import BlockFault, variables
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, warning
from mltop.jobs.runner import alive
from mltop.jobs.schedule.schedule import local_zone
from mltop.jobs.scheduler import cron_daemon, is_cron_running, manager_off
from mltop.jobs.user import local_user
from mltop.model.doctor import Symptom
from mltop.sampling.root import Roots

_HALF_A_YEAR = timedelta(days=183)
_START = "service cron start (or systemctl enable --now cron)"


def look(scene: Scene, roots: Roots) -> Report:
    """Look at cron; nothing is said of a box that has none and needs none."""
    crontab, why = scene.crontab
    is_used = scene.uses("cron") or scene.uses("cron.d")
    found = list(_program(is_used, why))
    if crontab is not None or is_used:
        is_needed = is_used or bool(crontab)
        is_alone = manager_off("system", scene.environment) is not None
        found.append(daemon(is_running=is_cron_running(roots.proc), is_needed=is_needed, is_alone=is_alone))
        found += _zone(roots)
    user, _ = local_user(scene.environment)
    refused = refusal(user, _names(roots.etc / "cron.allow"), _names(roots.etc / "cron.deny"))
    if refused is not None and not scene.site.is_root:
        found.append(fault("cron.allowed", refused, f"have root add {user} to /etc/cron.allow", "/etc/cron.allow"))
    found += zone_variables(_variables(crontab), is_debian=(roots.etc / "debian_version").exists())
    return Report(tuple(found))


def _program(is_used: bool, why: str | None) -> Iterator[Symptom]:
    if why is None:
        yield ok("cron.program", "crontab answers")
    elif is_used:
        yield fault("cron.program", why, 'install cron, or set backend = "systemd"')


def daemon(*, is_running: bool, is_needed: bool, is_alone: bool) -> Symptom:
    """Whether anything in a crontab is run at all; `is_alone`: there is no other scheduler on the box."""
    if is_running:
        return ok("cron.daemon", "a cron daemon runs")
    if is_needed:
        return fault("cron.daemon", "cron is not running: nothing in a crontab runs", _START)
    if is_alone:
        return warning("cron.daemon", "cron is not running, and nothing else here could run a job", _START)
    return ok("cron.daemon", "cron is not running, and nothing needs it")


def refusal(user: str, allow: Sequence[str] | None, deny: Sequence[str] | None) -> str | None:
    """Why crontab(1) refuses a user: not in cron.allow where there is one, else in cron.deny; `None` lists nobody."""
    if allow is not None:
        return None if user in allow else f"cron.allow does not have {user}"
    return f"cron.deny has {user}" if deny is not None and user in deny else None


def zone_changed(changed_at_s: float, started_at_s: float) -> Symptom:
    """Whether a daemon still counts in the zone that the box had when it was started."""
    if changed_at_s <= started_at_s:
        return ok("cron.zone", "cron counts in the box's zone")
    what = "the box's zone was set after cron was started, and cron keeps the old one"
    return warning("cron.zone", what, "service cron restart", "/etc/localtime")


def other_zone(daemon_zone: str, ours: tzinfo, now: datetime) -> Symptom | None:
    """A daemon that was started with a TZ of its own."""
    from zoneinfo import ZoneInfo

    try:
        its = ZoneInfo(daemon_zone.removeprefix(":"))
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None
    except KeyError:
        return None
    moments = (now, now + _HALF_A_YEAR)
    if all(moment.astimezone(its).utcoffset() == moment.astimezone(ours).utcoffset() for moment in moments):
        return None
    what = f"cron was started with TZ={daemon_zone}, which is not the box's zone: next runs are shown wrongly"
    return warning("cron.zone", what, "take TZ out of cron's environment (/etc/default/cron) and restart it")


def zone_variables(found: Mapping[str, str], *, is_debian: bool) -> Iterator[Symptom]:
    """Variables in a crontab that look as if they set cron's zone, and do not (Debian's crontab(5))."""
    for name in ("CRON_TZ", "TZ"):
        if name in found and (is_debian or name == "TZ"):
            what = f"{name}={found[name]} in the crontab reaches the jobs only: cron counts in the box's zone"
            yield warning("cron.zone", what, f"take {name} out; write the schedule in the box's zone", "crontab")


def _zone(roots: Roots) -> Iterator[Symptom]:
    try:
        pid = cron_daemon(roots.proc)
        changed_at_s = (roots.etc / "localtime").lstat().st_mtime
        started_at_s = _started_at(pid, roots.proc) if pid is not None else None
    except OSError:
        return
    if pid is None or started_at_s is None:
        return
    try:
        words = (roots.proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        words = []  # root's own
    zone = next((word[3:].decode("utf-8", "replace") for word in words if word.startswith(b"TZ=")), None)
    other = other_zone(zone, local_zone(), datetime.now(UTC)) if zone else None
    yield other or zone_changed(changed_at_s, started_at_s)


def _started_at(pid: int, proc: Path) -> float | None:
    """When a process was started, in seconds since the epoch."""
    ticks = alive.start_ticks(pid)
    for line in (proc / "stat").read_text("ascii", "replace").splitlines():
        if line.startswith("btime ") and ticks is not None:
            return float(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return None


def _names(path: Path) -> list[str] | None:
    try:
        return path.read_text("utf-8", "replace").split()
    except OSError:
        return None


def _variables(crontab: bytes | None) -> Mapping[str, str]:
    try:
        return variables(crontab or b"")
    except BlockFault:
        return {}
