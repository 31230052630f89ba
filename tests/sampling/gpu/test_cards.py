"""All GPUs of a box: identity before index, place on the bus (D12)."""

from __future__ import annotations

from pathlib import Path

import driver
import pytest

from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Status
from mltop.sampling.gpu.answer import Answer, GpuSaid
from mltop.sampling.gpu.card import Trouble
from mltop.sampling.gpu.cards import Cards
from mltop.sampling.root import Roots

BUS_IDS = ("0000:1b:00.0", "0000:43:00.0", "0000:52:00.0")
NOT_LISTED = Trouble(Status.LOST, "on the PCI bus, not in the driver")


def _said(index: int, card: int, at: float = 1.0) -> GpuSaid:
    identity = {"uuid": f"GPU-{card}", "name": "H100", "pci_bus_id": BUS_IDS[card]}
    answers = {"identity": Answer(at=at, values=identity), "temperature": Answer(at=at, values={"temperature_c": card})}
    return GpuSaid(index=index, answers=answers)


@pytest.fixture
def cards(tmp_path: Path) -> Cards:
    driver.make_sysfs(tmp_path / "sys", BUS_IDS)
    cards = Cards(Roots(proc=tmp_path / "proc", sys=tmp_path / "sys"))
    cards.look_at_bus(0.0)
    cards.take_start()
    return cards


def _start(cards: Cards, *order: int, at: float = 1.0) -> None:
    cards.take_start()
    for index, card in enumerate(order):
        cards.take(_said(index, card, at))
    cards.end_of_refresh(())


def _read(cards: Cards, now: float = 1.0) -> list[Gpu]:
    return list(cards.read(now, 2.0, lambda _: None, NOT_LISTED))


def _places(gpus: list[Gpu]) -> list[tuple[int | None, str | None, Status]]:
    return [(gpu.index, gpu.uuid, gpu.status) for gpu in gpus]


def test_rows_in_the_drivers_order(cards: Cards) -> None:
    _start(cards, 0, 1, 2)
    assert _places(_read(cards)) == [(0, "GPU-0", Status.OK), (1, "GPU-1", Status.OK), (2, "GPU-2", Status.OK)]
    assert cards.unlisted() == ()


def test_a_card_that_vanishes_keeps_its_place_while_the_next_takes_its_index(cards: Cards) -> None:
    _start(cards, 0, 1, 2)
    _start(cards, 0, 2, at=2.0)
    gpus = _read(cards, 2.0)
    assert _places(gpus) == [(0, "GPU-0", Status.OK), (None, "GPU-1", Status.LOST), (1, "GPU-2", Status.OK)]
    assert gpus[2].temperature_c == 2
    assert gpus[1].reason == "on the PCI bus, not in the driver"
    assert cards.unlisted() == (BUS_IDS[1],)
    _start(cards, 0, 1, 2, at=3.0)
    assert _places(_read(cards, 3.0)) == [(0, "GPU-0", Status.OK), (1, "GPU-1", Status.OK), (2, "GPU-2", Status.OK)]


def test_a_card_gone_from_the_bus(cards: Cards, tmp_path: Path) -> None:
    _start(cards, 0, 1, 2)
    directory = tmp_path / "sys/bus/pci/devices" / BUS_IDS[2]
    directory.rename(tmp_path / "gone")
    _start(cards, 0, 1)
    cards.look_at_bus(100.0)
    assert _read(cards)[2].reason == "gone from the PCI bus"
    assert cards.pci_count == 2


def test_a_card_lost_before_it_told_its_name_is_found_on_the_bus(cards: Cards) -> None:
    cards.take(_said(0, 0))
    cards.take(GpuSaid(index=1, lost=Answer(at=1.0, status=Status.LOST, reason="the driver lost the GPU")))
    cards.take(_said(2, 2))
    cards.end_of_refresh(())
    assert [(gpu.index, gpu.pci_bus_id) for gpu in _read(cards)] == list(enumerate(BUS_IDS))


def test_a_card_that_hangs_before_it_told_its_name_is_one_row(cards: Cards) -> None:
    cards.take_start(len(BUS_IDS))
    cards.take(_said(0, 0))
    cards.expect(1)  # those after it were not heard of yet
    assert [(gpu.index, gpu.pci_bus_id) for gpu in _read(cards)][:2] == list(enumerate(BUS_IDS))[:2]
    assert [gpu.pci_bus_id for gpu in _read(cards)] == list(BUS_IDS)


