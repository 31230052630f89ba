"""How many runs of a job are kept, how long, and with how many bytes of logs (D21, J44).

Retroactive: what is beyond the limits goes at the end of the next run, whatever they were when it was written. The last
run and the last failed one always stay. A log that no row speaks of, as that of a wrapper that was killed before it had
noted its start, goes when it is too old.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mltop.jobs.history.table import horizon
from mltop.jobs.moment import utc
from mltop.jobs.place import Place

DAY_S = 86400.0
_FAILED = "('failed', 'timeout', 'stuck', 'lost')"
_CUT_S = 3600.0
"""A log is cut to its cap in less; what is left of it after that is of a wrapper that was killed."""
_FEW = 1000
_NOW_AND_THEN = 100
"""Of a job with more rows than a few, all are looked at after every hundredth run alone: it takes its time."""


class Retention(NamedTuple):
    """Of one job; what is beyond any of these goes."""

    runs: int = 200
    days: int = 90
    bytes: int = 1 << 30
    """Of all its logs together."""


class _Row(NamedTuple):
    id: str
    log_path: str | None
    log_bytes: int | None
    started_at: str
    has_failed: int
    is_running: int


def expire(
    database: sqlite3.Connection, place: Place, job: str, retention: Retention, now: float | None = None
) -> list[Path]:
    """Delete the rows of a job that are too many, too old, or too large; the logs to remove come back."""
    now = time.time() if now is None else now
    count = database.execute("SELECT count(*) FROM runs WHERE job = ?", (job,)).fetchone()[0]
    if count > _FEW and count % _NOW_AND_THEN:
        return []
    rows = _rows(database, job, now)
    gone = list(_beyond([row for row in rows if not row.is_running], retention, now))
    database.executemany("DELETE FROM runs WHERE id = ?", [(row.id,) for row in gone])
    strays = _strays(str(place.logs / job), rows, now - retention.days * DAY_S)
    return [Path(row.log_path) for row in gone if row.log_path] + strays


def _rows(database: sqlite3.Connection, job: str, now: float) -> list[_Row]:
    """All of a job, newest first; those of the future, of a clock that was set back since, are the oldest."""
    found = database.execute(
        f"SELECT id, log_path, log_bytes, started_at, state IN {_FAILED}, state = 'running' FROM runs WHERE job = ?"
        " ORDER BY started_at > ?, started_at DESC, id DESC",
        (job, horizon(now)),
    )
    return [_Row._make(row) for row in found]


def _beyond(rows: list[_Row], retention: Retention, now: float) -> Iterator[_Row]:
    """The rows that go: never the last, nor the last that failed."""
    kept = {row.id for row in (*rows[:1], *[row for row in rows if row.has_failed][:1])}
    oldest = utc(now - retention.days * DAY_S)
    left_bytes = retention.bytes - sum(_size(row) for row in rows if row.id in kept)
    for count, row in enumerate(rows):
        if row.id in kept:
            continue
        left_bytes -= _size(row)
        if count >= retention.runs or row.started_at < oldest or left_bytes < 0:
            yield row


def _size(row: _Row) -> int:
    """Bytes of a run's log; of one that was lost nobody has noted them."""
    if row.log_bytes is not None or not row.log_path:
        return row.log_bytes or 0
    try:
        return os.stat(row.log_path).st_size  # noqa: PTH116 - a text, and there may be many
    except OSError:
        return 0


def _strays(folder: str, rows: list[_Row], oldest: float) -> list[Path]:
    """Logs of which no row speaks, too old to be of a run that began just now; and what is left of a cut is removed."""
    try:
        names = set(os.listdir(folder))  # noqa: PTH208 - names, and there may be many
    except OSError:
        return []
    known = {(row.log_path or "").rpartition("/")[2].removesuffix(".log") for row in rows}
    found = []
    for name in (name for name in names if name.removesuffix(".times").removesuffix(".log") not in known):
        path = Path(folder, name)
        with contextlib.suppress(OSError):
            changed_at = path.lstat().st_mtime
            if name.startswith(".") and name.endswith(".new") and changed_at < time.time() - _CUT_S:
                path.unlink()
            elif path.suffix in (".log", ".times") and changed_at < oldest:
                found.append(path.with_suffix(".log"))
    return found


def remove_logs(place: Place, job: str, paths: list[Path]) -> None:
    """Remove logs with what stands beside them; only of this job, whatever the table says."""
    folder = place.logs / job
    for path in paths:
        if path.parent == folder and path.suffix == ".log":
            for one in (path, path.with_suffix(".times")):
                with contextlib.suppress(OSError):
                    one.unlink()
