"""What ran: a row at a run's start, updated at its end, so that a lost run is seen as lost. Looking creates nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mltop.jobs.history import spool, table
from mltop.jobs.history.entry import Entry, lost_reason
from mltop.jobs.history.retention import Retention, expire, remove_logs
from mltop.jobs.place import Place, fallback, is_ours_alone
from mltop.model.run_state import RunState

if TYPE_CHECKING:
    from mltop.model.job import Run

STREAK = 10
_NEWEST = "ORDER BY started_at DESC, id DESC LIMIT ?"


class History:
    """The runs of one state folder: the table, and over it what had to be spooled."""

    def __init__(self, state: Path) -> None:
        self.place = Place(state)
        self.notes: list[str] = []
        """What kept the last look from seeing everything, in lines for people."""
        self._lost: dict[str, str] = {}

    def start(self, run: Run | Entry) -> None:
        """Note that this process began a run, and which were lost; raises OSError where nothing could be noted."""
        self._write(Entry.of_this_process(run), _store_lost(self.place), table.START_PATIENCE_S)

    def finish(self, run: Run | Entry, retention: Retention | None = None) -> None:
        """Note how a run ended, and let go of what is beyond the retention of its job; raises OSError as `start`."""
        expired: list[Path] = []

        def expire_rows(database: sqlite3.Connection) -> None:
            if retention is not None:
                expired.extend(expire(database, self.place, run.job, retention))

        self._write(Entry.of_this_process(run), expire_rows)
        remove_logs(self.place, run.job, expired)

    def _write(
        self,
        entry: Entry,
        also: Callable[[sqlite3.Connection], None],
        patience_s: float = table.WRITE_PATIENCE_S,
    ) -> None:
        try:
            with table.writing(self.place.history, patience_s) as database:
                spools = [spool.Spooled(path) for path in (self.place.spool, *self._in_memory())]
                try:
                    for earlier in (*(one for each in spools for one in each.entries), entry):
                        table.put(database, earlier)
                    also(database)
                    database.execute("COMMIT")
                    for each in spools:
                        each.clear()
                finally:
                    for each in spools:
                        each.close()
        except (sqlite3.Error, OSError):
            self._spool(entry)

    def _spool(self, entry: Entry) -> None:
        try:
            spool.spool(self.place.spool, entry)
        except OSError:
            with contextlib.suppress(OSError):
                spool.spool(fallback() / spool.in_memory(self.place.state).name, entry)
            raise

    def _in_memory(self) -> list[Path]:
        """The spool in memory, where there is one of ours."""
        path = spool.in_memory(self.place.state)
        return [path] if os.path.lexists(path) and is_ours_alone(path.parent) else []

    def last(self, job: str) -> Run | None:
        """A job's last observed run; one that was skipped only where there is no other."""
        return self.lasts([job]).get(job)

    def lasts(self, jobs: Iterable[str] | None = None) -> dict[str, Run]:
        """The last observed run of each of these jobs, or of all that ever ran."""

        def look(database: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            for job in _jobs(database) if wanted is None else wanted:
                ran = _newest(database, 1, "job = ? AND state != 'skipped'", job)
                found += ran or _newest(database, 1, "job = ?", job)
            return found

        wanted = None if jobs is None else list(jobs)
        best: dict[str, Run] = {}
        for run in self._merged(look, lambda run: wanted is None or run.job in wanted):  # newest first
            if run.job not in best or best[run.job].state is RunState.SKIPPED is not run.state:
                best[run.job] = run
        return best

    def runs(self, job: str | None = None, limit: int = 200) -> list[Run]:
        """The latest runs, newest first."""
        where, values = ("job = ?", (job,)) if job is not None else ("TRUE", ())
        found = self._merged(
            lambda database: _newest(database, limit, where, *values),
            lambda run: job is None or run.job == job,
        )
        return found[:limit]

    def run(self, id: str) -> Run | None:
        """One run by its id."""
        found = self._merged(lambda database: table.entries(database, "WHERE id = ?", (id,)), lambda run: run.id == id)
        return found[0] if found else None

    def streaks(self, jobs: Iterable[str]) -> Mapping[str, tuple[RunState, ...]]:
        """How the last ten runs of each job ended, oldest first."""
        wanted = list(jobs)
        found: dict[str, list[RunState]] = {job: [] for job in wanted}
        for run in self._merged(
            lambda database: [entry for job in wanted for entry in _newest(database, STREAK, "job = ?", job)],
            lambda run: run.job in found,
        ):
            found[run.job].append(run.state)
        return {job: tuple(reversed(states[:STREAK])) for job, states in found.items()}

    def _merged(self, look: Callable[[sqlite3.Connection], list[Entry]], fits: Callable[[Entry], bool]) -> list[Run]:
        """Rows with the spooled entries over them, newest first, lost ones named as such."""
        self.notes = []
        entries = {entry.id: entry for entry in self._look(look)}
        for entry in self._spooled():
            is_end = entry.state is not RunState.RUNNING
            if fits(entry) and (is_end or entry.id not in entries):
                entries[entry.id] = entry
        self._end_in_memory(entries)
        found = [self._reconciled(entry) for entry in entries.values()]
        now = table.horizon(time.time())
        return self._runs(sorted(found, key=lambda entry: _place(entry, now), reverse=True))

    def _end_in_memory(self, entries: dict[str, Entry]) -> None:
        """Put the ends that wait in memory over the starts that are in the table: their wrappers are not lost."""
        for path in self._in_memory():
            with contextlib.suppress(OSError):
                entries |= {entry.id: entry for entry in spool.read(path) if entry.id in entries}

    def _runs(self, entries: Iterable[Entry]) -> list[Run]:
        runs = []
        for entry in entries:
            try:
                runs.append(entry.run())
            except ValueError as error:
                self.notes.append(f"{self.place.history}: a run that cannot be read is left out: {error}")
        return runs

    def _look(self, look: Callable[[sqlite3.Connection], list[Entry]]) -> list[Entry]:
        if not os.path.lexists(self.place.history):
            return []
        try:
            with table.reading(self.place.history) as database:
                if (found := table.version(database)) > table.VERSION:
                    self.notes.append(
                        f"{self.place.history} was written by a newer mltop (version {found}): runs of this one wait "
                        f"in {self.place.spool} until it is that one again"
                    )
                return look(database)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):  # made a moment ago, still empty
                self.notes.append(f"{self.place.history} cannot be read: {error}")
        except (sqlite3.Error, OSError) as error:
            self.notes.append(f"{self.place.history} cannot be read: {error}")
        return []

    def _spooled(self) -> list[Entry]:
        try:
            return spool.read(self.place.spool)
        except OSError as error:
            self.notes.append(f"{self.place.spool} cannot be read: {error.strerror}")
            return []

    def _reconciled(self, entry: Entry) -> Entry:
        if entry.state is not RunState.RUNNING:
            return entry
        if entry.id not in self._lost:
            reason = lost_reason(entry, partial(_is_free, self.place.lock(entry.job)))
            if reason is None:
                return entry
            self._lost[entry.id] = reason
        return entry.as_lost(self._lost[entry.id])


