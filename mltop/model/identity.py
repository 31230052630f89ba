"""What a GPU is called: by identity in records (D12), by index for a reader."""

from __future__ import annotations

from mltop.model.snapshot import Gpu


def identity(uuid: str | None, pci_bus_id: str | None, index: int | None) -> str:
    """The uuid, else the bus id, else the index: stays with the card when another is lost."""
    return uuid or pci_bus_id or f"index:{index}"


def gpu_identity(gpu: Gpu) -> str:
    """The `identity` of a GPU."""
    return identity(gpu.uuid, gpu.pci_bus_id, gpu.index)


def gpu_label(gpu: Gpu) -> str:
    """For a reader: `GPU 3`, or the bus id of a card that the driver does not list."""
    return f"GPU {gpu.index if gpu.index is not None else gpu.pci_bus_id or '?'}"
