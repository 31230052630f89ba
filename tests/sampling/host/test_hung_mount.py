"""M11 on real mounts that answer no statvfs: readers of theirs are in a state that no signal ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hung import block_of, hung_mount
from patience import assert_within

from mltop.model.snapshot import Disk, Status
from mltop.sampling.host.disk import DiskReading
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots

pytestmark = pytest.mark.integration

WaitFor = Callable[..., None]
MOUNTS = 3


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[list[Path]]:
    """Mounts that hang while `PATH.block` exists."""
    paths = [tmp_path / f"mount{number}" for number in range(MOUNTS)]
    with ExitStack() as mounted:
        for path in paths:
            mounted.enter_context(hung_mount(path))
        yield paths


def state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read(disks: DiskReading, now: float) -> dict[str, Disk]:
    return {disk.mount: disk for disk in disks.read(now)}


def test_the_others_go_on_and_the_stuck_come_back(mounts: list[Path], reader: Reader, wait_for: WaitFor) -> None:
    disks = DiskReading(Roots(), reader)
    wait_for(reader, lambda: all(read(disks, time.monotonic())[str(path)].used_bytes for path in mounts))
    for path in mounts:
        block_of(path).touch()
    ahead = time.monotonic() + 11  # the next round of readings
    read(disks, ahead)
    wait_for(reader, lambda: len(reader.pids()) == MOUNTS and reader.is_idle())
    children = reader.pids()
    fresh = read(disks, ahead)
    assert fresh["/"].status is Status.OK
    assert fresh["/"].age_s is not None
    assert fresh["/"].age_s < 11.5

    for round_ in range(1, 6):
        found = read(disks, ahead + 11 * round_)
        wait_for(reader, reader.is_idle)
    assert reader.pids()[:MOUNTS] == children
    assert len(reader.pids()) == MOUNTS + 1
    for path in mounts:
        assert found[str(path)].status is Status.TIMEOUT
        assert found[str(path)].reason is not None
        assert found[str(path)].reason.startswith("no answer for ")
        assert found[str(path)].used_bytes == 600 * 4096
        assert (found[str(path)].age_s or 0) > 55
    assert sum(map(cpu_s, children)) < 0.5

    for path in mounts:
        block_of(path).unlink()
    wait_for(reader, lambda: len(reader.pids()) == 1)
    found = read(disks, time.monotonic() + 5)
    assert {found[str(path)].status for path in mounts} == {Status.OK}


def test_closing_leaves_a_child_that_no_signal_ends(mounts: list[Path], wait_for: WaitFor) -> None:
    reader = Reader(patience_s=0.1)
    block_of(mounts[0]).touch()
    disks = DiskReading(Roots(), reader)
    read(disks, time.monotonic())
    wait_for(reader, lambda: len(reader.pids()) == 2 and reader.is_idle())
    stuck, _ = reader.pids()
    began = time.monotonic()
    reader.close()
    assert_within(0.1, began)
    wait_for(reader, lambda: state(stuck) == "D")
    block_of(mounts[0]).unlink()
    wait_for(reader, lambda: state(stuck) in {None, "Z"})


def test_a_script_that_asks_once_gets_its_answer(mounts: list[Path]) -> None:
    """`$(mltop --once)` ends though a reader of its is stuck: the reader holds none of its descriptors (D1)."""
    block_of(mounts[0]).touch()
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "mltop", "--once", "--json"], capture_output=True, timeout=30, check=True
    )
    assert time.monotonic() - began < 10
    disks = {disk["mount"]: disk for disk in json.loads(ended.stdout)["disks"]}
    assert disks[str(mounts[0])]["status"] == "timeout"
    assert disks[str(mounts[0])]["used_bytes"] is None
    assert disks["/"]["status"] == "ok"
