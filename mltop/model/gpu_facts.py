"""What only a verdict asks a GPU for: too seldom of use to be read at each refresh, and no key of the snapshot."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

NEEDS_RESET = "needs a reset (nvidia-smi --gpu-reset)"
INFOROM_CORRUPTED = "the card's InfoROM is corrupted"
"""What a driver answers of a GPU on which no work can be placed; a GPU's reason has these words then."""


class GpuFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one GPU; `None` is not known, or not of this card."""

    recovery_action: int | None = None
    """nvmlDeviceGpuRecoveryAction_t: 0 none, 1 reset, 2 reboot, 3 drain peer-to-peer traffic, and newer ones."""
    vbios: str | None = None
    power_default_w: float | None = None
    """The power limit that it came with, in W."""
    temperature_memory_max_c: int | None = None
    """Above this its memory is out of its specification, in C."""
    ecc_mode: bool | None = None
    ecc_pending: bool | None = None
    """The mode after the next reset."""
    ecc_corrected_dram: int | None = None
    """Since the driver was loaded, as the next one."""
    ecc_corrected_sram: int | None = None
    sram_above_threshold: bool | None = None
    """Whether it has had more uncorrected errors in its SRAM than its maker allows."""
    remap_uncorrectable: int | None = None
    """Rows remapped for an uncorrectable error, in its life."""
    retired_double_bit: int | None = None
    """Pages retired for a double-bit error, in its life."""
    retired_pending: bool | None = None
    """Whether a page is retired at the next reset."""
    pcie_replays: int | None = None
    """Since the driver was loaded."""
    fabric_state: int | None = None
    """nvmlGpuFabricState_t: 0 not of this card, 1 not started, 2 in progress, 3 completed."""
    fabric_status: int | None = None
    """nvmlReturn_t of a completed registration."""
    fabric_health: int | None = None
    """The mask of nvmlGpuFabricInfo_v2_t; 0 where this driver does not tell it."""
    has_event_reasons: bool | None = None
    """Whether it tells what holds its clocks down."""
    slowed_down_s: Mapping[str, float] | None = None
    """Seconds since the driver was loaded, by `thermal`, `sw-thermal`, `hw-thermal`, `hw-power-brake`; all are parts
    of the first but the last."""
    nvlink_errors: Mapping[str, int] | None = None
    """Of all links since the driver was loaded: `crc`, `replay`, `recovery`."""
