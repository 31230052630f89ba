"""What everybody on the box may know of root's jobs: the last run, the schedule and the size, never a secret (D25).

Root's state is root's alone. Beside it lies this one file of mode 0644, written whole at each run's end, from which
other users' lists and dashboards take the rows of the system. It has no command, no output and no reason, which may
quote one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mltop.config.location import SYSTEM_STATE
from mltop.jobs.history.entry import Entry
from mltop.jobs.place import Place, make
from mltop.system.file import lock_within, write_atomic

if TYPE_CHECKING:
    from mltop.config.job import JobConfig
    from mltop.model.job import Job

SCHEMA = "mltop.summary/1"
NAME = "summary.json"
_RUN_KEYS = (
    "id", "job", "trigger", "scheduled_for", "started_at", "ended_at", "duration_s", "state", "exit_code", "signal",
    "cpu_s", "max_rss_bytes", "log_bytes", "host", "boot_id",
)  # fmt: skip
_MAX_BYTES = 1 << 20
_MAX_JOBS = 1000
_PATIENCE_S = 0.5
_TRAVERSE = 0o011
"""Everybody may go through root's state folder to that file, and list nothing of it."""


def note(place: Place, job: JobConfig, entry: Entry) -> None:
    """Put a job's last run into the summary; raises OSError, also where another writes it for long."""
    make(place.locks)
    lock = os.open(place.locks / "summary.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        lock_within(lock, _PATIENCE_S)
        import json

        path = place.state / NAME
        for left in place.state.glob(f".{NAME}.*.new"):  # of a wrapper that was killed: nobody writes one now
            left.unlink()
        jobs = _jobs(path)
        jobs.pop(job.id, None)  # the newest last: the oldest goes where there are too many
        jobs[job.id] = _row(job, entry)
        kept = dict(list(jobs.items())[-_MAX_JOBS:])
        write_atomic(path, json.dumps({"schema": SCHEMA, "jobs": list(kept.values())}).encode() + b"\n", 0o644)
        if place.state == SYSTEM_STATE:
            _open(place.state)
    finally:
        os.close(lock)


def _row(job: JobConfig, entry: Entry) -> dict[str, Any]:
    run = {key: value for key, value in entry.document().items() if key in _RUN_KEYS}
    return {"id": job.id, "kind": job.kind, "schedule": list(job.schedule), "enabled": job.enabled, "last_run": run}


def _open(folder: Path) -> None:
    mode = folder.stat().st_mode & 0o7777
    if mode & _TRAVERSE != _TRAVERSE:
        folder.chmod(mode | _TRAVERSE)


def _jobs(path: Path) -> dict[str, Any]:
    """The rows that are there, as they are; nothing of what is not ours."""
    import json

    try:
        rows = json.loads(_read(path))["jobs"]
        return {row["id"]: row for row in rows}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:  # noqa: PTH123
        return file.read(_MAX_BYTES)


def shared(state: Path = SYSTEM_STATE) -> Mapping[str, Job]:
    """The system's jobs by id, as root last left them; empty where root has run none. Raises nothing."""
    import msgspec

    from mltop.model.job import Job

    found: dict[str, Job] = {}
    for id, row in _jobs(state / NAME).items():
        with contextlib.suppress(msgspec.ValidationError):
            job = msgspec.convert({**row, "scope": "system", "source": str(state / NAME)}, Job)
            found[id] = msgspec.structs.replace(job, state=job.last_run.state if job.last_run else None)
    return found
