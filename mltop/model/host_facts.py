"""What a verdict knows of the host beside the snapshot; each group says for itself why it has no value.

A group that was not asked for is `None` in `HostFacts`. Groups are read in a child that can be abandoned and come over
msgpack, so what a group holds is what its types say, whatever the files held.
"""

# no `from __future__ import annotations`: of texts msgspec has to make types, one by one, whenever mltop starts

from collections.abc import Mapping
from typing import Literal

import msgspec

from mltop.model.snapshot import Reading

EventKind = Literal[
    "xid",
    "oom",
    "readonly",
    "io-error",
    "reset",
    "lost",
    "shut-down",
    "array-failed",
    "memory-corrected",
    "memory-uncorrected",
]
"""What a record of the kernel log tells; the records are those of `sampling.host.kernel_record`."""


class KernelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the kernel log that means trouble."""

    kind: EventKind
    subject: str
    """What it is about: a device (`nvme0`, `sda1`, `md0`), a GPU's bus id, the process that was killed."""
    at_s: float
    """Seconds of the kernel's clock since the boot."""
    age_s: float
    text: str
    """The message, cleaned."""
    code: int | None = None
    """An Xid's number."""
    unit: str | None = None
    """The systemd unit of a process that was killed."""


class KernelEvents(Reading, frozen=True, kw_only=True):
    """What the kernel reported within a day of this boot, oldest first."""

    events: tuple[KernelEvent, ...] = ()
    last_s: float | None = None
    """When its last record was written, in seconds since the boot: the cursor."""


class Stall(Reading, frozen=True, kw_only=True):
    """Percent of a window in which some, or all, tasks waited for one resource; `None`: the kernel has no such line."""

    some_avg10: float | None = None
    some_avg60: float | None = None
    some_avg300: float | None = None
    full_avg10: float | None = None
    full_avg60: float | None = None
    full_avg300: float | None = None


class OomKills(Reading, frozen=True, kw_only=True):
    """Processes that were killed for want of memory, since the boot."""

    kills: int | None = None
    is_of_group: bool = False
    """Counted by this process's control group, as in a container, and not by the kernel."""


class Swapping(Reading, frozen=True, kw_only=True):
    """What was taken back from swap, since the boot."""

    pages_in: int | None = None


class MemoryGroup(Reading, frozen=True, kw_only=True):
    """The control group that leaves this process the least memory."""

    limit_bytes: int | None = None
    used_bytes: int | None = None
    """Without the file cache that can be dropped at once (`inactive_file`)."""


class MemoryController(msgspec.Struct, frozen=True, kw_only=True):
    """One memory controller that counts its errors."""

    name: str
    corrected: int | None
    uncorrected: int | None
    """`None`: there is a count, and it cannot be read."""


class Edac(Reading, frozen=True, kw_only=True):
    """Error counts of the host's memory since its driver was loaded."""

    controllers: tuple[MemoryController, ...] = ()


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A process in uninterruptible sleep (state D)."""

    pid: int
    name: str
    start_ticks: int
    cpu_ticks: int
    """Its time on a CPU so far: one that really stands still has no more of it later."""
    is_of_gpu: bool
    """It is the driver's own, or has a device of the driver open."""


class Tasks(Reading, frozen=True, kw_only=True):
    """The processes as far as a verdict looks at them."""

    total: int = 0
    most: int | None = None
    """Pids that there can be (`kernel.pid_max`)."""
    waiting: tuple[Waiting, ...] = ()
    zombies: int = 0
    worst_parent: str | None = None
    """The process with the most zombies, `name (pid)`."""
    time_service: str | None = None
    """The program that keeps the clock, where one runs."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the kernel has only so many of."""

    name: str
    used: int
    most: int


class Handles(Reading, frozen=True, kw_only=True):
    """Open files of the whole system."""

    files: Pool | None = None


class Pids(Reading, frozen=True, kw_only=True):
    """Processes and threads, of the system and of the control groups above this process."""

    pools: tuple[Pool, ...] = ()


