"""What the last run knew, brought to what this one found."""

from __future__ import annotations

import msgspec

from mltop.checks.memory import Memory
from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings
from mltop.sampling.root import Roots

_BAD = ("WARNING", "CRITICAL")


def recalled(memory: Memory, snapshot: Snapshot, surroundings: Surroundings) -> Surroundings:
    """What this run found, with the mounts that hung in the last one; GPUs that are not missed are forgotten."""
    if snapshot.gpus or memory.kept.gpus:
        _forget_gpus(memory, snapshot, is_container=surroundings.is_container)
    stuck = {mount for mount, found in memory.last("disk.mount_stuck").items() if found.state in _BAD}
    return msgspec.structs.replace(surroundings, stuck_before=surroundings.stuck_before | stuck)


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
