"""One GPU's record: ages, states and what follows from the answers. Pure, with a clock of its own."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.model.snapshot import Gpu, Status
from mltop.sampling.gpu.answer import FAST, Answer, GpuSaid
from mltop.sampling.gpu.card import Card, Trouble
from mltop.sampling.xid import Xid

GIB = 2**30
INTERVAL_S = 2.0


def _fast(at: float, used: int = 40 * GIB, utilization: int | None = 50) -> GpuSaid:
    answers = {
        "temperature": Answer(at=at, values={"temperature_c": 60}),
        "memory": Answer(
            at=at,
            values={"memory_total_bytes": 80 * GIB, "memory_used_bytes": used, "memory_reserved_bytes": GIB},
        ),
        "utilization": Answer(at=at, values={"utilization_percent": utilization}),
        "power": Answer(at=at, values={"power_w": 300.0}),
        "compute": Answer(at=at, values={"compute": {"10": 30 * GIB}}),
    }
    assert set(answers) == set(FAST)
    return GpuSaid(index=0, answers=answers, is_fast=True)


def _slow(at: float, fact: str, **values: Any) -> GpuSaid:
    return GpuSaid(index=0, answers={fact: Answer(at=at, values=values)})


def _refused(at: float, status: Status, reason: str, *facts: str) -> GpuSaid:
    return GpuSaid(index=0, answers={fact: Answer(at=at, status=status, reason=reason) for fact in facts})


def _read(card: Card, now: float, trouble: Trouble | None = None, xid: Xid | None = None) -> Gpu:
    return card.read(now, INTERVAL_S, trouble, xid)


@pytest.fixture
def card() -> Card:
    card = Card(0)
    card.take(_fast(100.0))
    return card


def test_age_is_that_of_the_fast_values(card: Card) -> None:
    card.take(_slow(101.0, "clocks", clock_sm_mhz=1755))
    gpu = _read(card, 101.5)
    assert (gpu.status, gpu.age_s, gpu.temperature_c, gpu.clock_sm_mhz) == (Status.OK, 1.5, 60, 1755)


def test_overdue_fast_values_stay_and_are_stale(card: Card) -> None:
    assert _read(card, 106.0).status is Status.OK
    gpu = _read(card, 106.1)
    assert (gpu.status, gpu.reason, gpu.temperature_c) == (Status.STALE, "no new values", 60)


def test_overdue_slow_values_are_not_known(card: Card) -> None:
    card.take(_slow(100.0, "clocks", clock_sm_mhz=1755))
    card.take(_slow(100.0, "ecc", ecc_uncorrected_volatile=0))
    card.take(_slow(100.0, "thresholds", temperature_slowdown_c=90))
    card.take(_slow(100.0, "graphics", graphics={"11": GIB}))
    gpu = _read(card, 131.0)
    assert (gpu.clock_sm_mhz, gpu.ecc_uncorrected_volatile, gpu.temperature_slowdown_c) == (None, 0, 90)
    assert [process.pid for process in gpu.processes] == [10]
    assert _read(card, 191.0).ecc_uncorrected_volatile is None


def test_a_hang_is_told_at_once(card: Card) -> None:
    gpu = _read(card, 102.0, Trouble(Status.TIMEOUT, "driver not answering for 2 s"))
    assert (gpu.status, gpu.reason, gpu.temperature_c, gpu.age_s) == (
        Status.TIMEOUT,
        "driver not answering for 2 s",
        60,
        2.0,
    )


def test_never_read() -> None:
    gpu = _read(Card(3), 100.0)
    assert (gpu.status, gpu.reason, gpu.age_s) == (Status.STALE, "not read yet", None)


def test_all_refused_is_refused() -> None:
    card = Card(0)
    card.take(_refused(100.0, Status.NO_PERMISSION, "no permission", *FAST))
    gpu = _read(card, 100.0)
    assert (gpu.status, gpu.reason, gpu.processes_status) == (
        Status.NO_PERMISSION,
        "no permission",
        Status.NO_PERMISSION,
    )


def test_one_missing_fact_does_not_take_the_gpu_down(card: Card) -> None:
    card.take(_refused(101.0, Status.UNSUPPORTED, "not supported", "utilization", "fan"))
    gpu = _read(card, 101.0)
    assert (gpu.status, gpu.reason, gpu.utilization_percent) == (Status.OK, "utilization: not supported", None)


def test_a_process_of_two_lists_holds_its_memory_once(card: Card) -> None:
    card.take(_slow(100.0, "graphics", graphics={"10": 30 * GIB, "11": GIB}))
    card.take(_slow(100.0, "shares", shares={"10": 97.0}))
    gpu = _read(card, 100.0)
    assert [(process.pid, process.gpu_memory_bytes, process.sm_percent) for process in gpu.processes] == [
        (10, 30 * GIB, 97.0),
        (11, GIB, None),
    ]
    assert gpu.unattributed_bytes == 9 * GIB


def test_unattributed_is_never_negative_and_not_known_with_a_part_unknown(card: Card) -> None:
    card.take(_fast(102.0, used=20 * GIB))
    assert _read(card, 102.0).unattributed_bytes == 0
    card.take(_slow(102.0, "graphics", graphics={"11": None}))
    assert _read(card, 102.0).unattributed_bytes is None


def test_idle_held() -> None:
    card = Card(0)
    for at in (0.0, 600.0, 2520.0):
        card.take(_fast(at, utilization=0))
    assert _read(card, 2520.0).idle_held_s == 2520.0
    card.take(_fast(2522.0, utilization=None))
    assert _read(card, 2522.0).idle_held_s is None
    card.take(_fast(2524.0, used=8 * GIB, utilization=0))
    assert _read(card, 2524.0).idle_held_s is None  # 10 % is not over 10 %


def test_lost_says_since_when_and_why(card: Card) -> None:
    lost = Answer(at=110.0, status=Status.LOST, reason="the driver lost the GPU")
    card.take(GpuSaid(index=0, lost=lost))
    bus_id = "0000:1b:00.0"
    gpu = _read(card, 130.0, xid=Xid(pci_bus_id=bus_id, code=79, at=105.0))
    assert (gpu.status, gpu.reason, gpu.age_s) == (Status.LOST, "fallen off the bus; Xid 79", 30.0)
    assert (gpu.temperature_c, gpu.memory_total_bytes, gpu.memory_used_bytes) == (None, 80 * GIB, None)
    assert [(process.pid, process.status) for process in gpu.processes] == [(10, Status.LOST)]
    assert _read(card, 130.0, xid=Xid(pci_bus_id=bus_id, code=119, at=105.0)).reason == (
        "the driver lost the GPU; Xid 119"
    )
    old = _read(card, 130.0, xid=Xid(pci_bus_id=bus_id, code=31, at=5.0))
    assert (old.reason, old.xid_last, old.xid_last_age_s) == ("the driver lost the GPU", 31, 125.0)


def test_lost_stays_lost_where_there_is_no_handle_any_more(card: Card) -> None:
    card.take(GpuSaid(index=0, lost=Answer(at=110.0, status=Status.LOST, reason="the driver lost the GPU")))
    card.take(GpuSaid(index=0, lost=Answer(at=115.0, status=Status.UNSUPPORTED, reason="not supported")))
    gpu = _read(card, 130.0)
    assert (gpu.status, gpu.reason, len(gpu.processes)) == (Status.LOST, "the driver lost the GPU", 1)
    card.take(_fast(140.0))
    assert _read(card, 140.0).status is Status.OK


def test_a_card_without_a_handle_says_why() -> None:
    card = Card(0)
    card.take(GpuSaid(index=0, lost=Answer(at=1.0, status=Status.NO_PERMISSION, reason="no permission")))
    gpu = _read(card, 1.0)
    assert (gpu.status, gpu.reason, gpu.processes_status) == (
        Status.NO_PERMISSION,
        "no permission",
        Status.NO_PERMISSION,
    )


def test_mig_has_its_own_age(card: Card) -> None:
    card.take(_slow(100.0, "mig", mig=[{"uuid": "MIG-1", "profile": "1g.10gb", "memory_used_bytes": 1}]))
    mig = _read(card, 105.0).mig[0]
    assert (mig.status, mig.age_s, mig.memory_used_bytes) == (Status.OK, 5.0, 1)
    assert _read(card, 131.0).mig[0].status is Status.STALE