class Clock(Reading, frozen=True, kw_only=True):
    """What the kernel knows of the clock's being kept (adjtimex(2))."""

    is_synchronised: bool | None = None
    offset_s: float | None = None
    max_error_s: float | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One network port; counters are since the driver was loaded."""

    name: str
    """An interface (`eth0`), or a port of an InfiniBand adapter (`mlx5_0/1`)."""
    is_enabled: bool
    """Somebody wants it up."""
    is_up: bool | None = None
    """`None`: it is enabled and does not tell, or it is not, and cannot tell."""
    state: str = ""
    """In the kernel's word: `up`, `down`, `ACTIVE`, `INIT`."""
    losses: int | None = None
    """How often the link was lost."""
    packets: int | None = None
    errors: int | None = None
    rate_mbit: int | None = None


class Links(Reading, frozen=True, kw_only=True):
    """The real network ports."""

    links: tuple[Link, ...] = ()


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One temperature of a processor, in C, and what the chip itself calls too much."""

    name: str
    celsius: float
    high: float | None = None
    critical: float | None = None


class Thermal(Reading, frozen=True, kw_only=True):
    """Temperatures of the processors, and how often they slowed themselves down."""

    sensors: tuple[Sensor, ...] = ()
    throttle_ms: int | None = None
    """The time for which the worst core or package was slowed down, since the boot."""
    throttle_count: int | None = None


class TableMount(msgspec.Struct, frozen=True, kw_only=True):
    """One line of fstab that is to be mounted."""

    path: str
    is_mounted: bool
    is_readonly: bool
    """The table wants it read-only."""
    is_optional: bool = False
    """`nofail`."""
    may_be_absent: bool = False
    """`nofail`, and its device is not there."""


class ReadonlyMount(msgspec.Struct, frozen=True, kw_only=True):
    """A mount that cannot be written."""

    path: str
    device: str
    """The name of its block device, as the kernel log has it: `nvme0n1p2`."""
    is_by_kernel: bool
    """It was mounted to be written, and the file system has shut that off by itself."""


class MountTable(Reading, frozen=True, kw_only=True):
    """What should be mounted, and what is read-only."""

    expected: tuple[TableMount, ...] = ()
    readonly: tuple[ReadonlyMount, ...] = ()
    devices: Mapping[str, str] = {}
    """The path at which each block device (`nvme0n1p2`, as the kernel log names it) is mounted."""


class Drive(Reading, frozen=True, kw_only=True):
    """What one drive says of its own health."""

    name: str = ""
    model: str = ""
    is_passed: bool | None = None
    temperature_c: float | None = None
    used_percent: float | None = None
    """Of its rated life."""
    spare_percent: float | None = None
    spare_least_percent: float | None = None
    critical_warning: int | None = None
    pending_sectors: int | None = None
    failing_attributes: tuple[str, ...] = ()


class Smart(Reading, frozen=True, kw_only=True):
    """The drives' own health."""

    drives: tuple[Drive, ...] = ()


class SharedMemory(Reading, frozen=True, kw_only=True):
    """`/dev/shm` of a container in which a process holds a GPU."""

    container: str = ""
    pid: int = 0
    used_percent: float | None = None
    total_bytes: int | None = None
    available_bytes: int | None = None


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `None` is what nobody asked for."""

    kernel_log: KernelEvents | None = None
    cpu_stall: Stall | None = None
    memory_stall: Stall | None = None
    io_stall: Stall | None = None
    oom: OomKills | None = None
    memory_group: MemoryGroup | None = None
    swapping: Swapping | None = None
    edac: Edac | None = None
    tasks: Tasks | None = None
    handles: Handles | None = None
    pids: Pids | None = None
    clock: Clock | None = None
    links: Links | None = None
    thermal: Thermal | None = None
    mount_table: MountTable | None = None
    smart: Smart | None = None
    shared_memory: tuple[SharedMemory, ...] = ()
