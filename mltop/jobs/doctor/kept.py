"""The checklist of a kept box: what is looked after here, what is not, and how it would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from mltop.config.derived import DRILL
from mltop.config.job import BackupSpec, JobConfig, Keep
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report
from mltop.jobs.history.history import History
from mltop.jobs.plan.operation import OperationError, Operations
from mltop.model.doctor import Habit
from mltop.model.job import Drift, Run, RunState

ALERT_TEST = "alert-test"
"""The operation that a tested alert channel leaves in `operations.jsonl`."""
_DAY_S = 86400.0
_DRILL_DAYS = 35.0
"""A month, and some days for a box that was off."""


class Kept(NamedTuple):
    """A job as the checklist sees it."""

    job: JobConfig
    is_scheduled: bool
    """It is in its scheduler as its config has it."""
    gap_s: float | None
    """The longest time between two of its next runs; `None`: nothing runs it by itself."""
    last: Run | None


def look(scene: Scene) -> Report:
    """Make the list."""
    now = datetime.now(UTC)
    jobs = kept_jobs(scene, History(scene.site.state), now)
    services = scene.settings.services if scene.settings is not None else None
    count = sum(len(getattr(services, kind)) for kind in services.__struct_fields__) if services is not None else 0
    channels = [table for document in scene.files.documents if (table := document.raw.get("notify"))]
    return Report(
        habits=(
            regular(jobs, "backup", "a daily backup", _DAY_S),
            regular(jobs, "cleanup", "a cleanup", 7 * _DAY_S),
            regular(jobs, "check", "a health check", 3600.0),
            regular(jobs, "metrics", "GPU metrics", 3600.0),
            services_asked(count),
            regular(jobs, "rotate", "rotation of logs", 7 * _DAY_S),
            retention(jobs),
            alert_channel(is_configured=bool(channels), tested_at=_tested_at(scene)),
            drill(jobs, now),
        )
    )


def kept_jobs(scene: Scene, history: History, now: datetime) -> list[Kept]:
    """The jobs with how they stand; drills among them."""
    in_step = {step.id for step in scene.plan.steps if step.drift is Drift.IN_SYNC and step.backend is not None}
    lasts = history.lasts(scene.jobs.jobs)
    found = []
    for wish in scene.wishes:
        times = sorted(time for one in wish.schedules for time in one.next_runs(now, 8))
        gaps = [(after - before).total_seconds() for before, after in zip([now, *times], times, strict=False)]
        gap_s = max(gaps) if gaps and wish.job.enabled else None
        found.append(Kept(wish.job, wish.id in in_step, gap_s, lasts.get(wish.id)))
    return found


def regular(jobs: Iterable[Kept], kind: str, what: str, at_most_s: float) -> Habit:
    """A job of a kind that is scheduled often enough, and whose last run did not fail."""
    mine = [one for one in jobs if one.job.kind == kind]
    why = [(_lack(one, at_most_s), one.job.id) for one in mine]
    done = [id for lack, id in why if lack is None]
    if done:
        return Habit(id=kind, is_done=True, summary=f"{what}: {', '.join(done)}")
    if not mine:
        remedy = f'mltop init writes one; or a job with kind = "{kind}", then mltop jobs apply'
        return Habit(id=kind, is_done=False, summary=f"{what}: no job does it", remedy=remedy)
    lack, id = min(why, key=lambda one: (one[0] or ("", ""))[0])
    said, remedy = lack or ("", "")
    return Habit(id=kind, is_done=False, summary=f"{what}: {id} {said}", remedy=remedy.format(id=id))


def _lack(one: Kept, at_most_s: float) -> tuple[str, str] | None:
    """What a job lacks, and how it gets it; `None` where nothing."""
    if not one.job.enabled:
        return "is disabled", "fill in what it needs, then mltop jobs enable {id}"
    if one.gap_s is None:
        return "has no schedule", "mltop jobs edit {id} --set schedule=@daily --apply"
    if not one.is_scheduled:
        return "is not in the scheduler yet", "mltop jobs apply"
    if one.gap_s > at_most_s * 1.05:  # a day with an hour more, in autumn
        return "does not run often enough", "mltop jobs edit {id} --set schedule=…"
    if one.last is not None and one.last.state not in (RunState.OK, RunState.RUNNING, RunState.SKIPPED):
        return f"ended with {one.last.state}", "mltop jobs logs {id}"
    return None


def services_asked(count: int) -> Habit:
    """Services that the verdict asks."""
    if count:
        return Habit(id="services", is_done=True, summary=f"service checks: {count} configured")
    remedy = "[[services.http]], [[services.redis]] and the like in the config; mltop init has examples"
    return Habit(id="services", is_done=False, summary="service checks: none is configured", remedy=remedy)


def retention(jobs: Iterable[Kept]) -> Habit:
    """Old backups go by a rule; the history's own always holds (D21)."""
    backups = [one.job for one in jobs if isinstance(one.job.spec, BackupSpec)]
    if not backups:
        remedy = "a backup job with keep_days, or keep = { daily = 7, weekly = 4 }"
        return Habit(id="retention", is_done=False, summary="retention: there is no backup to keep", remedy=remedy)
    said = [f"{job.id} keeps {_kept(job.spec.keep)}" for job in backups if isinstance(job.spec, BackupSpec)]
    return Habit(id="retention", is_done=True, summary=f"retention: {', '.join(said)}")