def _place(entry: Entry, now: str) -> tuple[bool, str, str]:
    """Where a run stands in time. One of the future is of a clock that was set back since: older than all others."""
    started_at = entry.started_at or ""
    return started_at <= now, started_at, entry.id


def _newest(database: sqlite3.Connection, limit: int, where: str, *values: str) -> list[Entry]:
    """The newest entries of some, those of the future last."""
    now = table.horizon(time.time())
    found = table.entries(database, f"WHERE {where} AND started_at <= ? {_NEWEST}", (*values, now, limit))
    if len(found) < limit:
        more = (*values, now, limit - len(found))
        found += table.entries(database, f"WHERE {where} AND started_at > ? {_NEWEST}", more)
    return found


def _store_lost(place: Place) -> Callable[[sqlite3.Connection], None]:
    def store(database: sqlite3.Connection) -> None:
        for entry in table.entries(database, "WHERE state = 'running'"):
            reason = lost_reason(entry, partial(_is_free, place.lock(entry.job)))
            if reason is not None:
                database.execute("UPDATE runs SET state = 'lost', reason = ? WHERE id = ?", (reason, entry.id))

    return store


def _jobs(database: sqlite3.Connection) -> list[str]:
    return [job for (job,) in database.execute("SELECT DISTINCT job FROM runs")]


def _is_free(lock: Path) -> bool:
    """Whether nobody holds a lock. Asked only where a pid says nothing: asking takes it for a moment."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
        return False
    finally:
        os.close(descriptor)
