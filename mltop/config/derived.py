"""Jobs that follow from another one: a backup's restore test, `<id>.drill` (D37)."""

from __future__ import annotations

from collections.abc import Iterable

from mltop.config.job import BackupSpec, DrillSpec, JobConfig

DRILL = ".drill"
"""No job of a config can be called so: an id has no dot (D24)."""
_PATIENCE = "wait:3600"
"""A drill that meets its backup waits for it: the next one may be a month away."""
_HEARTBEAT = frozenset({"ping_url", "ping_url_file"})


def drill_of(job: JobConfig) -> JobConfig | None:
    """The drill of a backup, on its own schedule and under its backup's account and limits; `None` for other jobs.

    Without a schedule (`drill = ""`) it runs by hand only. The backup's heartbeat (D45) is not the drill's to give.
    """
    if not isinstance(job.spec, BackupSpec):
        return None
    return job._replace(
        id=job.id + DRILL,
        kind="drill",
        spec=DrillSpec(backup=job.spec),
        schedule=(job.spec.drill,) if job.spec.drill else (),
        on_overlap=_PATIENCE,
        description=f"the restore test of {job.id}",
        alert={key: value for key, value in job.alert.items() if key not in _HEARTBEAT},
    )


def backup_of(name: str) -> str | None:
    """The backup whose drill `name` is, or `None`."""
    base = name.removesuffix(DRILL)
    return base if base != name else None


def with_derived(jobs: Iterable[JobConfig]) -> dict[str, JobConfig]:
    """All jobs by their ids, each drill that has a schedule right behind its backup."""
    found: dict[str, JobConfig] = {}
    for job in jobs:
        found[job.id] = job
        drill = drill_of(job)
        if drill is not None and drill.schedule:
            found[drill.id] = drill
    return found
