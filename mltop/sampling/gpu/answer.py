"""What the GPU probe and its owner say to each other: JSON lines over two pipes.

A *fact* is what one or a few NVML calls tell of one GPU. Its values carry the names of the snapshot's keys.
"""

# no `from __future__ import annotations`: of texts msgspec has to make types, one by one, whenever mltop starts

import math
from typing import Any

import msgspec

from mltop.model.snapshot import Status
from mltop.sampling.xid import Xid

ONCE = math.inf
"""The cadence of what never changes."""

FAST = ("temperature", "memory", "utilization", "power", "compute")
"""Facts of every refresh; a group's age is theirs (D5)."""

SLOW_CADENCE_S = {
    "thresholds": ONCE,
    "pcie_max": ONCE,
    "mig_mode": 30.0,
    "mig_layout": 30.0,
    "mig": 10.0,
    "clocks": 10.0,
    "event_reasons": 10.0,
    "performance": 10.0,
    "graphics": 10.0,
    "shares": 10.0,
    "memory_temperature": 10.0,
    "fan": 10.0,
    "nvlinks": 10.0,
    "mps": 30.0,
    "power_limit": 30.0,
    "margin": 30.0,
    "ecc": 30.0,
    "remap": 30.0,
    "retired": 30.0,
    "pcie_link": 30.0,
    "persistence": 30.0,
}
"""Seconds between two readings of the others, in the order in which they are first asked (D6, M29)."""

FOR_VERDICT = (
    "recovery",
    "vbios",
    "power_default",
    "memory_threshold",
    "ecc_mode",
    "ecc_places",
    "sram",
    "retired_pending",
    "pcie_replay",
    "fabric",
    "slowed_down",
    "nvlink_errors",
)
"""Facts that are asked once, after all others, and only where a verdict wants them: not on any screen (D6)."""

WHOLE_ROUND_S = {"nvlinks": 60.0}
"""Facts read piece by piece: how long a round over all pieces takes."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact: its values, or why there are none, or both where a part of it was not credible."""

    at: float
    """`time.monotonic()` of the reading."""
    values: dict[str, Any] = {}
    status: Status = Status.OK
    reason: str | None = None


class GpuSaid(msgspec.Struct, frozen=True, omit_defaults=True, tag="gpu"):
    """Facts of one GPU, as soon as they were read."""

    index: int
    answers: dict[str, Answer] = {}
    lost: Answer | None = None
    """Set where the driver lost the GPU, or has no handle of it; `status` and `reason` say which."""
    is_fast: bool = False
    """Whether this is the GPU's fast pass, which a refresh has once."""


class DriverSaid(msgspec.Struct, frozen=True, omit_defaults=True, tag="driver"):
    """The state of the driver; sent at each start of NVML and when it fails."""

    status: Status
    reason: str | None = None
    version: str | None = None
    nvml_version: str | None = None
    cuda_version: str | None = None
    gpu_count: int | None = None
    generation: int = 0
    """Counts the starts of NVML: the indices of two generations may name different cards."""


class XidSaid(msgspec.Struct, frozen=True, tag="xid"):
    """New reports of the driver in the kernel log."""

    xids: tuple[Xid, ...]


class RefreshDone(msgspec.Struct, frozen=True, tag="done"):
    """The request of this number is answered whole."""

    number: int


class ProbeFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The probe's last words: a fault of its own, not of the driver."""

    reason: str


Said = GpuSaid | DriverSaid | XidSaid | RefreshDone | ProbeFailed


class Refresh(msgspec.Struct, frozen=True, omit_defaults=True):
    """Ask for a refresh."""

    number: int
    pcie: bool = False
    for_verdict: bool = False
    """Whether `FOR_VERDICT` is wanted, too."""
    skip: tuple[int, ...] = ()
    """GPUs that did not answer the last time and are left alone for now."""
    last: tuple[int, ...] = ()
    """GPUs to read after all others, because they did not answer the last time."""


def overdue_s(fact: str, interval_s: float) -> float:
    """The age in seconds from which a fact's values are too old to be shown: 3 of its own cadence (D5)."""
    cadence = WHOLE_ROUND_S.get(fact) or SLOW_CADENCE_S.get(fact, 0.0)
    return 3 * max(cadence, interval_s)
