"""What the config wants of the schedulers: each job with its schedules, and rendered for its place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from mltop.config.document import read_document
from mltop.config.fault import Fault
from mltop.config.job import JobConfig
from mltop.jobs.crontab import line as cron_line
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, parse
from mltop.jobs.scheduler import backend
from mltop.jobs.site import Site, SiteError
from mltop.jobs.systemd import unit


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its config wants it."""

    id: str
    job: JobConfig
    schedules: tuple[Schedule, ...] = ()
    backend: str | None = None
    """`cron`, `cron.d` or `systemd`; `None`: nothing runs it by itself."""
    fault: str | None = None
    """Why it cannot be scheduled as it is written."""
    note: str | None = None
    lines: tuple[bytes, ...] = ()
    """What it is in a crontab."""
    units: dict[str, bytes] = {}
    """What it is in systemd, by file."""


def wishes(jobs: Iterable[JobConfig], site: Site) -> list[Wish]:
    """The wishes of all jobs."""
    return [wish(job, site) for job in jobs]


def wish(job: JobConfig, site: Site) -> Wish:
    """One wish, rendered for its scheduler."""
    made = Wish(id=job.id, job=job)
    try:
        schedules = tuple(parse(text) for text in job.schedule)
    except ScheduleFault as fault:
        return msgspec.structs.replace(made, fault=f"{_place(job)}: jobs.{job.id}.schedule: {fault}")
    made = msgspec.structs.replace(made, schedules=schedules)
    if not job.enabled or not job.schedule:
        return msgspec.structs.replace(made, note="disabled" if not job.enabled else "by hand only")
    if job.scope not in site.scopes():
        note = "of the system: root schedules it" if not site.is_root else "of the system: not with --config"
        return msgspec.structs.replace(made, note=note)
    where, why = backend(job.backend, job.scope, site.environment, is_root=site.is_root)
    if where is None:
        remedy = '; backend = "auto" takes what is here' if job.backend in ("cron", "systemd") else ""
        return msgspec.structs.replace(made, fault=f"{_place(job, 'backend')}: jobs.{job.id}: {why}{remedy}")
    made = msgspec.structs.replace(made, backend=where, note=why)
    try:
        for one in schedules:
            one.on_calendar() if where == "systemd" else one.cron()
    except ScheduleFault as fault:
        return msgspec.structs.replace(made, fault=f"{_place(job)}: jobs.{job.id}.schedule: {fault}")
    try:
        return _rendered(made, site)
    except (ScheduleFault, SiteError) as fault:
        return msgspec.structs.replace(made, fault=f"{job.source or 'config'}: jobs.{job.id}: {fault}")


def _place(job: JobConfig, key: str = "schedule") -> str:
    """The file and the line of a job's key, for who has to change it."""
    name, _, _ = job.source.rpartition(":")
    try:
        document = read_document(Path(job.file), name) if job.file else None
    except Fault:
        document = None
    line = document.source.line(("jobs", job.id, key)) if document is not None else None
    return f"{name}:{line}" if line is not None else job.source or "config"


def _rendered(made: Wish, site: Site) -> Wish:
    call = site.call(made.job.scope)
    if made.backend == "systemd":
        units = unit.files(made.job, made.id, made.schedules, call, site.state)
        return msgspec.structs.replace(made, units=units)
    user = "root" if made.backend == "cron.d" else None  # the wrapper itself becomes run_as: its state is root's
    lines = [cron_line.line(text, call.argv(made.id), user) for schedule in made.schedules for text in schedule.cron()]
    return msgspec.structs.replace(made, lines=tuple(lines))
