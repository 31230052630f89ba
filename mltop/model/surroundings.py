"""What a verdict has to know of the box beside the snapshot, whose keys are fixed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mltop.model.gpu_facts import GpuFacts
from mltop.model.host_facts import HostFacts
from mltop.model.job_facts import JobsFacts
from mltop.model.service import ServiceAnswer
from mltop.model.snapshot import Status

NOT_IN_TIME = "not read in time"
"""The reason of a gap that is there for want of time."""


class Gap(msgspec.Struct, frozen=True):
    """Why one fact of a GPU is not told, though the card may have it."""

    status: Status
    reason: str


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one look at the box."""

    mounts: frozenset[str] | None = None
    """Every path that something is mounted on, shown or not; `None` where that could not be read."""
    stuck_before: frozenset[str] = frozenset()
    """Mounts that did not answer an earlier run either."""
    is_container: bool = False
    has_device_nodes: bool = True
    """Whether there is a node of the NVIDIA driver in /dev."""
    kernel_log: str | None = None
    """Why the kernel log cannot be read; `None` where it can."""
    driver_s: float | None = None
    """How long the driver took to answer for all GPUs, in seconds; `None` where it has not answered for all."""
    waited_s: float = 0.0
    """How long it was given for that, in seconds."""
    gaps: Mapping[str, Mapping[str, Gap]] = {}
    """By a GPU's uuid or bus id, and by the fact of `sampling.answer`: what it did not tell, and why."""
    gpus: Mapping[str, GpuFacts] = {}
    """What the GPUs were asked for beside the snapshot, by uuid or bus id."""
    host: HostFacts | None = None
    """What was read of the host beside the snapshot; `None` where nobody could."""
    services: tuple[ServiceAnswer, ...] = ()
    """What the services answered that were asked."""
    jobs: JobsFacts | None = None
    """What became of the box's own jobs; `None` where none ever ran, or nobody looked."""
