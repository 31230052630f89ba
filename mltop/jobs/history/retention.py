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


class Retention(NamedTuple):
    """Of one job; what is beyond any of these goes."""

    runs: int = 200
    days: int = 90
    bytes: int = 1 << 30
    """Of all its logs together."""


class _Row(NamedTuple):
    id: str
    log_path: str | None
    started_at: str
    has_failed: int
    is_running: int


class _Log(NamedTuple):
    """A log with what stands beside it."""

    size_bytes: int = 0
    changed_at: float = 0.0


def expire(
    database: sqlite3.Connection, place: Place, job: str, retention: Retention, now: float | None = None
) -> list[Path]:
    """Delete the rows of a job that are too many, too old, or too large; the logs to remove come back."""
    now = time.time() if now is None else now
    folder = place.logs / job
    logs = _logs(folder)
    rows = _rows(database, job, now)
    gone = list(_beyond([row for row in rows if not row.is_running], folder, logs, retention, now))
    database.executemany("DELETE FROM runs WHERE id = ?", [(row.id,) for row in gone])
    unknown = logs.keys() - {_log_of(row, folder) for row in rows}
    oldest = now - retention.days * DAY_S
    strays = [folder / f"{name}.log" for name in unknown if logs[name].changed_at < oldest]
    return [Path(row.log_path) for row in gone if row.log_path] + strays


def _rows(database: sqlite3.Connection, job: str, now: float) -> list[_Row]:
    """All of a job, newest first; those of the future, of a clock that was set back since, are the oldest."""
    found = database.execute(
        f"SELECT id, log_path, started_at, state IN {_FAILED}, state = 'running' FROM runs WHERE job = ?"
        " ORDER BY started_at > ?, started_at DESC, id DESC",
        (job, horizon(now)),
    )
    return [_Row._make(row) for row in found]


def _beyond(rows: list[_Row], folder: Path, logs: dict[str, _Log], retention: Retention, now: float) -> Iterator[_Row]:
    """The rows that go: never the last, nor the last that failed."""
    kept = {row.id for row in (*rows[:1], *[row for row in rows if row.has_failed][:1])}
    oldest = utc(now - retention.days * DAY_S)
    left_bytes = retention.bytes - sum(_size(row, folder, logs) for row in rows if row.id in kept)
    for count, row in enumerate(rows):
        if row.id in kept:
            continue
        left_bytes -= _size(row, folder, logs)
        if count >= retention.runs or row.started_at < oldest or left_bytes < 0:
            yield row


def _size(row: _Row, folder: Path, logs: dict[str, _Log]) -> int:
    return logs.get(_log_of(row, folder) or "", _Log()).size_bytes


def _log_of(row: _Row, folder: Path) -> str | None:
    """The name of a row's log, where it is one of this job's."""
    path = Path(row.log_path) if row.log_path else None
    return path.stem if path is not None and path.parent == folder and path.suffix == ".log" else None


def _logs(folder: Path) -> dict[str, _Log]:
    """The logs of a job by their names without the ending; what a killed wrapper left of a cut is removed."""
    found: dict[str, _Log] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                name, end = os.path.splitext(entry.name)  # noqa: PTH122 - a name, not a place
                if end in (".log", ".times"):
                    seen = found.get(name, _Log())
                    found[name] = _Log(seen.size_bytes + status.st_size, max(seen.changed_at, status.st_mtime))
                elif entry.name.endswith(".log.new") and status.st_mtime < time.time() - _CUT_S:
                    os.unlink(entry.path)  # noqa: PTH108 - as scandir has it
    return found


def remove_logs(place: Place, job: str, paths: list[Path]) -> None:
    """Remove logs with what stands beside them; only of this job, whatever the table says."""
    folder = place.logs / job
    for path in paths:
        if path.parent == folder and path.suffix == ".log":
            for one in (path, path.with_suffix(".times")):
                with contextlib.suppress(OSError):
                    one.unlink()
