"""The history: rows, spool, lost runs, retention, and a look that leaves no trace."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mltop.jobs import moment
from mltop.jobs.history import spool, table
from mltop.jobs.history.entry import RUN_FIELDS, Entry
from mltop.jobs.history.history import History
from mltop.jobs.history.retention import Retention
from mltop.jobs.runner import alive
from mltop.model.job import Run, RunState

NOW = 1_800_000_000.0


def a_run(number: int, job: str = "backup", state: RunState = RunState.OK, **more: object) -> Run:
    started = moment.utc(NOW + number)
    given = {"id": f"run-{number:06d}", "job": job, "state": state, "started_at": started, "boot_id": alive.boot_id()}
    return msgspec.convert(given | more, Run)


def test_an_entry_has_the_fields_of_a_run_in_their_order() -> None:
    assert Run.__struct_fields__ == RUN_FIELDS


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "state")


def listed(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


def test_a_start_is_seen_and_its_end_replaces_it(history: History) -> None:
    history.start(a_run(1, state=RunState.RUNNING))
    assert [run.state for run in history.runs()] == [RunState.RUNNING]
    history.finish(a_run(1, exit_code=0, cpu_s=1.5, reason="left running"))
    (run,) = history.runs()
    assert (run.state, run.exit_code, run.cpu_s, run.reason) == (RunState.OK, 0, 1.5, "left running")
    assert history.run("run-000001") == run
    assert history.run("run-000002") is None


def test_looking_creates_nothing_and_finds_nothing(history: History, tmp_path: Path) -> None:
    assert (history.runs(), history.last("backup"), history.lasts(), history.notes) == ([], None, {}, [])
    assert list(tmp_path.iterdir()) == []


def test_looking_leaves_the_files_as_they_are(history: History) -> None:
    history.finish(a_run(1))
    before = listed(history.place.state)
    assert history.last("backup") is not None
    assert listed(history.place.state) == before


def test_files_are_their_owners_alone(history: History) -> None:
    history.finish(a_run(1))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (history.place.state, *history.place.state.iterdir())}
    assert modes == {"state": 0o700, "history.db": 0o600, "history.db-journal": 0o600}


def test_the_last_run_is_the_last_that_was_not_skipped(history: History) -> None:
    for number, state in enumerate([RunState.OK, RunState.FAILED, RunState.SKIPPED]):
        history.finish(a_run(number, state=state))
    history.finish(a_run(9, job="never", state=RunState.SKIPPED))
    lasts = history.lasts()
    assert {job: run.state for job, run in lasts.items()} == {"backup": RunState.FAILED, "never": RunState.SKIPPED}
    assert history.lasts(["backup"]).keys() == {"backup"}


def test_a_streak_is_the_last_ten_oldest_first(history: History) -> None:
    for number in range(12):
        history.finish(a_run(number, state=RunState.FAILED if number in (1, 11) else RunState.OK))
    assert history.streaks(["backup", "other"]) == {
        "backup": (RunState.OK,) * 9 + (RunState.FAILED,),
        "other": (),
    }


def test_runs_of_one_job_do_not_hold_those_of_a_like_name(history: History) -> None:
    history.finish(a_run(1, job="backup"))
    history.finish(a_run(2, job="backup_db"))
    assert [run.job for run in history.runs("backup")] == ["backup"]
    assert [run.job for run in history.runs()] == ["backup_db", "backup"]
    assert len(history.runs(limit=1)) == 1


@pytest.fixture
def gone() -> int:
    """The pid of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def put(history: History, entry: Entry) -> None:
    with table.writing(history.place.history) as database:
        table.put(database, entry)


def test_a_run_whose_wrapper_is_gone_is_lost_and_stored_so_by_the_next(history: History, gone: int) -> None:
    namespace = alive.pid_namespace()
    put(history, Entry.of(a_run(1, state=RunState.RUNNING), gone, 1, namespace))
    (seen,) = history.runs()
    assert (seen.state, seen.reason) == (RunState.LOST, "its wrapper was killed")
    history.start(a_run(2, job="other", state=RunState.RUNNING))
    with sqlite3.connect(history.place.history) as database:
        assert database.execute("SELECT state, reason FROM runs WHERE job = 'backup'").fetchone() == (
            "lost",
            "its wrapper was killed",
        )
    database.close()


