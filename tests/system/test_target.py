"""A signal reaches the process that was chosen, or nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mltop.system.target import Target


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def started_at(pid: int) -> str:
    """As the sampler writes it: whole seconds from the boot time."""
    ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    boot = next(int(line[6:]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return datetime.fromtimestamp(boot + ticks / os.sysconf("SC_CLK_TCK"), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_sends(child: subprocess.Popen[bytes]) -> None:
    target = Target(child.pid, started_at(child.pid))
    assert target.is_same
    assert target.send(signal.SIGTERM) is None
    assert child.wait(10) == -signal.SIGTERM
    assert target.send(signal.SIGTERM) == "it has ended already"
    target.close()


def test_another_start_time_is_another_process(child: subprocess.Popen[bytes]) -> None:
    target = Target(child.pid, "2020-01-01T00:00:00Z")
    assert not target.is_same
    assert target.send(signal.SIGKILL) == "it has ended already"
    assert child.poll() is None
    target.close()


@pytest.mark.parametrize("pid", [0, -1, 4294967295, 2**31 - 1])
def test_no_such_pid_is_signalled(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("signalled"))
    target = Target(pid, None)
    assert target.send(signal.SIGTERM) is not None
    target.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may signal everybody")
def test_refusal_is_told() -> None:
    target = Target(1, None)
    assert "not permitted" in str(target.send(signal.SIGCONT))
    target.close()


def test_works_without_pidfds(child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    target = Target(child.pid, started_at(child.pid))
    assert target.send(signal.SIGTERM) is None
    assert child.wait(10) == -signal.SIGTERM


def test_a_garbled_time_is_no_match(child: subprocess.Popen[bytes]) -> None:
    assert not Target(child.pid, "yesterday").is_same
