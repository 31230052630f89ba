"""All GPUs of a box: the driver's, and those that only the PCI bus has. Each keeps its identity and its place (D12)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from mltop.model.gpu_facts import GpuFacts
from mltop.model.identity import identity
from mltop.model.snapshot import Gpu, Status
from mltop.sampling.gpu.answer import Answer, GpuSaid, XidSaid
from mltop.sampling.gpu.card import Card, Trouble
from mltop.sampling.gpu.pci import cards_for_nvml, is_container
from mltop.sampling.root import Roots
from mltop.sampling.xid import Xid

_NAMES = {"uuid": "uuid", "pci_bus_id": "bus id"}
"""What names a card, the better one first, and in words."""
_SCAN_S = 60.0
"""How often the PCI bus is looked at."""
Troubles = Callable[[int | None], Trouble | None]
"""What keeps the GPU of an index from answering."""


class Cards:
    """Takes messages of the probe; gives records in PCI order."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._cards: list[Card] = []
        self._generation = 0
        self._count = 0
        """How many GPUs the driver counted."""
        self._xids: dict[str, Xid] = {}
        self._on_bus: tuple[str, ...] = ()
        self._scan_at = 0.0
        self._is_container = is_container(roots)

    def look_at_bus(self, now: float) -> None:
        """See what the PCI bus has, not too often."""
        if now >= self._scan_at:
            self._scan_at = now + _SCAN_S
            self._on_bus = tuple(card.bus_id for card in cards_for_nvml(self._roots))

    @property
    def pci_count(self) -> int:
        """How many cards the bus has for NVML."""
        return len(self._on_bus)

    @property
    def listed_count(self) -> int:
        """How many GPUs of the driver have been heard of."""
        return sum(card.index is not None for card in self._cards)

    def take_start(self, count: int = 0) -> None:
        """NVML was started and has so many GPUs: its indices may name other cards than before."""
        self._generation += 1
        self._count = count
        self._scan_at = 0.0

    def take_xids(self, said: XidSaid) -> None:
        """Keep the last Xid of each card."""
        self._xids.update((xid.pci_bus_id, xid) for xid in said.xids)

    def take(self, said: GpuSaid) -> None:
        """Give a card's answers to that card, which its identity names before its index does."""
        who = said.answers.get("identity")
        told = {} if who is None else who.values
        card = self._of(told, said.index)
        if card is None:
            card = Card(said.index)
            self._cards.append(card)
        for other in self._cards:
            if other is not card and other.index == said.index:
                other.index = None
        card.index = said.index
        card.heard_in = self._generation
        if who is not None:
            said = msgspec.structs.replace(said, answers={**said.answers, "identity": self._own(card, who)})
        card.take(said)

    def _of(self, told: Mapping[str, str | None], index: int) -> Card | None:
        """The card of this identity, but none that this start of NVML lists elsewhere; else the one at this index."""
        free = [card for card in self._cards if card.index == index or card.heard_in != self._generation]
        for key in _NAMES:
            named = [card for card in free if told.get(key) and getattr(card, key) == told[key]]
            if named:
                return max(named, key=lambda card: (card.pci_bus_id == told.get("pci_bus_id"), card.index == index))
        here = self._at(index)
        is_other = here is not None and any(told.get(key) and getattr(here, key) for key in _NAMES)
        return None if is_other else here

    def _own(self, card: Card, who: Answer) -> Answer:
        """Its identity without what another card said before it: two cards of one name are two cards all the same."""
        values, doubts = dict(who.values), [who.reason] if who.reason else []
        for other in self._cards:
            if other is card or other.index is None or other.heard_in != self._generation:
                continue
            for key in _NAMES:
                if values.get(key) and getattr(other, key) == values[key]:
                    values[key] = None
                    doubts.append(f"its {_NAMES[key]} is that of GPU {other.index} too")
        return msgspec.structs.replace(who, values=values, reason="; ".join(doubts) or None)

    def _at(self, index: int) -> Card | None:
        return next((card for card in self._cards if card.index == index), None)

    def expect(self, index: int) -> None:
        """There is a GPU at this index, though it says nothing."""
        if self._at(index) is None:
            card = Card(index)
            card.heard_in = self._generation
            self._cards.append(card)

    def end_of_refresh(self, skipped: tuple[int, ...]) -> None:
        """A card that this start of NVML does not list has no index any more; a nameless one is forgotten."""
        for card in self._cards:
            if card.heard_in != self._generation and card.index is not None and card.index not in skipped:
                card.index = None
        self._cards = [card for card in self._cards if card.index is not None or card.uuid or card.pci_bus_id]

    def unlisted(self) -> tuple[str, ...]:
        """Bus ids that the PCI bus has and the driver does not; none in a container, which need not be given all."""
        if self._is_container:
            return ()
        self._guess_bus_ids()
        listed = {card.pci_bus_id for card in self._cards if card.index is not None}
        return tuple(bus_id for bus_id in self._on_bus if bus_id not in listed)

    def _guess_bus_ids(self) -> None:
        """A card lost before it told its bus id is the one on the bus that nobody else is, where that is certain."""
        listed = {card.index: card for card in self._cards if card.index is not None}
        nameless = [card for card in listed.values() if card.pci_bus_id is None]
        if nameless and self._count == len(self._on_bus) and max(listed) < self._count:
            is_in_order = all(card.pci_bus_id in (None, self._on_bus[index]) for index, card in listed.items())
            gone = {card.pci_bus_id for card in self._cards if card.index is None}
            for card in nameless if is_in_order else ():
                here = self._on_bus[card.index or 0]  # the driver counts them as they are on the bus
                card.pci_bus_id = None if here in gone else here
        nameless = [card for card in nameless if card.pci_bus_id is None]
        known = {card.pci_bus_id for card in self._cards}
        free = [bus_id for bus_id in self._on_bus if bus_id not in known]
        if nameless and len(nameless) == len(free):
            for card, bus_id in zip(sorted(nameless, key=lambda card: card.index or 0), free, strict=True):
                card.pci_bus_id = bus_id

    def is_any_unread(self, but: Collection[int]) -> bool:
        """Whether a GPU that the driver counts was never heard of, or never read, apart from these."""
        read = {card.index for card in self._cards if card.lost is not None or card.is_read}
        return not read.issuperset(set(range(self._count)).difference(but))

    def gaps(self, facts: Sequence[str], but: Collection[int] = ()) -> dict[str, dict[str, Answer | None]]:
        """Which of these facts is not told of the cards that the driver lists, `but` these, by uuid or bus id."""
        return {name: card.gaps(facts) for name, card in self._answering() if card.index not in but}

    def facts(self) -> dict[str, GpuFacts]:
        """What only a verdict wants to know of these cards, likewise."""
        return {name: card.facts() for name, card in self._answering()}

    def _answering(self) -> Iterator[tuple[str, Card]]:
        for card in self._cards:
            if card.index is not None and card.lost is None:
                yield identity(card.uuid, card.pci_bus_id, card.index), card

    def read(self, now: float, interval_s: float, troubles: Troubles, unlisted: Trouble | None) -> tuple[Gpu, ...]:
        """All records; cards that the driver does not list are there with `unlisted` as their trouble, if it is set."""
        self._guess_bus_ids()
        gpus = [
            card.read(now, interval_s, troubles(card.index), self._xids.get(card.pci_bus_id or ""))
            for card in sorted(self._cards, key=lambda card: -1 if card.index is None else card.index)
            if card.index is not None
        ]
        for card in self._cards:
            if card.index is None:
                _insert(gpus, self._gone(card, now))
        if unlisted is not None:
            known = {card.pci_bus_id for card in self._cards}
            for bus_id in self._on_bus:
                if bus_id not in known:
                    _insert(gpus, self._only_on_bus(bus_id, unlisted, now))
        return tuple(gpus)

    def _gone(self, card: Card, now: float) -> Gpu:
        where = "on the PCI bus, not in the driver" if card.pci_bus_id in self._on_bus else "gone from the PCI bus"
        if not card.is_lost:
            card.take(GpuSaid(index=-1, lost=Answer(at=now, status=Status.LOST, reason=where)))
        gpu = card.read(now, 0.0, None, self._xids.get(card.pci_bus_id or ""))
        return msgspec.structs.replace(gpu, reason=where)

    def _only_on_bus(self, bus_id: str, trouble: Trouble, now: float) -> Gpu:
        xid = self._xids.get(bus_id)
        return Gpu(
            pci_bus_id=bus_id,
            status=trouble.status,
            reason=trouble.reason,
            processes_status=trouble.status,
            xid_last=None if xid is None else xid.code,
            xid_last_age_s=None if xid is None else max(0.0, now - xid.at),
        )


def _insert(gpus: list[Gpu], gpu: Gpu) -> None:
    """Put it at its place on the bus: before the first that comes after it there."""
    for place, other in enumerate(gpus):
        if gpu.pci_bus_id and other.pci_bus_id and other.pci_bus_id > gpu.pci_bus_id:
            gpus.insert(place, gpu)
            return
    gpus.append(gpu)
