"""All that is scheduled on a box in one list: jobs, crontab, timers; next runs, and observed last ones (J1-J3)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

import msgspec

from mltop.config.job import CommandSpec, JobConfig
from mltop.config.location import SYSTEM_STATE
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.crontab.taken import is_debians, zone_of
from mltop.jobs.crontab.text import variables
from mltop.jobs.foreign import Foreign, of_timers, own_crontab, run_name, system_crontabs
from mltop.jobs.history.history import History
from mltop.jobs.history.summary import shared as shared_jobs
from mltop.jobs.moment import utc
from mltop.jobs.plan.plan import Installed, Step, installed, plan
from mltop.jobs.plan.scheduled import parsed, scheduled
from mltop.jobs.plan.wish import Wish, wishes
from mltop.jobs.schedule.schedule import Schedule, next_runs
from mltop.jobs.scheduler import cron_off, is_cron_running, manager_off
from mltop.jobs.site import Site
from mltop.jobs.systemd.timer import Timer, TimersError, timers
from mltop.jobs.systemd.unit import id_of
from mltop.model.job import Drift, Job, Origin, Run, RunState
from mltop.system.text import clean


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What is scheduled, and what could not be seen."""

    jobs: tuple[Job, ...] = ()
    notes: tuple[str, ...] = ()
    """One line a scheduler that is off, forbidden or unreadable."""
    foreign: tuple[Foreign, ...] = ()
    """Those of `jobs` that are not mltop's, with what they are made of."""


def inventory(
    jobs: Mapping[str, JobConfig], site: Site, *, is_all: bool = False, count: int = 1, is_whole: bool = True
) -> Inventory:
    """Look at everything; changes nothing, and raises nothing for a scheduler that is not there.

    `count` next runs of each. `is_whole` is false where the config has faults: then nothing counts as orphaned.
    """
    crontab, notes = _crontab(site)
    asked = _timers(site)
    active = {scope: [one.unit for one in found if one.is_enabled] for scope, (found, _) in asked.items() if found}
    have = installed(site, crontab, active) if crontab is not None else _without_crontab(site, active)
    made = plan(jobs.values(), site, have=have)
    strangers, more = _foreign(site, crontab, asked, jobs, is_all=is_all)
    notes += [*more, *made.notes]
    wanted = wishes(jobs.values(), site)
    shared = _of_root(site)
    own = [_own(wish, step) for wish, step in zip(wanted, made.steps, strict=False)]
    own += (unread := [job for id, job in shared.items() if job.schedule and id not in jobs])
    orphans = [_orphan(step) for step in made.steps[len(wanted) :]] if is_whole else []
    altered = _altered(have, asked)
    now = {**scheduled(site, have), **altered}
    schedules = [
        *(_running(wish, step, now, wish.id in altered) for wish, step in zip(wanted, made.steps, strict=False)),
        *map(_schedules, unread),
        *(one.schedules for one in strangers),
    ]
    zone = _zone_of_block(have)
    zones = [*(zone if step.backend == "cron" else None for step in made.steps[: len(wanted)])]
    zones += [*(None for _ in unread), *(one.zone for one in strangers)]
    times = _times(schedules, zones, count)
    listed = [_with_next(job, found) for job, found in zip([*own, *(one.job for one in strangers)], times, strict=True)]
    seen, history_notes = _with_history([*listed[: len(own)], *orphans, *listed[len(own) :]], site, shared)
    return Inventory(jobs=tuple(seen), notes=tuple(dict.fromkeys([*notes, *history_notes])), foreign=tuple(strangers))


def _crontab(site: Site) -> tuple[bytes | None, list[str]]:
    off = cron_off(site.environment)
    if off is not None:
        return None, [off]
    try:
        data = Crontab(site.state, site.environment).read()
    except CrontabError as error:
        return None, [str(error)]
    return data, [] if is_cron_running() else ["cron is not running: nothing in a crontab runs"]


def _without_crontab(site: Site, active: Mapping[str, Sequence[str]]) -> Installed:
    found = installed(site, b"", active)
    return msgspec.structs.replace(found, crontab=None, crontab_parts=None)


def _foreign(
    site: Site,
    crontab: bytes | None,
    asked: Mapping[str, tuple[Sequence[Timer], Sequence[str]]],
    jobs: Mapping[str, JobConfig],
    *,
    is_all: bool,
) -> tuple[list[Foreign], list[str]]:
    found = own_crontab(crontab, site.calls()) if crontab is not None else []
    notes: list[str] = []
    for scope, (seen, said) in asked.items():
        found += of_timers(seen, scope, is_all=is_all, own=jobs)
        notes += said
    if is_all:
        more, unread = system_crontabs()
        found += more
        notes += unread
    return found, notes


def _timers(site: Site) -> dict[str, tuple[Sequence[Timer], Sequence[str]]]:
    """Both managers' timers, asked at the same time: one that does not answer costs its deadline once."""
    answers: dict[str, tuple[Sequence[Timer], Sequence[str]]] = {}

    def ask(scope: str) -> None:
        if (off := manager_off(scope, site.environment)) is not None:
            # root's own manager hardly ever runs, and nothing is the worse for it
            answers[scope] = ([], [] if scope == "user" and "system" in site.scopes() else [off])
            return
        try:
            answers[scope] = (timers(scope, site.environment), [])
        except TimersError as error:
            answers[scope] = ([], [f"timers ({scope}): {error}"])

    asking = [threading.Thread(target=ask, args=(scope,), daemon=True) for scope in ("user", "system")]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return {scope: answers[scope] for scope in ("user", "system") if scope in answers}


