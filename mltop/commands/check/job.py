"""What `mltop --check` knows of the box's jobs: their history, where there is one, against the config.

Read by a child that can be abandoned: the state's folder may be on a network's mount. Looking creates nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mltop.commands.check.reach import dead_mount
from mltop.config.location import SYSTEM_CONFIG, explicit_config, state_directory
from mltop.model.job_facts import DrillFacts, Ended, JobFacts, JobsFacts
from mltop.system.descriptor import write_all
from mltop.system.process import Child, fork_child, set_name
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.config.job import JobConfig
    from mltop.jobs.history.history import History
    from mltop.model.job import Run

_RECENT = 20
"""Runs that usually hold what is asked of a job; where they do not, all of them are looked through."""
_ALL = 100_000
_MOST = 4
"""Times a job was due: more of them are no worse."""
_REACH_S = 0.5
"""What the state's mount is given: the rest of the run is waiting."""
_READERS = ("job.", "backup.", "self.stale")
"""Whose checks look at the history."""
_FAILED = frozenset({"failed", "timeout", "stuck", "lost"})


class JobReading:
    """Reads in the background from the start on. Single-threaded; waits only where it is asked for the outcome."""

    def __init__(self, config: str | None, state_dir: str | None, checks: Collection[str], limit_s: float) -> None:
        self._child: Child | None = None
        self._trouble: str | None = None
        folder = state_directory(state_dir)
        if folder is None or not any(check.startswith(_READERS) for check in checks):
            return
        if (dead := dead_mount([folder / "history.db"], min(limit_s, _REACH_S))) is not None:
            self._trouble = f"{dead[0]}: its mount {dead[1]} does not answer"
        elif os.path.lexists(folder / "history.db") or os.path.lexists(folder / "spool.jsonl"):
            try:
                self._child = fork_child(lambda _, write_fd: _serve(config, folder, write_fd))
            except OSError as error:
                self._trouble = f"the history of the jobs was not read: {error.strerror}"

    def facts(self, limit_s: float) -> JobsFacts | None:
        """What was read, within so many seconds; `None` where nothing ever ran here."""
        if self._child is None:
            return None if self._trouble is None else JobsFacts(trouble=self._trouble)
        data = self._child.heard(limit_s)
        if data is None:
            return JobsFacts(trouble="the history of the jobs was not read in time")
        try:
            return msgspec.json.decode(data, type=JobsFacts)
        except msgspec.MsgspecError:
            return JobsFacts(trouble="the history of the jobs could not be read")

    def close(self) -> None:
        """End the child, without waiting for it."""
        if self._child is not None:
            self._child.leave()
            self._child = None


def _serve(config: str | None, folder: Path, write_fd: int) -> None:
    set_name("mltop-jobs")
    try:
        found = job_facts(config, folder)
    except Exception as error:  # noqa: BLE001 - whatever it is (a history that is damaged): could not tell, and why
        found = JobsFacts(trouble=f"{folder}/history.db: {type(error).__name__}: {clean(str(error), 200)}")
    write_all(write_fd, msgspec.json.encode(found))


def job_facts(config: str | None, folder: Path, now: float | None = None) -> JobsFacts:
    """The jobs of the config that are switched on, and what became of them by the history in a state's folder."""
    from mltop.config.jobs import load_jobs
    from mltop.jobs.history.history import History

    history, moment = History(folder), datetime.fromtimestamp(time.time() if now is None else now, UTC)
    notes: list[str] = []
    found = []
    for job in _own(load_jobs(config).jobs.values(), config):
        found.append(_facts(job, history, moment, notes))
    return JobsFacts(trouble=clean(notes[0], 300)) if notes else JobsFacts(jobs=tuple(found))


def _own(jobs: Iterable[JobConfig], config: str | None) -> list[JobConfig]:
    """Those whose runs are in the state of whoever asks: the system's jobs are root's, and a drill is its backup's."""
    is_roots = os.geteuid() == 0 and explicit_config(config) is None
    return [job for job in jobs if job.enabled and job.kind != "drill" and (is_roots or job.scope == "user")]


def _facts(job: JobConfig, history: History, now: datetime, notes: list[str]) -> JobFacts:
    runs = _runs(job.id, history)
    notes += history.notes
    telling = [run for run in runs if run.state in _FAILED or run.state == "ok"]
    failures = next((number for number, run in enumerate(telling) if run.state == "ok"), len(telling))
    good = telling[failures] if failures < len(telling) else None
    started = _time(runs[0].started_at) if runs else None
    is_at_work = any(run.state == "running" for run in runs)
    # a run that went well covers what was due when it began
    since = _time(good.started_at) if good is not None else _time(runs[-1].started_at) if runs else None
    late = _due(job, started or _written(job), now, 1)
    return JobFacts(
        id=job.id,
        kind=str(job.kind),
        last=_ended(telling[0]) if telling else None,
        failures=failures,
        is_scheduled=bool(job.schedule),
        late_since=_text(late[0]) if late and not is_at_work else None,
        started_at=runs[0].started_at if runs else None,
        good_at=None if good is None else good.ended_at or good.started_at,
        due_since_good=len(_due(job, since, now, _MOST)),
        drill=_drill(job, history, runs, now),
    )


def _runs(job: str, history: History) -> list[Run]:
    """The latest runs, newest first: as many as it takes to see the last good one."""
    runs = history.runs(job, _RECENT)
    if len(runs) == _RECENT and not any(run.state == "ok" for run in runs):
        runs = history.runs(job, _ALL)
    return runs


def _drill(job: JobConfig, history: History, backups: list[Run], now: datetime) -> DrillFacts | None:
    from mltop.config.derived import drill_of

    drill = drill_of(job)
    if drill is None or not drill.schedule:
        return None
    runs = [run for run in history.runs(drill.id, _RECENT) if run.state not in ("running", "aborted")]
    since = runs[0].started_at if runs else backups[-1].started_at if backups else None
    due = _due(drill, _time(since), now, _MOST)
    return DrillFacts(last=_ended(runs[0]) if runs else None, due=len(due))


def _due(job: JobConfig, after: datetime | None, now: datetime, most: int) -> tuple[datetime, ...]:
    """When it should have started since, with its grace and its jitter over."""
    if after is None or not job.schedule:
        return ()
    from mltop.jobs.schedule.due import due_times

    return due_times(job.schedule, after, now - timedelta(seconds=job.start_grace_s + job.jitter_s), most)


def _written(job: JobConfig) -> datetime | None:
    """Since when a job that never ran can have been late: since its file was written."""
    try:
        return datetime.fromtimestamp(Path(job.file or SYSTEM_CONFIG).stat().st_mtime, UTC)
    except OSError:
        return None


def _ended(run: Run) -> Ended:
    return Ended(
        state=str(run.state),
        at=run.ended_at or run.started_at or "",
        exit_code=run.exit_code,
        reason=run.reason,
    )


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def job_faults(config: str | None) -> tuple[str, ...]:
    """What is wrong with the jobs of the config, in lines: it stops none of the others (D22), and is to be seen."""
    from mltop.config.jobs import load_jobs
    from mltop.jobs.schedule.schedule import parse

    return load_jobs(config, check_schedule=parse).faults
