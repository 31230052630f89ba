"""`mltop jobs next`: what runs next on the box, in order of time; or when one job, or a schedule, does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from mltop.commands.jobs import text as jobs_text
from mltop.commands.jobs.asked import Asked, CommandError, document, errors, found_job, jobs_document, text
from mltop.commands.parser import ExitCode
from mltop.jobs.history.history import History
from mltop.jobs.inventory import Inventory
from mltop.jobs.moment import utc
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault
from mltop.model.job import JOBS_SCHEMA, Drift, Job


class Slot(NamedTuple):
    """One time that a job is to run at, in UTC."""

    at: str
    job: Job


def of_all(asked: Asked) -> int:
    """The next runs of everything that is scheduled, foreign entries too; with a faulty config as far as it goes."""
    seen, slots = _ahead_of_all(asked, asked.options.count)
    faults = asked.config.faults
    if asked.options.json:
        content = {"schema": JOBS_SCHEMA, "jobs": _with_slots(slots), "upcoming": [_row(slot) for slot in slots]}
        document(content | {"notes": seen.notes, "errors": errors(faults)})
    else:
        text(_table(slots))
        sys.stderr.write("".join(f"- {note}\n" for note in seen.notes))
        sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in faults))
    return ExitCode.USAGE if faults else ExitCode.DONE


def _ahead_of_all(asked: Asked, count: int) -> tuple[Inventory, list[Slot]]:
    """The first so many slots of the box."""
    seen = asked.look(count, is_all=True, is_soonest=True)
    return seen, slots_of(seen.jobs)[:count]


def slots_of(jobs: Sequence[Job]) -> list[Slot]:
    """Every time that jobs are to run at, in order; of one moment as the list has them."""
    return sorted((Slot(time, job) for job in jobs for time in job.next_runs), key=lambda slot: slot.at)


def _with_slots(slots: Sequence[Slot]) -> list[Job]:
    """The jobs of these slots in order of their first, each with those of them alone that are its own."""
    by_id: dict[str, tuple[Job, list[str]]] = {}
    for slot in slots:
        by_id.setdefault(slot.job.id, (slot.job, []))[1].append(slot.at)
    return [msgspec.structs.replace(job, next_runs=tuple(times)) for job, times in by_id.values()]


def _row(slot: Slot) -> dict[str, str | None]:
    job = slot.job
    return {"at": slot.at, "job": job.id, "origin": job.origin, "scope": job.scope, "note": _note(job)}


def _note(job: Job) -> str | None:
    """Why nothing may come of it."""
    if job.drift is Drift.MISSING:
        return "not in the scheduler: mltop jobs apply"
    return f"the scheduler has it otherwise ({job.drift})" if job.drift in (Drift.CHANGED, Drift.DRIFTED) else None


def _table(slots: Sequence[Slot]) -> str:
    if not slots:
        return "no next run\n"
    rows = [
        (
            jobs_text.local(slot.at),
            jobs_text.ahead(slot.at),
            slot.job.id,
            slot.job.source or "-",
            _note(slot.job) or slot.job.command or "",
        )
        for slot in slots
    ]
    return jobs_text.table(("WHEN", "IN", "NAME", "SOURCE", "COMMAND"), rows)


def of_one(asked: Asked) -> int:
    """When a job, or a schedule that is in no config yet, runs next."""
    options = asked.options
    if options.schedule is not None:
        texts: tuple[str, ...] = (options.schedule,)
        job = Job(id="", schedule=texts)
    else:
        job, _ = found_job(asked, options.id, options.count)
        texts = job.schedule if job.id in asked.config.jobs else ()
    times, notes = _ahead(asked, job.id, texts)
    if options.schedule is not None:
        job = Job(id="", schedule=texts, next_runs=tuple(utc(time.timestamp()) for time in times))
    if options.json:
        jobs_document([job], notes)
    else:
        text("".join(f"{jobs_text.local(time)}\n" for time in job.next_runs) or "no next run\n")
        sys.stderr.write("".join(f"- {note}\n" for note in notes))
    return ExitCode.DONE


def _ahead(asked: Asked, id: str, texts: Sequence[str]) -> tuple[list[datetime], list[str]]:
    """The next runs by these schedules, and what to know of them (J19)."""
    from datetime import UTC

    from mltop.jobs.schedule.advice import advice, crowded, too_often
    from mltop.jobs.schedule.schedule import next_runs, parse

    try:
        schedules = tuple(parse(one) for one in texts)
    except ScheduleFault as fault:
        raise CommandError([str(fault)], ExitCode.USAGE) from None
    now, count = datetime.now(UTC), asked.options.count
    others = [job for job in asked.config.jobs.values() if job.id != id and job.enabled]
    parsed = [_readable(one) for job in others for one in job.schedule]
    told = next_runs((*schedules, *(one for one in parsed if one is not None)), now, count)
    own = told[: len(schedules)]
    notes = [one.unknown for one in schedules if one.unknown]
    for one, times in zip(schedules, own, strict=True):
        notes += advice(one, times)
    found = {time.timestamp(): time for times in own for time in times}
    ahead = [found[key] for key in sorted(found)][:count]
    took = (
        [run.duration_s for run in History(asked.site.state).runs(id, 200) if run.duration_s is not None] if id else []
    )
    return ahead, [*dict.fromkeys(notes), *too_often(ahead, took), *crowded(ahead, told[len(schedules) :])]


def _readable(text: str) -> Schedule | None:
    """A schedule of another job; what is wrong with it is said there."""
    from mltop.jobs.schedule.schedule import parse

    try:
        return parse(text)
    except ScheduleFault:
        return None
