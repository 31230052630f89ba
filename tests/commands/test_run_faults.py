"""`mltop run` where something goes wrong: with the wrapper, the history, the limits, or the attempts."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import assert_within
from run_box import FALLBACK_S, Box, sh, wait_until

from mltop.jobs.history.history import History
from mltop.jobs.runner import alive
from mltop.jobs.runner.lock import Holder, holder
from mltop.model.job import RunState


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    found = Box(tmp_path)
    yield found
    found.close()


def test_the_lock_is_one_file_for_ever_outside_of_tmp_and_the_session(box: Box) -> None:
    lock = box.state / "locks" / "job.lock"
    assert box.run("--id", "job", *sh("exit 0"))[0] == 0
    first = lock.stat().st_ino
    assert box.run("--id", "job", *sh("exit 1"))[0] == 1
    assert lock.stat().st_ino == first
    told = holder(lock)
    assert told is not None
    assert told.run == box.last().id


@pytest.mark.parametrize(
    "told",
    [
        Holder("r-1", 12, 34, "boot", ((5, 6), (7, None))),
        Holder("r-1", 12),
    ],
)
def test_a_note_of_a_holder_is_read_as_it_was_written(told: Holder, tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(told.line())
    assert holder(tmp_path / "lock") == told


@pytest.mark.parametrize("data", [b"", b"r-1", b"r-1 x - -", b"\xff\xfe", b'{"run": "r-1", "pid": 1}\n'])
def test_a_note_that_is_none_names_nobody(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(data)
    assert holder(tmp_path / "lock") is None


def test_overlap_wait_gets_in_when_the_other_ends(box: Box) -> None:
    box.write(
        '[jobs.job]\nkind = "command"\non_overlap = "wait:30s"\n'
        f'command = "while [ ! -e {box.folder}/go ]; do sleep 0.02; done"\n'
    )
    first = box.start("job")
    box.running()
    second = box.start("job")
    wait_until(lambda: _has(second.pid, ("SigCgt",), signal.SIGTERM), "the second at the lock")
    (box.folder / "go").touch()
    assert (first.wait(FALLBACK_S), second.wait(FALLBACK_S)) == (0, 0)
    assert [run.state.value for run in History(box.state).runs()] == ["ok", "ok"]


def test_replace_that_cannot_end_the_other_is_skipped_with_its_run(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\non_overlap = "replace"\nkill_grace = "0.1s"\ncommand = "sleep 60"\n')
    first = box.start("job")
    (running,) = box.running()
    os.kill(first.pid, signal.SIGSTOP)  # it hears no TERM
    second = box.start("job")
    wait_until(lambda: _has(first.pid, ("SigPnd", "ShdPnd"), signal.SIGTERM), "TERM on its way")
    second.send_signal(signal.SIGTERM)
    assert second.wait(FALLBACK_S) == 143
    assert f"overlap with {running.id}" in (box.last().reason or "")
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(FALLBACK_S) == 143


def _has(pid: int, sets: tuple[str, ...], number: int) -> bool:
    """Whether a signal is in one of a process's sets (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(line.startswith(sets) and int(line.split()[1], 16) & 1 << number - 1 for line in lines)


def test_a_time_limit_is_a_failure_that_is_tried_again(box: Box) -> None:
    box.write(
        '[jobs.job]\nkind = "command"\nretries = 1\nretry_wait = "0.1s"\ntimeout = "0.5s"\n'
        'command = "test $MLTOP_ATTEMPT = 2 || exec sleep 60"\n'
    )
    assert box.run("job")[0] == 0
    assert (box.last().state, box.last().reason) == ("ok", "attempt 2")


