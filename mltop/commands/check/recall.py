"""What the last run knew, brought to what this one found."""

from __future__ import annotations

import time

import msgspec

from mltop.checks.fact import DAY_S
from mltop.checks.memory import Memory
from mltop.model.host_facts import KernelEvent, KernelEvents
from mltop.model.snapshot import Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.sampling.root import Roots

_BAD = ("WARNING", "CRITICAL")
_MOST_EVENTS = 100


def recalled(memory: Memory, snapshot: Snapshot, surroundings: Surroundings) -> Surroundings:
    """What this run found, with the mounts that hung in the last one, and what the kernel's log has lost since.

    GPUs that are not missed are forgotten.
    """
    memory.belong(snapshot.host, snapshot.boot_id)
    if snapshot.gpus or memory.kept.gpus:
        _forget_gpus(memory, snapshot, is_container=surroundings.is_container)
    stuck = {mount for mount, found in memory.last("disk.mount_stuck").items() if found.state in _BAD}
    here = surroundings.host
    if here is not None and here.kernel_log is not None and here.kernel_log.status is Status.OK:
        log = _with_lost_events(memory, here.kernel_log, snapshot.boot_id, time.monotonic())
        here = msgspec.structs.replace(here, kernel_log=log)
    return msgspec.structs.replace(surroundings, host=here, stuck_before=surroundings.stuck_before | stuck)


def _with_lost_events(memory: Memory, log: KernelEvents, boot_id: str | None, now: float) -> KernelEvents:
    """The log, and before it what an earlier run of this boot has seen: the kernel's ring keeps a noisy hour or so.

    Nothing got well because its record was overwritten.
    """
    known = {_what(one): one for one in memory.kept.events if boot_id is not None and boot_id == memory.last_boot_id}
    latest = {_what(one): one for one in sorted(log.events, key=lambda one: one.at_s)}
    lost = [
        msgspec.structs.replace(one, age_s=now - one.at_s)
        for what, one in known.items()
        if what not in latest and 0 <= now - one.at_s <= DAY_S
    ]
    newest = sorted([*lost, *latest.values()], key=lambda one: one.at_s)[-_MOST_EVENTS:]
    memory.kept.events = newest
    if not lost:
        return log
    return msgspec.structs.replace(log, events=tuple(sorted([*lost, *log.events], key=lambda one: one.at_s)))


def _what(one: KernelEvent) -> tuple[str, str, int | None]:
    return one.kind, one.subject, one.code


def _forget_gpus(memory: Memory, snapshot: Snapshot, *, is_container: bool) -> None:
    """Miss no GPU that another life of this container had, or that was given to another driver."""
    from mltop.sampling.gpu.elsewhere import bound_elsewhere, life

    kept, roots = memory.kept, Roots.from_environment()
    if is_container and (now := life(roots)) != kept.life:
        kept.gpus, kept.most_gpus, kept.life = [], 0, now
    listed = {gpu.pci_bus_id for gpu in snapshot.gpus}
    if any(one.pci_bus_id not in listed for one in kept.gpus):
        elsewhere = bound_elsewhere(roots)
        known = [one for one in kept.gpus if one.pci_bus_id not in elsewhere]
        if len(known) < len(kept.gpus):
            kept.gpus, kept.most_gpus = known, 0
