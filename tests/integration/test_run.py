"""`mltop run` where the box itself fails: a full disk, and a process that no signal ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hung import hung_mount
from patience import wait_until
from run_box import Box, sh

from mltop.jobs.history.history import History
from mltop.jobs.history.spool import in_memory
from mltop.jobs.runner import alive
from mltop.model.job import Run, RunState

pytestmark = pytest.mark.integration


def run(state: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mltop", "run", "--state-dir", str(state), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("not root: no tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_the_log_and_not_the_job(small_disk: Path, tmp_path: Path) -> None:
    state = small_disk / "state"
    proof = tmp_path / "proof"
    assert run(state, "--id", "job", "--", "true")[0] == 0
    code, out, err = run(state, "--id", "job", "--", "sh", "-c", f"seq 1 1000000; echo done > {proof}; exit 4")
    assert (code, out) == (4, "")
    assert proof.read_text() == "done\n"
    (small_disk / "state/logs/job").rename(small_disk / "gone")
    for log in (small_disk / "gone").iterdir():
        log.unlink()
    (last, *_) = History(state).runs()
    in_memory(state).unlink(missing_ok=True)
    assert "could not be noted" in err or (last.state, last.exit_code) == (RunState.FAILED, 4)
    assert run(state, "--id", "job", "--", "true")[0] == 0
    assert History(state).runs()[0].state is RunState.OK


def test_a_disk_that_is_full_from_the_start_stops_no_job(small_disk: Path) -> None:
    with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    for code in (0, 3):
        got, _, err = run(small_disk / "state", "--id", f"job-{os.getpid()}", "--", "sh", "-c", f"exit {code}")
        assert got == code
        assert "could not be noted" in err
    in_memory(small_disk / "state").unlink()
    with contextlib.suppress(FileNotFoundError):
        Path(f"/dev/shm/mltop-{os.geteuid()}/locks/job-{os.getpid()}.lock").unlink()


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """A file or folder that cannot be written, by root neither: bound over itself."""
    subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_history_that_cannot_be_written_is_spooled_and_taken_in_once(small_disk: Path) -> None:
    state = small_disk / "state"
    assert run(state, "--id", "first", "--", "true")[0] == 0
    with read_only(state / "history.db"):
        for code in (0, 4):
            assert run(state, "--id", f"spooled-{code}", "--", "sh", "-c", f"exit {code}") == (code, "", "")
        assert [one.job for one in History(state).runs()] == ["spooled-4", "spooled-0", "first"]
        assert (state / "spool.jsonl").stat().st_size > 0
    for _ in range(2):
        assert run(state, "--id", "after", "--", "true")[0] == 0
    assert (state / "spool.jsonl").read_bytes() == b""
    assert [(one.job, one.state.value) for one in History(state).runs()] == [
        ("after", "ok"),
        ("after", "ok"),
        ("spooled-4", "failed"),
        ("spooled-0", "ok"),
        ("first", "ok"),
    ]


def test_a_state_that_cannot_be_written_at_all_stops_no_job(small_disk: Path, tmp_path: Path) -> None:
    state = small_disk / "state"
    job = f"job-{os.getpid()}"
    assert run(state, "--id", job, "--", "true")[0] == 0
    with read_only(small_disk):
        code, out, err = run(state, "--id", job, "--", "sh", "-c", f"echo done > {tmp_path}/proof; exit 6")
        assert (code, out) == (6, "")
        assert "could not be noted" in err
        assert len(err.splitlines()) == 1
        assert len(History(state).runs()) == 1
    assert (tmp_path / "proof").read_text() == "done\n"
    in_memory(state).unlink()
    with contextlib.suppress(FileNotFoundError):
        Path(f"/dev/shm/mltop-{os.geteuid()}/locks/{job}.lock").unlink()


def locked(box: Box) -> sqlite3.Connection:
    """The history, held by a writer that does not let go."""
    database = sqlite3.connect(box.state / "history.db", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    return database


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    found = Box(tmp_path)
    yield found
    found.close()


def test_a_locked_history_takes_the_spool_in_exactly_once(box: Box) -> None:
    """Here, for each writer waits four seconds for the lock."""
    assert box.run("--id", "job-0", *sh("exit 0"))[0] == 0
    database = locked(box)
    first = [box.start("--id", f"job-{number}", *sh(f"exit {number}")) for number in range(1, 4)]
    assert [process.wait(30) for process in first] == [1, 2, 3]
    assert (box.state / "spool.jsonl").stat().st_size > 0
    database.execute("ROLLBACK")
    database.close()
    second = [box.start("--id", f"late-{number}", *sh("exit 0")) for number in range(3)]
    assert [process.wait(30) for process in second] == [0, 0, 0]
    assert (box.state / "spool.jsonl").read_bytes() == b""
    runs = {run.job: (run.state.value, run.exit_code) for run in History(box.state).runs()}
    assert runs == {
        "job-0": ("ok", 0),
        **{f"job-{number}": ("failed", number) for number in range(1, 4)},
        **{f"late-{number}": ("ok", 0) for number in range(3)},
    }
    with sqlite3.connect(box.state / "history.db") as counted:
        assert counted.execute("SELECT count(*) FROM runs").fetchone() == (7,)
    counted.close()


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[Path]:
    """A mount whose file nobody can open while `MOUNT.block` exists: a true D state once killed."""
    with hung_mount(tmp_path / "hung"):
        yield tmp_path / "hung"


def test_a_process_that_survives_kill_is_stuck_and_keeps_the_next_run_out(hung: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    block = Path(f"{hung}.block")
    block.touch()
    began = time.monotonic()
    words = ("--id", "job", "--timeout", "1s", "--", "cat", str(hung / "file"))
    process = subprocess.Popen(
        [sys.executable, "-m", "mltop", "run", "--state-dir", str(state), *words], stdin=subprocess.DEVNULL
    )
    wait_until(lambda: any(one.state is RunState.RUNNING for one in History(state).runs()))
    process.send_signal(signal.SIGTERM)  # the grace of 30 s is not waited for: see the second
    wait_until(lambda: not _ignores(process))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 125
    assert time.monotonic() - began < 15
    (stuck,) = History(state).runs()
    assert stuck.state is RunState.STUCK
    assert stuck.reason is not None
    assert "(cat)" in stuck.reason
    code, out, err = run(state, "--id", "job", "--", "true")
    assert (code, out, err) == (75, "", "")
    assert "stuck in the kernel" in (History(state).runs()[0].reason or "")
    block.unlink()
    wait_until(lambda: not alive.of_run(stuck.id))
    assert run(state, "--id", "job", "--", "true")[0] == 0


def _ignores(process: subprocess.Popen[bytes]) -> bool:
    """Whether the first TERM is still on its way to the child: seen at `cat`, which has it pending then."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = children.read_text().split() if children.exists() else _children(process.pid)
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(("SigPnd", "ShdPnd")) and int(line.split()[1], 16) & 1 << signal.SIGTERM - 1:
                    return False
    return True


