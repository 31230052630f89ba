"""GPUs that were here before: one that is listed no more is gone, until it is back or is not expected any longer.

A card stays known by its uuid, else by its bus id, over runs and boots. It is forgotten where another card is in its
slot, where the box has as many as the config expects (`expect.gpus`), or where all that are listed are others;
`sampling` knows of cards that were given to another driver, and of containers that are started anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mltop.checks.case import Case, judgement
from mltop.checks.judgement import Judgement
from mltop.checks.memory import rfc3339, seconds
from mltop.checks.remembered import KnownGpu
from mltop.model.finding import Level
from mltop.model.snapshot import Gpu, Snapshot, Status

_MOST = 256


def named(case: Case, gpu: Gpu) -> Gpu:
    """A lost GPU with what is known of it from before: the bus alone has no uuid."""
    known = next((one for one in _known(case) if _is_it(one, gpu)), None)
    if known is None:
        return gpu
    return msgspec.structs.replace(
        gpu,
        uuid=gpu.uuid or known.uuid,
        pci_bus_id=gpu.pci_bus_id or known.pci_bus_id,
        index=known.index if gpu.index is None else gpu.index,
        name=gpu.name or known.name,
    )


def gone(case: Case) -> Iterator[Judgement]:
    """`gpu.count` of each GPU that was here and is not listed; and note those that are here."""
    if case.memory is None:
        return
    snapshot, known = case.snapshot, case.memory.kept.gpus
    is_whole = _is_whole(snapshot)
    kept = [] if _are_strangers(known, snapshot) else [one for one in known if not _is_forgotten(one, snapshot)]
    missing = []
    for one in kept:
        row = next((gpu for gpu in snapshot.gpus if _is_it(one, gpu)), None)
        if row is not None:
            one.gone = None
        elif is_whole or one.gone is not None:
            one.gone = one.gone or one.seen
            missing.append(one)
    if is_whole:
        case.memory.kept.gpus = _noted(kept, snapshot)
    if snapshot.driver.status is Status.OK:
        case.memory.kept.most_gpus = _most(case, len(kept) < len(known))
    for one in missing:
        yield _gone(one)


def compared(case: Case, count: Judgement) -> Judgement:
    """The count of GPUs, against the most that were ever here: fewer, of which none can be named, is a WARNING."""
    seen, most = count.value, 0 if case.memory is None else case.memory.kept.most_gpus
    if count.level is not Level.OK or seen is None or seen >= most or any(one.gone for one in _known(case)):
        return count
    action = "if that is meant so, set expect.gpus"
    summary = f"{seen:.0f} GPUs, there were {most}"
    return msgspec.structs.replace(count, level=Level.WARNING, summary=summary, action=action, reason="count")


def _known(case: Case) -> list[KnownGpu]:
    return [] if case.memory is None else case.memory.kept.gpus


def _is_it(known: KnownGpu, gpu: Gpu) -> bool:
    if known.uuid and gpu.uuid:
        return known.uuid == gpu.uuid
    return bool(known.pci_bus_id) and known.pci_bus_id == gpu.pci_bus_id


def _is_whole(snapshot: Snapshot) -> bool:
    """Whether what is not listed is not there: the driver has told of all its GPUs, or there is nothing to drive."""
    driver = snapshot.driver
    if driver.status is Status.ABSENT:
        return True
    told = [gpu for gpu in snapshot.gpus if gpu.index is not None and (gpu.uuid or gpu.pci_bus_id)]
    return driver.status is Status.OK and driver.gpu_count is not None and len(told) >= driver.gpu_count


def _are_strangers(known: list[KnownGpu], snapshot: Snapshot) -> bool:
    """Whether there are GPUs and none is known: a virtual machine that began on another host, a disk in another box."""
    is_any = any(gpu.status is not Status.LOST for gpu in snapshot.gpus)
    return is_any and _is_whole(snapshot) and not any(_is_it(one, gpu) for one in known for gpu in snapshot.gpus)


def _is_forgotten(known: KnownGpu, snapshot: Snapshot) -> bool:
    """Whether a card that is not listed is not missed: another is in its slot, or there are as many as expected."""
    if any(_is_it(known, gpu) for gpu in snapshot.gpus):
        return False
    here = [gpu for gpu in snapshot.gpus if gpu.status is not Status.LOST]
    lost, driver = len(snapshot.gpus) - len(here), snapshot.driver
    if any(known.pci_bus_id and known.pci_bus_id == gpu.pci_bus_id for gpu in here):
        return True
    seen = {Status.OK: driver.gpu_count, Status.ABSENT: 0}.get(driver.status)
    return None not in (seen, driver.expected_count) and (seen or 0) - lost >= (driver.expected_count or 0)


def _noted(known: list[KnownGpu], snapshot: Snapshot) -> list[KnownGpu]:
    """The GPUs that are known now; one that is lost at first sight was never here."""
    now = seconds(snapshot.time)
    for gpu in snapshot.gpus:
        if gpu.status is Status.LOST or not (gpu.uuid or gpu.pci_bus_id):
            continue
        one = next((one for one in known if _is_it(one, gpu)), None)
        if one is None:
            one = KnownGpu()
            known.append(one)
        one.uuid, one.pci_bus_id = gpu.uuid or one.uuid, gpu.pci_bus_id or one.pci_bus_id
        one.name = gpu.name or one.name
        if gpu.index is not None:
            one.index = gpu.index
        one.seen = now
    return known[-_MOST:]


def _most(case: Case, is_forgotten: bool) -> int:
    """The most GPUs at a time, begun anew where the config or another card explains a change."""
    driver, memory = case.snapshot.driver, case.memory
    seen = driver.gpu_count or 0
    if memory is None or is_forgotten or (driver.expected_count is not None and seen >= driver.expected_count):
        return seen
    return max(seen, memory.kept.most_gpus)


def _gone(known: KnownGpu) -> Judgement:
    name = f"GPU {known.index if known.index is not None else known.pci_bus_id or known.uuid}"
    ids = ", ".join(one for one in (known.uuid, known.pci_bus_id) if one)
    action = "reboot or reseat it; if it was taken out, set expect.gpus"
    data = {"uuid": known.uuid, "pci_bus_id": known.pci_bus_id, "name": known.name}
    return judgement(
        "gpu.count",
        Level.CRITICAL,
        f"gone, last seen {rfc3339(known.seen)}: {ids}",
        action,
        target=known.uuid or known.pci_bus_id or "",
        name=name,
        reason="gone",
        data=data,
    )