def test_a_pid_that_was_given_away_is_not_the_wrapper(history: History) -> None:
    entry = Entry.of_this_process(a_run(1, state=RunState.RUNNING))
    put(history, entry._replace(start_ticks=(entry.start_ticks or 0) + 1))
    assert history.runs()[0].state is RunState.LOST


def test_a_run_of_another_boot_is_lost(history: History) -> None:
    put(history, Entry.of_this_process(a_run(1, state=RunState.RUNNING, boot_id="another")))
    (run,) = history.runs()
    assert (run.state, run.reason) == (RunState.LOST, "the machine was restarted while it ran")


def test_in_another_pid_namespace_the_lock_decides(history: History) -> None:
    from mltop.system.file import try_lock

    entry = Entry.of_this_process(a_run(1, state=RunState.RUNNING))
    put(history, entry._replace(pid=1, pid_namespace=1))
    history.place.locks.mkdir()
    held = try_lock(history.place.lock("backup"))
    assert held is not None
    assert History(history.place.state).runs()[0].state is RunState.RUNNING
    os.close(held)
    assert History(history.place.state).runs()[0].state is RunState.LOST


@pytest.fixture
def locker(history: History) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the table, as a stopped writer does."""
    history.finish(a_run(1))
    code = (
        "import sqlite3, sys\n"
        f"database = sqlite3.connect({str(history.place.history)!r}, isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.communicate()


def test_a_locked_table_is_read_from_a_copy_and_written_by_the_spool(
    history: History, locker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "WRITE_PATIENCE_S", 0.05)
    monkeypatch.setattr(table, "READ_PATIENCE_S", 0.05)
    history.start(a_run(2, state=RunState.RUNNING))
    history.finish(a_run(2, state=RunState.FAILED))
    assert [run.state for run in history.runs()] == [RunState.FAILED, RunState.OK]
    locker.communicate()
    history.finish(a_run(3))
    assert [run.id for run in history.runs()] == ["run-000003", "run-000002", "run-000001"]
    assert history.place.spool.read_bytes() == b""


def test_a_broken_table_is_spooled_around_and_said(history: History) -> None:
    history.place.state.mkdir()
    history.place.history.write_bytes(b"this is no database" * 100)
    history.start(a_run(1, state=RunState.RUNNING))
    history.finish(a_run(1))
    assert [run.state for run in history.runs()] == [RunState.OK]
    assert history.notes
    assert "cannot be read" in history.notes[0]
    history.place.history.unlink()
    history.finish(a_run(2))
    history.finish(a_run(3))
    assert [run.id for run in history.runs()] == ["run-000003", "run-000002", "run-000001"]
    assert history.notes == []


def test_a_row_that_no_mltop_of_this_version_wrote_takes_no_other_with_it(history: History) -> None:
    for number in (1, 2, 3):
        history.finish(a_run(number))
    with contextlib.closing(sqlite3.connect(history.place.history)) as database, database:
        database.execute("UPDATE runs SET state = 'paused' WHERE id = 'run-000002'")
    assert [run.id for run in history.runs()] == ["run-000003", "run-000001"]
    assert ["is left out" in note for note in history.notes] == [True]


def test_a_table_of_a_newer_mltop_is_read_and_said(history: History) -> None:
    history.finish(a_run(1))
    with contextlib.closing(sqlite3.connect(history.place.history)) as database, database:
        database.execute("PRAGMA user_version = 9")
    history.finish(a_run(2))
    assert [run.id for run in history.runs()] == ["run-000002", "run-000001"]
    assert ["by a newer mltop (version 9)" in note for note in history.notes] == [True]
    with contextlib.closing(sqlite3.connect(history.place.history)) as database, database:
        database.execute("PRAGMA user_version = 1")
    history.finish(a_run(3))
    assert [run.id for run in history.runs()] == ["run-000003", "run-000002", "run-000001"]
    assert history.notes == []


def test_the_spool_is_taken_in_once_even_after_a_crash_in_between(history: History) -> None:
    spool.spool(history.place.spool, Entry.of_this_process(a_run(1, state=RunState.RUNNING)))
    spool.spool(history.place.spool, Entry.of_this_process(a_run(1, state=RunState.FAILED)))
    kept = history.place.spool.read_bytes()
    history.finish(a_run(2))
    history.place.spool.write_bytes(kept + b'{"run": {"id": "torn')  # as if it had not been emptied
    history.finish(a_run(3))
    assert [(run.id, run.state.value) for run in history.runs()] == [
        ("run-000003", "ok"),
        ("run-000002", "ok"),
        ("run-000001", "failed"),
    ]


def test_nowhere_to_write_is_an_error(history: History) -> None:
    history.place.state.write_text("a file where the folder should be")
    try:
        with pytest.raises(OSError, match=r"exists|directory"):
            history.start(a_run(1))
    finally:
        spool.in_memory(history.place.state).unlink()


def test_a_journal_left_by_a_killed_writer_is_played_back_in_a_copy(history: History) -> None:
    for number in range(50):
        history.finish(a_run(number))
    code = (
        "import os, signal, sqlite3\n"
        f"database = sqlite3.connect({str(history.place.history)!r}, isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"
        "database.execute('BEGIN')\n"
        "database.execute(\"UPDATE runs SET reason = hex(randomblob(4000)), state = 'failed'\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert history.place.history.with_name("history.db-journal").stat().st_size > 0
    before = listed(history.place.state)
    assert {run.state for run in history.runs()} == {RunState.OK}
    assert listed(history.place.state) == before


def test_retention_by_number_keeps_the_last_failure_and_removes_logs(history: History) -> None:
    folder = history.place.logs / "backup"
    folder.mkdir(parents=True)
    strange = history.place.state / "elsewhere.log"
    strange.write_text("not a log of this job")
    now = time.time()
    for number in range(8):
        log = folder / f"{number}.log"
        log.write_text("text")
        log.with_suffix(".times").write_text("0 0\n")
        state = RunState.FAILED if number == 1 else RunState.OK
        path = str(strange if number == 0 else log)
        run = a_run(number, state=state, log_path=path, started_at=moment.utc(now + number))
        history.finish(run, Retention(runs=3))
    assert [run.id[-1] for run in history.runs()] == ["7", "6", "5", "1"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["0.log", "0.times", *(f"{n}.{end}" for n in (1, 5, 6, 7) for end in ("log", "times"))]
    )
    assert strange.exists()


def test_retention_by_age_leaves_other_jobs_alone(history: History) -> None:
    old = moment.utc(time.time() - 10 * 86400)
    history.finish(a_run(1, started_at=old))
    history.finish(a_run(2, job="backup_db", started_at=old))
    history.finish(a_run(3, started_at=moment.utc(time.time())), Retention(days=7))
    assert {run.id for run in history.runs()} == {"run-000002", "run-000003"}


def test_a_long_history_is_cut_now_and_then(history: History) -> None:
    history.finish(a_run(0))
    with table.writing(history.place.history) as database:
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2099)"
            " INSERT INTO runs (id, job, started_at, state) SELECT 'r' || i, 'backup', ?, 'ok' FROM n",
            (moment.utc(time.time() - 60),),
        )
    counts = []
    for number in range(100):
        history.finish(a_run(number + 1, started_at=moment.utc(time.time())), Retention(runs=2000))
        with table.reading(history.place.history) as database:
            counts += database.execute("SELECT count(*) FROM runs").fetchone()
    assert counts == [*range(2101, 2200), 2000]


def test_the_last_run_of_every_job_in_a_long_history_is_found_at_once(history: History) -> None:
    history.finish(a_run(0))
    with table.writing(history.place.history) as database:
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
            " INSERT INTO runs (id, job, started_at, state, exit_code)"
            " SELECT 'r' || i, 'job' || (i % 40),"
            " strftime('%Y-%m-%dT%H:%M:%f', 1700000000 + i * 60, 'unixepoch') || 'Z',"
            " CASE i % 7 WHEN 0 THEN 'skipped' ELSE 'ok' END, 0 FROM n"
        )
    began = time.process_time()
    lasts = history.lasts()
    spent_s = time.process_time() - began
    assert len(lasts) == 41
    assert lasts["job1"].id in ("r99961", "r100001", "r99921")
    assert spent_s < 0.5  # 0.01 on the box of the benches


def log_of(history: History, number: int, size_bytes: int) -> str:
    folder = history.place.logs / "backup"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"run-{number:06d}.log"
    log.write_bytes(bytes(size_bytes))
    log.with_suffix(".times").write_bytes(bytes(10))
    return str(log)


def test_retention_by_bytes_keeps_the_newest_that_fit_and_the_last_failure(history: History) -> None:
    now = time.time()
    for number in range(9):
        state = RunState.LOST if number == 2 else RunState.OK  # of a lost run no row says how long its log is
        run = a_run(
            number, state=state, log_path=log_of(history, number, 990), started_at=moment.utc(now - 20 + number)
        )
        history.finish(run, Retention())
    other = a_run(100, job="backup_db", started_at=moment.utc(now))
    history.finish(other, Retention(bytes=1))
    last = a_run(9, started_at=moment.utc(now - 1), log_path=log_of(history, 9, 990))
    history.finish(last, Retention(bytes=3500))  # retroactive
    assert [run.id[-1] for run in history.runs("backup")] == ["9", "8", "2"]
    left = sorted(path.name for path in (history.place.logs / "backup").iterdir())
    assert left == sorted(f"run-{n:06d}.{end}" for n in (2, 8, 9) for end in ("log", "times"))
    assert history.runs("backup_db") == [other]


def test_a_log_larger_than_all_may_be_stays_while_it_is_the_last(history: History) -> None:
    for number in range(2):
        run = a_run(number, log_path=log_of(history, number, 5000), started_at=moment.utc(time.time() + number - 2))
        history.finish(run, Retention(bytes=100))
        assert [run.id for run in history.runs()] == [f"run-{number:06d}"]
        assert Path(run.log_path or "").exists()


def test_a_log_of_which_no_row_speaks_goes_when_it_is_too_old(history: History) -> None:
    fresh, old, running = (Path(log_of(history, number, 10)) for number in (1, 2, 3))
    torn = old.with_name(f".{old.name}.new")
    torn.touch()
    for path in (old, old.with_suffix(".times"), running, running.with_suffix(".times"), torn):
        os.utime(path, (1, 1))
    history.start(a_run(3, state=RunState.RUNNING, log_path=str(running)))
    history.finish(a_run(4, started_at=moment.utc(time.time())), Retention())
    assert [path.exists() for path in (fresh, old, old.with_suffix(".times"), running, torn)] == [
        True, False, False, True, False
    ]  # fmt: skip


def test_a_run_of_the_future_hides_no_newer_one_and_is_the_first_to_go(history: History) -> None:
    """The clock was a year ahead when one was noted, and was set right since."""
    now = time.time()
    future = a_run(0, started_at=moment.utc(now + 365 * 86400), state=RunState.FAILED)
    history.finish(future)
    history.finish(a_run(1, started_at=moment.utc(now - 2)))
    skipped = a_run(2, started_at=moment.utc(now - 1), state=RunState.SKIPPED)
    history.finish(skipped)
    assert [run.id[-1] for run in history.runs()] == ["2", "1", "0"]
    assert [run.id[-1] for run in history.runs(limit=1)] == ["2"]
    assert history.last("backup") == history.run("run-000001")
    assert history.streaks(["backup"]) == {"backup": (RunState.FAILED, RunState.OK, RunState.SKIPPED)}
    history.finish(a_run(3, started_at=moment.utc(now)), Retention(runs=1))
    assert [run.id[-1] for run in history.runs()] == ["3", "0"]  # the last failure stays
    history.finish(a_run(4, started_at=moment.utc(now), state=RunState.FAILED), Retention(runs=1))
    assert [run.id[-1] for run in history.runs()] == ["4"]
