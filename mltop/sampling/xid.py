"""A report of the NVIDIA driver in the kernel log."""

from __future__ import annotations

import msgspec


class Xid(msgspec.Struct, frozen=True):
    """One report."""

    pci_bus_id: str
    code: int
    at: float
    """Seconds of the kernel log's clock, which is that of `time.monotonic()` but for drift."""