def _kept(keep: Keep) -> str:
    words = [f"{getattr(keep, name)} {name}" for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")]
    counted = [word for word in words if not word.startswith("0 ")]
    return ", ".join([*([f"{keep.within_s / _DAY_S:g} d"] if keep.within_s else []), *counted]) or f"{keep.min}"


def alert_channel(*, is_configured: bool, tested_at: str | None) -> Habit:
    """Somebody is told, and that was tried."""
    if is_configured and tested_at is not None:
        return Habit(id="alerts", is_done=True, summary=f"an alert channel: tested {tested_at}")
    if is_configured:
        what = "an alert channel: configured, never tested"
        return Habit(id="alerts", is_done=False, summary=what, remedy="mltop alerts test")
    remedy = "this version of mltop sends nothing: let cron mail, or a monitoring server run check_mltop"
    return Habit(id="alerts", is_done=False, summary="an alert channel: none is configured", remedy=remedy)


def drill(jobs: Sequence[Kept], now: datetime) -> Habit:
    """Every backup was restored for a test not long ago."""
    lasts: Mapping[str, Run | None] = {one.job.id: one.last for one in jobs}
    backups = [one.job.id for one in jobs if one.job.kind == "backup" and one.job.enabled]
    for id in backups:
        last = lasts.get(id + DRILL)
        why = _stale(last, now)
        if why is not None:
            summary = f"the last restore drill: {id} {why}"
            return Habit(id="drill", is_done=False, summary=summary, remedy=f"mltop backup drill {id}")
    if not backups:
        remedy = "a backup job first: its drill comes with it"
        return Habit(id="drill", is_done=False, summary="the last restore drill: nothing is backed up", remedy=remedy)
    said = ", ".join(f"{id} {(last.started_at or '')[:10]}" for id in backups if (last := lasts[id + DRILL]))
    return Habit(id="drill", is_done=True, summary=f"the last restore drill: {said}")


def _stale(last: Run | None, now: datetime) -> str | None:
    if last is None or last.started_at is None:
        return "was never tested"
    if last.state is not RunState.OK:
        return f"ended with {last.state}"
    age = now - datetime.fromisoformat(last.started_at)
    return f"was {age.days} days ago" if age > timedelta(days=_DRILL_DAYS) else None


def _tested_at(scene: Scene) -> str | None:
    try:
        done = [one for one in Operations(scene.site).all() if one.operation == ALERT_TEST]
    except (OperationError, msgspec.MsgspecError):
        return None
    return done[-1].time if done else None


def lines(habits: Iterable[Habit]) -> Iterator[str]:
    """The list for people."""
    for one in habits:
        how = f" ({one.remedy})" if one.remedy else ""
        yield f"[{'x' if one.is_done else ' '}] {one.summary}{how}"