def _running(wish: Wish, step: Step, now: Mapping[str, tuple[Schedule, ...]], is_altered: bool) -> tuple[Schedule, ...]:
    """The schedules by which it is run: where it is installed otherwise than the config has it, those that are."""
    is_other = is_altered or step.drift in (Drift.DRIFTED, Drift.CHANGED)
    return now.get(wish.id, ()) if is_other else wish.schedules


def _altered(
    have: Installed, asked: Mapping[str, tuple[Sequence[Timer], Sequence[str]]]
) -> dict[str, tuple[Schedule, ...]]:
    """By job, the schedules of timers that a drop-in changes, as their manager has them."""
    found = {}
    for scope, folder in have.units.items():
        for one in asked[scope][0] if scope in asked else ():
            id = id_of(one.unit)
            if id is not None and one.is_enabled and any(f"/{one.unit}.d/" in path for path in folder.altered):
                found[id] = parsed(one.schedule)
    return found


def _own(wish: Wish, step: Step) -> Job:
    job = wish.job
    command = f"mltop run {wish.id}"
    if isinstance(job.spec, CommandSpec):
        command = job.spec.command if isinstance(job.spec.command, str) else " ".join(job.spec.command)
    return Job(
        id=wish.id,
        kind=job.kind,
        scope=job.scope,
        source=job.source or None,
        schedule=tuple(schedule.text for schedule in wish.schedules) or job.schedule,
        enabled=job.enabled,
        state=_standing(wish, step),
        drift=step.drift,
        command=clean(command, 1000),
        description=clean(step.note, 400) if _is_nowhere(wish, step) and step.note else job.description,
    )


def _is_nowhere(wish: Wish, step: Step) -> bool:
    """Whether it cannot be scheduled as it is written, or where something else stands."""
    return wish.fault is not None or (step.is_fault and step.drift is not None)


def _standing(wish: Wish, step: Step) -> str | None:
    if _is_nowhere(wish, step):
        return "not scheduled"
    if not wish.job.enabled:
        return "disabled"
    return "by hand only" if wish.backend is None else None


def _orphan(step: Step) -> Job:
    return Job(id=step.id, state="orphaned", drift=step.drift or Drift.ORPHANED, description=step.note)


def _zone_of_block(have: Installed) -> tzinfo | None:
    """What cron counts in for the lines of mltop's block."""
    above = variables(have.crontab) if have.crontab is not None and have.crontab_parts is not None else {}
    return zone_of(above, is_debian=is_debians()) if "CRON_TZ" in above else None


def _times(
    schedules: Sequence[tuple[Schedule, ...]], zones: Sequence[tzinfo | None], count: int
) -> list[tuple[str, ...]]:
    """The next runs of each job, all of a zone asked at once."""
    now = datetime.now(UTC)
    told: dict[tuple[Schedule, tzinfo | None], tuple[datetime, ...]] = {}
    for zone in dict.fromkeys(zones):
        flat = tuple(
            dict.fromkeys(one for pair in zip(schedules, zones, strict=True) if pair[1] is zone for one in pair[0])
        )
        told |= {(one, zone): times for one, times in zip(flat, next_runs(flat, now, count, zone), strict=True)}
    found = []
    for several, zone in zip(schedules, zones, strict=True):
        times = sorted({time.timestamp() for one in several for time in told[one, zone]})
        found.append(tuple(utc(time) for time in times[:count]))
    return found


def _with_next(job: Job, times: tuple[str, ...]) -> Job:
    if not times or not job.enabled or job.state in ("not scheduled", "by hand only"):
        return job
    return msgspec.structs.replace(job, next_runs=times)


def _of_root(site: Site) -> Mapping[str, Job]:
    """The system's jobs as root's runs left them, for who cannot read root's history (D25); none with `--config`."""
    return {} if site.is_root or site.config is not None else shared_jobs(SYSTEM_STATE)


def _schedules(job: Job) -> tuple[Schedule, ...]:
    return parsed(job.schedule)  # of another version, perhaps


def _with_history(jobs: Sequence[Job], site: Site, shared: Mapping[str, Job]) -> tuple[list[Job], list[str]]:
    history = History(site.state)
    jobs = [_shared(job, shared.get(job.id)) if job.scope == "system" else job for job in jobs]
    names = [job.id if job.origin is Origin.MLTOP else run_name(job.id) for job in jobs]
    known = [
        name
        for job, name in zip(jobs, names, strict=True)
        if job.origin is not Origin.MLTOP or job.scope == "user" or site.is_root
    ]
    lasts = history.lasts(known)
    notes = list(history.notes)
    streaks = history.streaks(lasts)
    pairs = zip(jobs, names, strict=True)
    return [_seen(job, lasts.get(name), streaks.get(name, ())) for job, name in pairs], notes


def _shared(job: Job, told: Job | None) -> Job:
    """A job of the system with what its summary tells."""
    if told is None or told.last_run is None or job.origin is not Origin.MLTOP:
        return job
    is_open = job.state in (None, "by hand only")  # it is root who schedules it
    state = str(told.last_run.state) if is_open else job.state
    return msgspec.structs.replace(job, last_run=told.last_run, state=state)


def _seen(job: Job, last: Run | None, streak: tuple[RunState, ...]) -> Job:
    """An observed run, or `never seen`: a computed time is never shown as the last (J2)."""
    if last is None:
        return job if job.state else msgspec.structs.replace(job, state="never seen")
    is_newer = job.last_run is None or (last.started_at or "") > (job.last_run.started_at or "")
    if not is_newer:
        return job
    is_open = job.state is None or job.last_run is not None or last.state is RunState.RUNNING
    state = str(last.state) if is_open else job.state
    return msgspec.structs.replace(job, last_run=last, streak=streak, state=state)
