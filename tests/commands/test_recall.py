"""What the last run knew, brought to what this one found."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import driver
import msgspec
import pytest

from mltop.checks.memory import Memory
from mltop.checks.remembered import Found, KnownGpu, Remembered
from mltop.commands.check.recall import recalled
from mltop.model.host_facts import HostFacts, KernelEvent, KernelEvents
from mltop.model.snapshot import Gpu, Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import State
from mltop.sampling.gpu.elsewhere import life
from mltop.sampling.root import Roots

GONE, HERE = driver.DGX_BUS_IDS[0], driver.DGX_BUS_IDS[1]


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc whose first process began at tick 700, and a bus with both cards."""
    (tmp_path / "proc/1").mkdir(parents=True)
    begin(tmp_path, 700)
    monkeypatch.setenv("MLTOP_PROCFS", str(tmp_path / "proc"))
    monkeypatch.setenv("MLTOP_SYSFS", str(tmp_path / "sys"))
    return tmp_path


def begin(roots: Path, ticks: int) -> None:
    """The first process of a container, whose name has what a name may have."""
    fields = ["S", *["0"] * 18, str(ticks), "0", "0"]
    (roots / "proc/1/stat").write_text(f"1 (a) b ( c) {' '.join(fields)}\n")


def known(memory: Memory, *, is_container: bool = False) -> list[str | None]:
    recalled(memory, Snapshot(gpus=(Gpu(pci_bus_id=HERE),)), Surroundings(is_container=is_container))
    return [one.pci_bus_id for one in memory.kept.gpus]


def remembered(life: str | None = None) -> Memory:
    gpus = [KnownGpu(uuid="GPU-0", pci_bus_id=GONE), KnownGpu(uuid="GPU-1", pci_bus_id=HERE)]
    return Memory(Remembered(gpus=gpus, most_gpus=2, life=life), is_stepwise=True)


@pytest.mark.parametrize(("bound_to", "left"), [("nvidia", [GONE, HERE]), ("vfio-pci", [HERE]), ("nouveau", [HERE])])
def test_a_card_that_was_given_to_another_driver_is_not_missed(roots: Path, bound_to: str, left: list[str]) -> None:
    driver.make_sysfs(roots / "sys", [GONE], driver=bound_to)
    memory = remembered()
    assert known(memory) == left
    assert memory.kept.most_gpus == (2 if len(left) == 2 else 0)


def test_another_life_of_a_container_may_have_other_gpus(roots: Path) -> None:
    assert life(Roots(proc=roots / "proc")) == "700"
    assert known(remembered("700"), is_container=True) == [GONE, HERE]
    memory = remembered("700")
    begin(roots, 900)
    assert known(memory, is_container=True) == []
    assert memory.kept.life == "900"
    assert known(remembered("700")) == [GONE, HERE]  # a box that was booted is the same box
    (roots / "proc/1/stat").write_text("nonsense")
    assert life(Roots(proc=roots / "proc")) is None


def test_a_mount_that_hung_in_the_last_run_is_known(roots: Path) -> None:
    found = {"/a": Found(State.WARNING, 1), "/b": Found(State.OK, 1), "/c": Found(State.CRITICAL, 1)}
    memory = Memory(Remembered(found={"disk.mount_stuck": found}), is_stepwise=True)
    assert recalled(memory, Snapshot(), Surroundings(stuck_before=frozenset({"/d"}))).stuck_before == {"/a", "/c", "/d"}


@pytest.mark.parametrize(
    ("host", "boot_id", "is_first", "left"),
    [
        ("a", "b1", False, [GONE, HERE]),
        ("a", "b2", False, [GONE, HERE]),  # rebooted
        ("c", "b1", False, [GONE, HERE]),  # renamed, or the next container of this box
        ("c", "b2", True, []),
    ],
)
def test_what_another_box_left_in_a_shared_home_is_nothing_to_this_one(
    roots: Path, host: str, boot_id: str, is_first: bool, left: list[str]
) -> None:
    """A home on NFS, and two machines cloned with one machine-id: the other's GPUs were gone from this one."""
    driver.make_sysfs(roots / "sys", [GONE])
    memory = remembered()
    memory.kept.host, memory.kept.boot_id = "a", "b1"
    recalled(memory, Snapshot(host=host, boot_id=boot_id), Surroundings())
    assert (memory.is_first, [one.pci_bus_id for one in memory.kept.gpus]) == (is_first, left)
    assert memory.kept.host == host


# --- the kernel log


def event(kind: Any, subject: str, ago_s: float, code: int | None = None) -> KernelEvent:
    return KernelEvent(kind=kind, subject=subject, at_s=time.monotonic() - ago_s, age_s=ago_s, text="x", code=code)


def told(memory: Memory, log: KernelEvents, boot_id: str | None = "b1") -> list[tuple[str, str]]:
    """One run: what the log tells with what was known before."""
    memory.last_boot_id = memory.kept.boot_id
    found = recalled(memory, Snapshot(boot_id=boot_id), Surroundings(host=HostFacts(kernel_log=log))).host
    memory.kept.boot_id = boot_id
    assert found is not None
    assert found.kernel_log is not None
    return [(one.kind, one.subject) for one in found.kernel_log.events]


def test_what_the_kernels_ring_has_lost_is_still_told() -> None:
    memory = Memory(Remembered(boot_id="b1"), is_stepwise=True)
    uptime_s = time.monotonic()
    assert uptime_s > 100, "a box that has just been booted"
    first = KernelEvents(events=(event("xid", "0000:3b:00.0", 90, 79), event("io-error", "sda", 80)))
    assert told(memory, first) == [("xid", "0000:3b:00.0"), ("io-error", "sda")]
    again = KernelEvents(events=(event("io-error", "sda", 10),))
    assert told(memory, again) == [("xid", "0000:3b:00.0"), ("io-error", "sda")]
    assert told(memory, KernelEvents(status=Status.NO_PERMISSION)) == []
    assert told(memory, KernelEvents()) == [("xid", "0000:3b:00.0"), ("io-error", "sda")]
    kept = msgspec.json.decode(msgspec.json.encode(memory.kept), type=Remembered)
    assert told(Memory(kept, is_stepwise=True), KernelEvents()) == [("xid", "0000:3b:00.0"), ("io-error", "sda")]
    assert told(memory, KernelEvents(), boot_id="b2") == []  # over with the boot


def test_what_is_remembered_of_the_log_is_bounded_and_ends_with_the_day() -> None:
    memory = Memory(Remembered(boot_id="b1", events=[event("lost", "sda", 90_000)]), is_stepwise=True)
    flood = KernelEvents(events=tuple(event("io-error", f"sd{number}", 50) for number in range(400)))
    assert len(told(memory, flood)) == 400
    assert len(memory.kept.events) == 100
    assert ("lost", "sda") not in told(memory, KernelEvents())
