"""All about a process on a mount that is dead, and of one that waits there for ever: read, and never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hung import block_of, hung_mount
from patience import wait_until

from mltop.model.process_detail import ProcessDetail

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


def ask(pid: int) -> ProcessDetail:
    words = [sys.executable, "-P", "-m", "mltop", "process", str(pid), "-n", "1"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=ProcessDetail)


def test_one_that_stands_on_a_dead_mount_and_one_that_waits_for_it(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    with hung_mount(mount):
        stands = subprocess.Popen(["/bin/sleep", "60"], cwd=mount)
        block_of(mount).touch()
        waits = subprocess.Popen(["stat", "-f", str(mount)], stdout=subprocess.DEVNULL)
        wait_until(lambda: state(waits.pid) != "R" and b"request_wait" in wchan(waits.pid))
        waits.kill()
        wait_until(lambda: state(waits.pid) == "D")
        found = ask(waits.pid)
        assert (found.state, found.waits_in, found.command) == ("D", "request_wait_answer", None)
        assert "state D" in found.missing["directory"]
        standing = ask(stands.pid)
        assert (standing.directory, standing.missing) == (str(mount), {})
        block_of(mount).unlink()
        waits.wait(10)
        stands.kill()
        stands.wait(10)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wchan(pid: int) -> bytes:
    return Path(f"/proc/{pid}/wchan").read_bytes()