def test_cards_known_to_the_bus_only(cards: Cards) -> None:
    gpus = list(cards.read(1.0, 2.0, lambda _: None, Trouble(Status.TIMEOUT, "driver not answering for 2 s")))
    assert [(gpu.index, gpu.pci_bus_id, gpu.status) for gpu in gpus] == [
        (None, bus_id, Status.TIMEOUT) for bus_id in BUS_IDS
    ]


def test_a_skipped_gpu_keeps_its_index(cards: Cards) -> None:
    _start(cards, 0, 1, 2)
    cards.take_start()
    cards.take(_said(0, 0))
    cards.take(_said(2, 2))
    cards.end_of_refresh((1,))
    assert [gpu.index for gpu in _read(cards)] == [0, 1, 2]


def test_an_index_that_never_said_who_it_is_leaves_no_row(cards: Cards) -> None:
    _start(cards, 0, 1, 2)
    cards.take(GpuSaid(index=3, lost=Answer(at=1.0, status=Status.UNSUPPORTED, reason="not supported")))
    assert len(_read(cards)) == 4
    _start(cards, 0, 1, 2, at=2.0)
    assert [gpu.index for gpu in _read(cards, 2.0)] == [0, 1, 2]


def test_a_card_that_had_no_handle_and_is_gone_is_lost(cards: Cards) -> None:
    _start(cards, 0, 1, 2)
    cards.take(GpuSaid(index=2, lost=Answer(at=1.0, status=Status.UNSUPPORTED, reason="not supported")))
    _start(cards, 0, 1, at=2.0)
    assert _places(_read(cards, 2.0))[2] == (None, "GPU-2", Status.LOST)


def _named(index: int, uuid: str | None, bus_id: str | None) -> GpuSaid:
    identity = Answer(at=1.0, values={"uuid": uuid, "name": "H100", "pci_bus_id": bus_id})
    return GpuSaid(index=index, answers={"identity": identity, "temperature": Answer(at=1.0, values={})})


@pytest.mark.parametrize("again", [1, 3])
def test_two_cards_of_one_uuid_are_two_cards(cards: Cards, again: int) -> None:
    for _ in range(again):
        cards.take_start()
        for index, bus_id in enumerate(BUS_IDS):
            cards.take(_named(index, "GPU-0" if index < 2 else "GPU-2", bus_id))
        cards.end_of_refresh(())
    gpus = _read(cards)
    assert [(gpu.index, gpu.uuid, gpu.pci_bus_id, gpu.name) for gpu in gpus] == [
        (0, "GPU-0", BUS_IDS[0], "H100"),
        (1, None, BUS_IDS[1], "H100"),
        (2, "GPU-2", BUS_IDS[2], "H100"),
    ]
    assert gpus[1].reason == "its uuid is that of GPU 0 too"
    assert sorted(cards.gaps(("temperature",))) == sorted(["GPU-0", BUS_IDS[1], "GPU-2"])


def test_two_cards_of_one_bus_id_are_two_cards(cards: Cards) -> None:
    for index in range(3):
        cards.take(_named(index, f"GPU-{index}", BUS_IDS[0]))
    gpus = _read(cards)
    assert [(gpu.index, gpu.uuid, gpu.name) for gpu in gpus] == [(index, f"GPU-{index}", "H100") for index in range(3)]
    assert gpus[2].reason == "its bus id is that of GPU 0 too"


def test_another_card_at_an_index_does_not_become_the_one_that_was_there(cards: Cards) -> None:
    _start(cards, 0, 1)
    _start(cards, 0, 2, at=2.0)
    assert _places(_read(cards, 2.0)) == [
        (0, "GPU-0", Status.OK),
        (None, "GPU-1", Status.LOST),
        (1, "GPU-2", Status.OK),
    ]


def test_a_card_in_the_slot_of_another_takes_its_row(cards: Cards) -> None:
    cards.take(_named(0, "GPU-old", BUS_IDS[0]))
    cards.take_start()
    cards.take(_named(0, "GPU-new", BUS_IDS[0]))
    assert [gpu.uuid for gpu in _read(cards) if gpu.index is not None] == ["GPU-new"]


def test_cards_without_any_name_are_told_apart_by_their_index(tmp_path: Path) -> None:
    cards = Cards(Roots(proc=tmp_path / "proc", sys=tmp_path / "sys"))
    for index in range(2):
        cards.take(_named(index, None, None))
    assert sorted(cards.gaps(())) == [gpu_identity(gpu) for gpu in _read(cards)] == ["index:0", "index:1"]
