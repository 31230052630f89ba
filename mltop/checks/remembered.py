"""What one run leaves for the next one, as it is stored. Every part is bounded; what is not there was never seen."""

# no `from __future__ import annotations`: of texts msgspec has to make types, one by one, whenever mltop starts

import msgspec

from mltop.model.finding import Level
from mltop.model.host_facts import KernelEvent
from mltop.model.verdict import State

VERSION = 1


class Found(msgspec.Struct, array_like=True):
    """What a check said of a target."""

    state: State
    since: float
    """When that began, in seconds since 1970."""


class Held(msgspec.Struct, array_like=True, omit_defaults=True):
    """The level of one check of one target, for hysteresis and `for`."""

    level: Level
    since: float | None = None
    """Since which moment it would be a WARNING but has not lasted yet."""
    is_of_boot: bool = False
    """Whether another boot begins anew: what a check noted by itself, not by a limit."""


class KnownGpu(msgspec.Struct, omit_defaults=True):
    """A GPU that was here."""

    uuid: str | None = None
    pci_bus_id: str | None = None
    index: int | None = None
    name: str | None = None
    seen: float = 0.0
    """When it was last seen, in seconds since 1970."""
    gone: float | None = None
    """Since when it is not there any more."""


class Remembered(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All of it, by check and then by target. Moments are seconds since the boot, times are seconds since 1970."""

    version: int = VERSION
    time: float = 0.0
    """Of the last judgement."""
    moment: float = 0.0
    boot_id: str | None = None
    host: str = ""
    """Of which host name: a home on the network, or an image with a state in it, has that of other boxes."""
    box: str = ""
    """Where /proc and /sys were, if elsewhere: what was seen there is of another box."""
    life: str | None = None
    """Which life of a container it was: one that is started anew may be given other GPUs."""
    found: dict[str, dict[str, Found]] = {}
    held: dict[str, dict[str, Held]] = {}
    counters: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    """By a counter's name: moments and values, the oldest first."""
    gpus: list[KnownGpu] = []
    xids: dict[str, dict[int, int]] = {}
    """How often each Xid came, by bus id and code, over all boots."""
    xids_at: float = -1.0
    """The moment of the last one that is counted, in this boot."""
    most_gpus: int = 0
    """The most that the driver ever listed."""
    space: dict[str, list[tuple[float, float]]] = {}
    """By mount: times and available bytes, the oldest first."""
    sizes: dict[str, int] = {}
    """By mount: how large the file system was when that was noted, in bytes."""
    events: list[KernelEvent] = []
    """The last of each kind of trouble of each device that the kernel's log told of in this boot."""
