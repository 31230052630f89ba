"""How late a job begins: the same on one box, another on the next, and only where cron started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_box import FALLBACK_S, Box, wait_until
from scheduler_box import command

from mltop.jobs.runner import alive
from mltop.jobs.runner.jitter import delay_s, share
from mltop.model.job import RunState


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    found = Box(tmp_path)
    yield found
    found.close()


def test_boxes_and_jobs_are_spread_evenly_and_keep_their_place() -> None:
    shares = sorted(share(f"job-{job}", f"{machine:032x}") for job in range(20) for machine in range(50))
    assert all(0 <= one < 1 for one in shares)
    assert shares[499] == pytest.approx(0.5, abs=0.08)
    assert share("backup", "m") == share("backup", "m")


def test_who_is_not_crons_begins_at_once() -> None:
    assert delay_s(command("a", jitter_s=60.0), {}) == 0.0


def started_by(box: Box, name: str, **environment: str) -> subprocess.Popen[bytes]:
    """`mltop run job` as a shell of that name starts it."""
    daemon = box.folder / name
    daemon.symlink_to("/bin/sh")
    argv = [str(daemon), "-c", f"{sys.executable} -m mltop run job; exit $?"]
    return subprocess.Popen(argv, env=box.environment | environment, stdin=subprocess.DEVNULL)


def test_under_cron_the_wrapper_waits_and_can_be_ended_meanwhile(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\njitter = "3000d"\n')
    process = started_by(box, "cron")
    waiting: list[int] = []

    def has_begun_to_wait() -> bool:
        waiting[:] = [
            pid
            for pid in alive.processes()
            if (fields := alive.stat_fields(pid)) and int(fields[1]) == process.pid and _catches(pid, signal.SIGTERM)
        ]
        return bool(waiting)

    wait_until(has_begun_to_wait, "the wrapper's handlers")
    assert box.history.runs() == []
    os.kill(waiting[0], signal.SIGTERM)
    assert process.wait(FALLBACK_S) == 143
    assert (box.last().state, box.last().reason) == (RunState.ABORTED, "ended while waiting: its jitter")


def _catches(pid: int, number: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("SigCgt") and int(line.split()[1], 16) & 1 << number - 1 for line in lines)


@pytest.mark.parametrize(("name", "environment"), [("bash-like", {}), ("crond", {"INVOCATION_ID": "0" * 32})])
def test_a_script_and_a_timer_do_not_wait(box: Box, name: str, environment: dict[str, str]) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "exit 3"\njitter = "3000d"\n')
    assert started_by(box, name, **environment).wait(FALLBACK_S) == 3
