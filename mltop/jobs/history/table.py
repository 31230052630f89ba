"""The table of runs in SQLite: one mode for every file system, and a reader that leaves no trace.

A rollback journal, not WAL: WAL needs shared memory on one host (homes are on NFS), its files come and go with every
reader, and its last writer pays the sync anyway (sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from mltop.jobs.history.entry import WHO_FIELDS, Entry
from mltop.jobs.moment import utc
from mltop.jobs.place import make
from mltop.model.run_state import RunState

VERSION = 1
WRITE_PATIENCE_S = 2.0
START_PATIENCE_S = 0.3
"""While a start is noted the job runs already, and nobody takes its output or looks at its time limit."""
READ_PATIENCE_S = 0.5
_STATES = frozenset(RunState)
_SKEW_S = 60.0
"""Clocks that are set right by a step are set by less every day."""
COLUMNS = ", ".join(Entry._fields)
_KINDS = {"id": "TEXT PRIMARY KEY", "job": "TEXT NOT NULL", "started_at": "TEXT NOT NULL", "state": "TEXT NOT NULL"}
_NUMBERS = {"duration_s": "REAL", "cpu_s": "REAL"} | dict.fromkeys(
    ("exit_code", "signal", "max_rss_bytes", "log_bytes", *WHO_FIELDS), "INTEGER"
)
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS runs ("
    + ", ".join(f"{name} {_KINDS.get(name) or _NUMBERS.get(name, 'TEXT')}" for name in Entry._fields)
    + ")",
    "CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job, started_at, state)",
    "CREATE INDEX IF NOT EXISTS runs_by_time ON runs (started_at)",
    "CREATE INDEX IF NOT EXISTS runs_running ON runs (state) WHERE state = 'running'",
    f"PRAGMA user_version = {VERSION}",
)
_PUT = f"INSERT INTO runs ({COLUMNS}) VALUES ({', '.join('?' * len(Entry._fields))}) ON CONFLICT (id) DO "
_PUT_START = _PUT + "NOTHING"
_PUT_END = _PUT + "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in Entry._fields if name != "id")


def horizon(now: float) -> str:
    """The latest start that is not of the future. A later one is of a clock that was set back since."""
    return utc(now + _SKEW_S)


@contextlib.contextmanager
def writing(path: Path, patience_s: float = WRITE_PATIENCE_S) -> Iterator[sqlite3.Connection]:
    """A transaction on the table, made where it is not there: whole or not at all; raises sqlite3.Error, OSError."""
    make(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=patience_s, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = TRUNCATE")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")
        found = version(database)
        if found > VERSION:
            raise sqlite3.DatabaseError(f"history.db was written by a newer mltop (version {found})")
        if found == 0:
            for statement in _SCHEMA:
                database.execute(statement)
        yield database
        if database.in_transaction:
            database.execute("COMMIT")
    finally:
        database.close()  # rolls back what was not committed


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The table for reading; creates nothing. Raises sqlite3.Error, OSError.

    A writer that was killed leaves a journal that has to be played back, and one that is stopped keeps its lock: then
    a copy of both files is read, elsewhere.
    """
    database = _open_read_only(path)
    try:
        database.execute("SELECT 1 FROM runs LIMIT 1")
    except sqlite3.OperationalError:
        database.close()
        with _copy(path) as copy:
            yield copy
        return
    try:
        yield database
    finally:
        database.close()


def _open_read_only(path: Path) -> sqlite3.Connection:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a file", str(path))  # SQLite waits for whoever opens the other end of a FIFO
    name = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=READ_PATIENCE_S, isolation_level=None)


@contextlib.contextmanager
def _copy(path: Path) -> Iterator[sqlite3.Connection]:
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mltop-") as folder:
        copied = Path(folder) / path.name
        shutil.copyfile(path, copied)
        journal = path.with_name(f"{path.name}-journal")
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(journal, copied.with_name(journal.name))
        database = sqlite3.connect(copied, isolation_level=None)
        try:
            yield database
        finally:
            database.close()


def put(database: sqlite3.Connection, entry: Entry) -> None:
    """Store an entry: a start never overwrites an end, an end overwrites whatever is there; twice is as once."""
    database.execute(_PUT_START if entry.state is RunState.RUNNING else _PUT_END, entry)


def entries(database: sqlite3.Connection, where: str, values: tuple[object, ...] = ()) -> list[Entry]:
    """Entries by what follows `SELECT … FROM runs`; raises sqlite3.Error.

    A row that no mltop of this version wrote is as it stands: `Entry.run` refuses it, and no other row with it.
    """
    return [_entry(Entry._make(row)) for row in database.execute(f"SELECT {COLUMNS} FROM runs {where}", values)]


def version(database: sqlite3.Connection) -> int:
    """The version of the table; one above `VERSION` is not written by this mltop, 0 is not made yet."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _entry(row: Entry) -> Entry:
    state = RunState(row.state) if row.state in _STATES else row.state
    return row._replace(state=state, pid=row.pid or 0, pid_namespace=row.pid_namespace or 0)
