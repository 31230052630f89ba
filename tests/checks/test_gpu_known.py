"""GPUs that were here before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.checks.remembered import Remembered
from mltop.model.finding import Level
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status


def next_run(memory: Memory) -> Memory:
    """A memory as the next run has it: through its stored form."""
    return Memory(msgspec.json.decode(msgspec.json.encode(memory.settled((), 1.0)), type=Remembered), is_stepwise=True)


def without(snapshot: Snapshot, *indices: int, **driver: Any) -> Snapshot:
    gpus = tuple(gpu for gpu in snapshot.gpus if gpu.index not in indices)
    values: dict[str, Any] = {"status": Status.OK, "gpu_count": len(gpus), "pci_count": len(gpus), "age_s": 0.0}
    return msgspec.structs.replace(snapshot, gpus=gpus, driver=Driver(**{**values, **driver}))


def counts(memory: Memory, snapshot: Snapshot) -> dict[str, Judgement]:
    return {one.target: one for one in judgements(snapshot, None, memory) if one.check == "gpu.count"}


@pytest.fixture
def memory(make: Any) -> Memory:
    """After a run with eight GPUs."""
    known = Memory()
    assert {one.level for one in counts(known, make()).values()} == {Level.OK}
    return next_run(known)


@pytest.mark.parametrize("boot", ["b1", "b2"])
def test_one_that_is_gone_is_critical_by_its_uuid_and_bus_id_until_it_is_back(
    make: Any, memory: Memory, boot: str
) -> None:
    whole = make(boot_id=boot, uptime_s=5000.0)
    for _ in range(3):
        one = counts(memory, without(whole, 3))["GPU-3"]
        assert (one.level, one.target_name, one.reason) == (Level.CRITICAL, "GPU 3", "gone")
        assert "GPU-3" in one.summary
        assert "0000:1e:00.0" in one.summary
        assert "2026-01-01T14:00:00Z" in one.summary
        memory = next_run(memory)
    assert {one.level for one in counts(memory, whole).values()} == {Level.OK}


def test_a_box_that_lost_all_of_them_misses_all(make: Any, memory: Memory) -> None:
    found = counts(memory, make(0, driver=Driver(status=Status.ABSENT)))
    assert sorted(found) == [f"GPU-{index}" for index in range(8)]
    assert {one.level for one in found.values()} == {Level.CRITICAL}


def test_the_driver_that_cannot_tell_neither_misses_nor_forgets_any(make: Any, memory: Memory) -> None:
    silent = make(0, driver=Driver(status=Status.TIMEOUT, reason="driver not answering"))
    assert counts(memory, silent) == {}
    unnamed = {index: {"uuid": None, "pci_bus_id": None} for index in range(8)}
    assert list(counts(memory, make(gpus=unnamed))) == [""]
    part = without(make(), 3, gpu_count=8)  # not all of the eight have answered
    assert "GPU-3" not in counts(memory, part)
    assert counts(memory, without(make(), 3))["GPU-3"].level is Level.CRITICAL
    assert counts(memory, silent)["GPU-3"].level is Level.CRITICAL  # held


def test_a_config_that_expects_fewer_acknowledges_it(make: Any, memory: Memory) -> None:
    short = without(make(), 3, expected_count=8)
    assert counts(memory, short)["GPU-3"].level is Level.CRITICAL
    one = counts(memory, without(make(), 3, expected_count=7))
    assert {target: found.level for target, found in one.items()} == {"": Level.OK}
    assert list(counts(next_run(memory), without(make(), 3))) == [""]  # for good


def test_another_card_in_its_slot_replaces_it(make: Any, memory: Memory) -> None:
    found = counts(memory, make(gpus={3: {"uuid": "GPU-new"}}))
    assert list(found) == [""]
    assert found[""].level is Level.OK


def test_a_disk_in_another_box_misses_nothing(make: Any, memory: Memory) -> None:
    others = {index: {"uuid": f"GPU-other-{index}", "pci_bus_id": f"0000:{0xA0 + index:02x}:00.0"} for index in (0, 1)}
    found = counts(memory, make(2, gpus=others))
    assert {target: one.level for target, one in found.items()} == {"": Level.OK}


def test_cards_that_moved_to_other_slots_are_the_same(make: Any, memory: Memory) -> None:
    moved = {index: {"pci_bus_id": f"0000:{0x1B + (index + 1) % 8:02x}:00.0"} for index in range(8)}
    assert list(counts(memory, make(gpus=moved))) == [""]


def test_a_lost_one_that_only_the_bus_lists_has_its_uuid_from_before(make: Any, memory: Memory) -> None:
    short = without(make(), 3)
    row = Gpu(pci_bus_id="0000:1e:00.0", status=Status.LOST, reason="on the PCI bus, not in the driver")
    found = counts(memory, msgspec.structs.replace(short, gpus=(*short.gpus, row)))
    assert list(found) == ["GPU-3"]
    assert found["GPU-3"].data == {"uuid": "GPU-3", "pci_bus_id": "0000:1e:00.0", "xid": None}
    assert found["GPU-3"].target_name == "GPU 3"


def test_fewer_than_ever_of_which_none_can_be_named_is_a_warning(make: Any) -> None:
    memory = Memory()
    nameless = {index: {"uuid": None, "pci_bus_id": None} for index in range(8)}
    counts(memory, make(gpus=nameless, driver=Driver(status=Status.OK, gpu_count=8)))
    short = without(make(gpus=nameless), 7)
    one = counts(memory, short)[""]
    assert (one.level, one.summary) == (Level.WARNING, "7 GPUs, there were 8")
    meant = msgspec.structs.replace(short, driver=Driver(status=Status.OK, gpu_count=7, expected_count=7))
    assert counts(memory, meant)[""].level is Level.OK
    assert counts(memory, short)[""].level is Level.OK


def test_without_a_memory_nothing_is_missed(make: Any) -> None:
    found = [one for one in judgements(without(make(), 3)) if one.check == "gpu.count"]
    assert [(one.target, one.level) for one in found] == [("", Level.OK)]
