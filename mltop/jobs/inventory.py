"""All that is scheduled on a box in one list: jobs, crontab, timers; next runs, and observed last ones (J1-J3)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

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

_DEEPER = 4


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What is scheduled, and what could not be seen."""

    jobs: tuple[Job, ...] = ()
    notes: tuple[str, ...] = ()
    """One line a scheduler that is off, forbidden or unreadable."""
    foreign: tuple[Foreign, ...] = ()
    """Those of `jobs` that are not mltop's, with what they are made of."""


class _Row(NamedTuple):
    job: Job
    schedules: tuple[Schedule, ...]
    """By these it is run; a timer's manager tells its next run itself."""
    zone: tzinfo | None = None
    """What they count in; `None`: the box's."""


def inventory(
    jobs: Mapping[str, JobConfig],
    site: Site,
    *,
    is_all: bool = False,
    count: int = 1,
    is_whole: bool = True,
    is_soonest: bool = False,
) -> Inventory:
    """Look at everything; changes nothing, and raises nothing for a scheduler that is not there.

    `count` next runs of each; with `is_soonest` of those alone that are among the first `count` of all, and one of each
    other. `is_whole` is false where the config has faults: then nothing counts as orphaned.
    """
    crontab, notes = _crontab(site)
    asked = _timers(site)
    active = {scope: [one.unit for one in found if one.is_enabled] for scope, (found, _) in asked.items() if found}
    have = installed(site, crontab, active) if crontab is not None else _without_crontab(site, active)
    made = plan(jobs.values(), site, have=have)
    strangers, more = _foreign(site, crontab, asked, jobs, is_all=is_all)
    notes += [*more, *made.notes]
    shared = _of_root(site)
    wanted = wishes(jobs.values(), site)
    now = scheduled(site, have)
    rows = _own_rows(zip(wanted, made.steps, strict=False), have, now, _altered(have, asked))
    rows += [_Row(job, parsed(job.schedule)) for id, job in shared.items() if job.schedule and id not in jobs]
    rows += [_orphan(step, now) for step in made.steps[len(wanted) :] if is_whole]
    rows += [_Row(one.job, one.schedules, one.zone) for one in strangers]
    seen, history_notes = _with_history((_with_soonest if is_soonest else _with_next)(rows, count), site, shared)
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


def _own_rows(
    pairs: Iterable[tuple[Wish, Step]],
    have: Installed,
    now: Mapping[str, tuple[Schedule, ...]],
    altered: Mapping[str, tuple[Schedule, ...]],
) -> list[_Row]:
    """The config's jobs, with the schedules by which they run: those installed, where the config has others."""
    zone = _zone_of_block(have)
    rows = []
    for wish, step in pairs:
        running = now.get(wish.id, ()) if step.drift in (Drift.DRIFTED, Drift.CHANGED) else wish.schedules
        rows.append(_Row(_own(wish, step), altered.get(wish.id, running), zone if step.backend == "cron" else None))
    return rows


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
    if step.is_fault:
        return "not known"  # its scheduler does not say
    if not wish.job.enabled:
        return "disabled"
    return "by hand only" if wish.backend is None else None


def _orphan(step: Step, now: Mapping[str, tuple[Schedule, ...]]) -> _Row:
    """What the scheduler starts, and the config knows nothing of."""
    running = now.get(step.id, ())
    texts = tuple(one.text for one in running)
    drift = step.drift or Drift.ORPHANED
    return _Row(Job(id=step.id, state="orphaned", drift=drift, description=step.note, schedule=texts), running)


def _zone_of_block(have: Installed) -> tzinfo | None:
    """What cron counts in for the lines of mltop's block."""
    above = variables(have.crontab) if have.crontab is not None and have.crontab_parts is not None else {}
    return zone_of(above, is_debian=is_debians()) if "CRON_TZ" in above else None


def _with_next(rows: Sequence[_Row], count: int) -> list[Job]:
    """The jobs with their next runs, all of a zone asked at once."""
    now = datetime.now(UTC)
    told: dict[tuple[Schedule, tzinfo | None], tuple[datetime, ...]] = {}
    for zone in {row.zone: None for row in rows}:
        flat = tuple(dict.fromkeys(one for row in rows if row.zone == zone for one in row.schedules))
        told |= {(one, zone): times for one, times in zip(flat, next_runs(flat, now, count, zone), strict=True)}
    found = []
    for job, schedules, zone in rows:
        times = sorted({time.timestamp() for one in schedules for time in told[one, zone]})
        is_run = job.enabled and job.state not in ("not scheduled", "not known", "by hand only")
        is_told = bool(times) and is_run
        found.append(msgspec.structs.replace(job, next_runs=tuple(map(utc, times[:count]))) if is_told else job)
    return found


def _with_soonest(rows: Sequence[_Row], count: int) -> list[Job]:
    """The jobs with the next runs that may be among the first so many of all.

    Of a thousand jobs not as many of each are worked out: only of those that have more before the last of the first.
    """
    depth = 1
    found = _with_next(rows, depth)
    soon: Sequence[int] = range(len(rows))
    while depth < count:
        times = sorted(time for job in found for time in job.next_runs)
        last = times[count - 1] if len(times) >= count else None
        soon = [
            place for place in soon if len(runs := found[place].next_runs) == depth and (not last or runs[-1] < last)
        ]
        if not soon:
            break
        depth = min(count, _DEEPER * depth)
        for place, job in zip(soon, _with_next([rows[place] for place in soon], depth), strict=True):
            found[place] = job
    return found


def _of_root(site: Site) -> Mapping[str, Job]:
    """The system's jobs as root's runs left them, for who cannot read root's history (D25); none with `--config`."""
    return {} if site.is_root or site.config is not None else shared_jobs(SYSTEM_STATE)


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
