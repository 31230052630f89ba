"""How many runs of a job are kept, and how long, with their logs (D21). The last failed run always stays."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from mltop.jobs.moment import utc
from mltop.jobs.place import Place

DAY_S = 86400.0
_FAILED = "('failed', 'timeout', 'stuck', 'lost')"


class Retention(NamedTuple):
    """Of one job; what is beyond either goes."""

    runs: int = 200
    days: int = 90


def expire(database: sqlite3.Connection, job: str, retention: Retention, now: float | None = None) -> list[str]:
    """Delete the rows of a job that are too many or too old; the paths of their logs come back."""
    oldest = utc((time.time() if now is None else now) - retention.days * DAY_S)
    gone = database.execute(
        "SELECT id, log_path FROM (SELECT id, log_path, started_at,"
        " row_number() OVER (ORDER BY started_at DESC, id DESC) AS place FROM runs"
        " WHERE job = ? AND state != 'running') WHERE (place > ? OR started_at < ?)"
        f" AND id NOT IN (SELECT id FROM runs WHERE job = ? AND state IN {_FAILED}"
        " ORDER BY started_at DESC, id DESC LIMIT 1)",
        (job, retention.runs, oldest, job),
    ).fetchall()
    database.executemany("DELETE FROM runs WHERE id = ?", [(run,) for run, _ in gone])
    return [path for _, path in gone if path]


def remove_logs(place: Place, job: str, paths: list[str]) -> None:
    """Remove logs with what stands beside them; only of this job, whatever the table says."""
    folder = place.logs / job
    for path in map(Path, paths):
        if path.parent == folder and path.suffix == ".log":
            for one in (path, path.with_suffix(".times")):
                with contextlib.suppress(OSError):
                    one.unlink()