def _children(pid: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = alive.stat_fields(int(entry.name))
            if fields and int(fields[1]) == pid:
                found.append(entry.name)
    return found


def test_a_run_that_filled_the_disk_is_not_taken_for_lost_and_noted_when_there_is_room(small_disk: Path) -> None:
    state = small_disk / "state"
    assert run(state, "--id", "job", "--", "true")[0] == 0
    with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    ended = Run(id="r-1", job="job", state=RunState.FAILED, started_at="2026-11-24T02:00:00.000Z", exit_code=28)
    history = History(state)
    memory = in_memory(state)
    try:
        with pytest.raises(OSError, match="No space left"):
            history.finish(ended)
        assert stat.S_IMODE(memory.stat().st_mode) == 0o600
        assert [one.job for one in History(state).runs()] == ["job"]  # its start was not noted either
        (small_disk / "ballast").unlink()
        for _ in range(2):
            assert run(state, "--id", "after", "--", "true")[0] == 0
        found = [(one.job, one.exit_code) for one in History(state).runs()]
        assert sorted(found) == [("after", 0), ("after", 0), ("job", 0), ("job", 28)]
        assert memory.read_bytes() == b""
    finally:
        memory.unlink(missing_ok=True)


def test_an_end_that_waits_in_memory_is_seen_over_its_start(small_disk: Path) -> None:
    state = small_disk / "state"
    history = History(state)
    started = Run(id="r-1", job="job", started_at="2026-11-24T02:00:00.000Z")
    history.start(started)
    memory = in_memory(state)
    try:
        with read_only(small_disk), pytest.raises(OSError, match="Read-only"):
            history.finish(msgspec.structs.replace(started, state=RunState.FAILED, exit_code=28))
        assert [(one.state, one.exit_code) for one in History(state).runs()] == [(RunState.FAILED, 28)]
    finally:
        memory.unlink(missing_ok=True)


def test_a_folder_that_hangs_is_no_longer_waited_for_than_a_job(hung: Path, tmp_path: Path) -> None:
    config, state = tmp_path / "config.toml", tmp_path / "state"
    config.write_text(
        'version = 1\n[jobs.job]\nkind = "command"\ncommand = "true"\ntimeout = "0.5s"\nkill_grace = "0.2s"\n'
        f'workdir = "{hung}/state"\n'
    )
    block = Path(f"{hung}.block")
    block.touch()
    began = time.monotonic()
    try:
        code, out, err = run(state, "job", "--config", str(config))
    finally:
        block.unlink()
    assert time.monotonic() - began < 10
    (last,) = History(state).runs()
    assert (code, last.state, out, err) in ((124, RunState.TIMEOUT, "", ""), (125, RunState.STUCK, "", ""))