def test_attempts_share_one_lock_and_end_by_hand_between_two(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\nretries = 5\nretry_wait = "1h"\ncommand = "exit 1"\n')
    process = box.start("job")
    (run,) = box.running()
    wait_until(lambda: "again in 3600 s" in Path(run.log_path or "").read_text(), "the wait")
    assert box.run("job")[0] == 75
    process.send_signal(signal.SIGTERM)
    assert process.wait(FALLBACK_S) == 143
    ended = History(box.state).run(run.id)
    assert ended is not None
    assert (ended.state, ended.exit_code) == ("aborted", 143)


def test_a_soft_failure_is_not_tried_again(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\nretries = 3\nretry_wait = "1h"\nsoft_fail = [7]\ncommand = "exit 7"\n')
    assert box.run("job")[0] == 7
    assert box.last().state is RunState.SKIPPED


def test_limits_that_nobody_holds_are_said_in_the_log_and_the_dry_run(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncpu_quota = "1%"\nmemory_max = "1GiB"\ncommand = "true"\n')
    assert box.run("job", INVOCATION_ID="0" * 32)[0] == 0  # of a terminal inside a unit
    for text in (box.log(), box.run("job", "--dry-run")[1]):
        assert "cpu_quota 1 % not applied: no systemd unit holds this run to it" in text
        assert "memory_max holds for each process alone" in text


def test_a_family_that_left_its_session_is_reported_when_the_wrapper_is_killed(box: Box) -> None:
    process = box.start("--id", "job", *sh("setsid sh -c 'trap \"\" TERM HUP; sleep 61' & sleep 60"))
    (run,) = box.running()
    wait_until(lambda: len(alive.of_run(run.id)) >= 4, "the family")
    process.kill()
    process.wait()
    wait_until(lambda: History(box.state).runs()[0].state is RunState.LOST, "lost")
    assert "(sleep)" in (box.last().reason or "")


def test_removing_what_a_job_left_leaves_a_job_of_a_like_name(box: Box) -> None:
    box.write(
        '[jobs.backup]\nkind = "command"\nhistory_runs = 1\ncommand = "echo a"\n'
        '[jobs.backup_db]\nkind = "command"\ncommand = "echo b"\n'
    )
    for job in ("backup_db", "backup", "backup_db", "backup"):
        assert box.run(job)[0] == 0
    logs = {folder.name: len(list(folder.glob("*.log"))) for folder in (box.state / "logs").iterdir()}
    assert logs == {"backup": 1, "backup_db": 2}
    assert [run.job for run in History(box.state).runs()] == ["backup", "backup_db", "backup_db"]


def test_the_logs_of_a_job_take_no_more_room_than_they_may(box: Box) -> None:
    """J44: by bytes, retroactively, and the last failure stays."""
    text = '[jobs.job]\nkind = "command"\ncommand = "head -c 1000 /dev/zero; exit $CODE"\n'
    for code in "10000":
        box.write(text + f'env = {{ CODE = "{code}" }}\n')
        assert box.run("job")[0] == int(code)
    assert len(History(box.state).runs()) == 5
    box.write(text + 'env = { CODE = "0" }\nhistory_bytes = "4KB"\n')
    assert box.run("job")[0] == 0
    assert [run.state.value for run in History(box.state).runs()] == ["ok", "ok", "failed"]
    assert len(list((box.state / "logs" / "job").glob("*.log"))) == 3


def test_wrapper_job_and_grandchild_killed_at_once_leave_nothing(box: Box) -> None:
    process = box.start("--id", "job", *sh("sleep 60 & sleep 61"))
    (run,) = box.running()
    wait_until(lambda: len(alive.of_run(run.id)) == 3, "the family")
    os.kill(process.pid, signal.SIGSTOP)
    for pid in alive.of_run(run.id):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    assert (box.last().state, box.last().reason) == ("lost", "its wrapper was killed")
    assert alive.of_run(run.id) == []
    began = time.monotonic()
    assert box.run("--id", "job", *sh("exit 0"))[0] == 0
    assert_within(5, began)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_stop_no_job(box: Box, closed: str) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "ls /proc/self/fd; echo out; echo err >&2; exit 3"\n')
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m mltop run job {closed}"],
        env=box.environment, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    assert box.log().splitlines()[1:-1] == ["0", "1", "2", "3", "out", "err"]
    dry = f"exec {sys.executable} -m mltop run job --dry-run >&-"
    done = subprocess.run(["/bin/sh", "-c", dry], env=box.environment, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == b"mltop: standard output: Bad file descriptor\n"


@pytest.mark.parametrize("words", [("--", "/bin/sh", "-c", "exit 3"), ("--id", "job", "--", "/bin/sh", "-c", "exit 3")])
def test_a_folder_that_is_gone_stops_no_command(box: Box, words: tuple[str, ...]) -> None:
    gone = box.folder / "gone"
    shell = f'mkdir -p {gone}; cd {gone}; rmdir {gone}; exec {sys.executable} -m mltop run "$@"'

    def run(*more: str) -> subprocess.CompletedProcess[bytes]:
        argv = ["/bin/sh", "-c", shell, "sh", *more, *words]
        return subprocess.run(argv, env=box.environment, capture_output=True, timeout=30, check=False)

    done = run()
    assert (done.returncode, done.stderr) == (3, b"")
    assert b"workdir    (deleted)" in run("--dry-run").stdout


@pytest.mark.parametrize("name", ["history.db", "spool.jsonl", "locks/job.lock", "locks/job.queue"])
def test_what_is_no_file_in_the_state_keeps_nothing_waiting(box: Box, name: str) -> None:
    box.write('[jobs.job]\nkind = "command"\non_overlap = "queue"\ncommand = "exit 3"\n')
    pipe = box.state / name
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe, 0o600)
    assert box.run("job") == (3, "", "")
    history = History(box.state)
    assert [run.exit_code for run in history.runs()] == [3]
    is_seen = not name.startswith("locks")
    assert [note.startswith(f"{pipe} cannot be read") for note in history.notes] == [True] * is_seen


def test_a_locked_history_keeps_no_job_from_its_time_limit(box: Box) -> None:
    box.run("--id", "other", *sh("exit 0"))
    database = sqlite3.connect(box.state / "history.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    assert box.run("--id", "job", "--timeout", "0.2s", *sh("sleep 60"))[0] == 124
    run = History(box.state).runs(limit=1)[0]
    assert (run.job, run.state) == ("job", RunState.TIMEOUT)
    assert (run.duration_s or 60) < 20
    database.close()


def test_signals_that_whoever_started_it_had_blocked_are_heard(box: Box) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'mltop', 'run', '--id', 'job', '--', *sys.argv[1:]])\n"
    )

    def start(text: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", code, "/bin/sh", "-c", text]
        return subprocess.Popen(argv, env=box.environment, stdin=subprocess.DEVNULL)

    assert start("sleep 60 & exit 3").wait(FALLBACK_S) == 3  # whose end nothing else tells of
    process = start("sleep 61")
    box.running()
    process.send_signal(signal.SIGTERM)
    assert process.wait(FALLBACK_S) == 143


@pytest.mark.parametrize("count", range(8, 16))
def test_too_few_descriptors_are_said_in_a_line(box: Box, count: int) -> None:
    """Wherever they run out: it runs, or why it did not is said."""
    code = (
        f"import os, resource, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, ({count}, {count}))\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'mltop', 'run', '--id', 'job', '--', 'true'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=box.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode in (0, 125)
    lines = done.stderr.decode().splitlines()
    assert all("Too many open files" in line and "Errno" not in line for line in lines)
    assert len(lines) <= 2  # the run, and where the history has no room either, that
    assert lines or done.returncode == 0


@pytest.mark.parametrize(
    ("program", "shown"), [("\x1b[31mno\nsuch", "?[31mno such"), ("no\u202eone", "no?one"), ("\udcff", "?"), ("", '""')]
)
def test_a_name_of_a_program_can_be_anything(box: Box, program: str, shown: str) -> None:
    said = f"{shown}: command not found"
    assert box.run("--id", "job", "--", program) == (127, "", f"mltop run: {said}\n")
    assert box.last().reason == said
    assert box.run("--dry-run", "--id", "job", "--", program)[1].splitlines()[1].startswith("command    ")
