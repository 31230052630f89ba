"""Where a GPU that was here may be without being lost: with another driver, or in another life of this container."""

from __future__ import annotations

from mltop.sampling.gpu.pci import nvidia_cards
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes


def bound_elsewhere(roots: Roots) -> frozenset[str]:
    """Bus ids of the cards that were given to a virtual machine or to a driver without NVML (D13)."""
    return frozenset(card.bus_id for card in nvidia_cards(roots) or () if not card.is_for_nvml)


def life(roots: Roots) -> str | None:
    """A word that is another one in each life of a container: when its first process began, in ticks since the boot.

    Source: field 22 of proc_pid_stat(5). `None` where it cannot be read.
    """
    try:
        line = read_bytes(roots.proc / "1" / "stat")
        return line[line.rindex(b")") + 2 :].split()[19].decode()
    except (OSError, ValueError, IndexError):
        return None
