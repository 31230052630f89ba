"""The snapshot: one moment of one box, as it goes over the wire (`mltop.snapshot/1`).

The keys are a public contract. A number that is not known is `None`, never 0; every group that can fail says so in
`status`, in words in `reason`, and `age_s` is how old the shown values are (`None`: there are none, 0.0: just read).
All keys are present in every state, and every key has a default, so that a snapshot of another minor version decodes.
"""

# no `from __future__ import annotations`: of texts msgspec has to make types, one by one, whenever mltop starts

from enum import StrEnum

import msgspec

SCHEMA = "mltop.snapshot/1"


class Status(StrEnum):
    """Why a group's values are there, or are not."""

    OK = "ok"
    STALE = "stale"
    UNSUPPORTED = "unsupported"
    NO_PERMISSION = "no-permission"
    TIMEOUT = "timeout"
    LOST = "lost"
    ERROR = "error"
    ABSENT = "absent"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What every group that can fail has in common."""

    status: Status = Status.OK
    reason: str | None = None
    age_s: float | None = None
    """Seconds since the group's fast values were read (D5); `None` when nothing was ever read."""


class Cpu(Reading, frozen=True, kw_only=True):
    """All processors together. Percent are of all CPUs (100: all busy) and `None` in the first snapshot of a stream."""

    model: str | None = None
    count: int | None = None
    usage_percent: float | None = None
    per_core_percent: tuple[float, ...] = ()
    load: tuple[float, ...] = ()
    frequency_mhz: float | None = None
    temperature_c: float | None = None
    iowait_percent: float | None = None
    psi_some_avg10: float | None = None
    throttled: bool | None = None


class Memory(Reading, frozen=True, kw_only=True):
    """Memory of the host; `used_bytes` is without reclaimable cache and without ZFS ARC above its minimum."""

    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    cached_bytes: int | None = None
    arc_bytes: int | None = None
    huge_pages_bytes: int | None = None
    """Set aside for huge pages, whether they are used or not: no other memory is had from there."""
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    psi_some_avg10: float | None = None
    psi_full_avg10: float | None = None
    limit_bytes: int | None = None
    """The cgroup's limit, where it is lower than the host's total; else `None`."""


class Disk(Reading, frozen=True, kw_only=True):
    """One mounted file system; `used_percent` is used / (used + available), as `df` has it."""

    mount: str = ""
    device: str | None = None
    fstype: str | None = None
    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    used_percent: float | None = None
    inodes_used_percent: float | None = None
    read_bytes_per_s: float | None = None
    write_bytes_per_s: float | None = None
    is_readonly: bool | None = None
    is_network: bool | None = None
    pinned_by: tuple[str, ...] = ()


class Driver(Reading, frozen=True, kw_only=True):
    """The NVIDIA driver (D13): `absent` means that the box has no NVIDIA device at all."""

    status: Status = Status.ABSENT
    version: str | None = None
    nvml_version: str | None = None
    cuda_version: str | None = None
    gpu_count: int | None = None
    """What NVML counts."""
    pci_count: int | None = None
    """NVIDIA display functions on the PCI bus."""
    expected_count: int | None = None
    """`expect.gpus` of the config."""


class Mig(Reading, frozen=True, kw_only=True):
    """One MIG instance."""

    uuid: str | None = None
    profile: str | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that the driver lists on one GPU.

    `status` is `ok`, or `absent` where the pid is not of this pid namespace ("other container"), or `lost` for the last
    known processes of a lost GPU.
    """

    pid: int | None = None
    name: str | None = None
    command: str | None = None
    user: str | None = None
    container: str | None = None
    gpu_memory_bytes: int | None = None
    sm_percent: float | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    running_s: float | None = None
    started_at: str | None = None
    status: Status = Status.OK


class Gpu(Reading, frozen=True, kw_only=True):
    """One GPU. Identity is the uuid, else the bus id (D12); `index` is NVML's, `None` for a card only sysfs lists."""

    index: int | None = None
    uuid: str | None = None
    name: str | None = None
    pci_bus_id: str | None = None
    """As sysfs writes it: `0000:1b:00.0`."""
    temperature_c: int | None = None
    temperature_memory_c: int | None = None
    temperature_slowdown_c: int | None = None
    temperature_shutdown_c: int | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    """As nvidia-smi's `memory.used`: without the reserved part."""
    memory_reserved_bytes: int | None = None
    memory_is_unified: bool | None = None
    utilization_percent: int | None = None
    memory_utilization_percent: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_sm_mhz: int | None = None
    clock_memory_mhz: int | None = None
    fan_percent: int | None = None
    performance_state: str | None = None
    clock_event_reasons: tuple[str, ...] = ()
    """Names of the active bits, e.g. `sw-power-cap`, `hw-thermal-slowdown`; idle is `gpu-idle`."""
    ecc_uncorrected_volatile: int | None = None
    ecc_uncorrected_aggregate: int | None = None
    ecc_corrected_volatile: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    retired_pages: int | None = None
    pcie_generation: int | None = None
    pcie_generation_max: int | None = None
    pcie_width: int | None = None
    pcie_width_max: int | None = None
    nvlinks_active: int | None = None
    nvlinks_total: int | None = None
    persistence_mode: bool | None = None
    mig_mode: bool | None = None
    xid_last: int | None = None
    xid_last_age_s: float | None = None
    unattributed_bytes: int | None = None
    """Used memory minus the sum of the processes' (`None` where either is not known), never negative."""
    idle_held_s: float | None = None
    """How long the GPU has held over 10 % of its memory at 0 % utilisation; `None` while it does not."""
    pcie_receive_bytes_per_s: float | None = None
    pcie_transmit_bytes_per_s: float | None = None
    mig: tuple[Mig, ...] = ()
    processes: tuple[GpuProcess, ...] = ()
    processes_status: Status = Status.OK


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the host; `cpu_percent` is of one CPU (htop's meaning) and `None` at first sight."""

    pid: int
    ppid: int | None = None
    name: str | None = None
    command: str | None = None
    user: str | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    state: str | None = None
    """One letter of `/proc/PID/stat`: R, S, D, Z, T, I …"""
    running_s: float | None = None
    started_at: str | None = None
    gpus: tuple[int, ...] = ()


class Processes(Reading, frozen=True, kw_only=True):
    """Counts over all processes, and at most 200 of them: those with a GPU first, then by the order asked for (D7)."""

    total: int | None = None
    running: int | None = None
    blocked: int | None = None
    """In state D."""
    zombies: int | None = None
    top: tuple[Process, ...] = ()


class Network(Reading, frozen=True, kw_only=True):
    """One interface; rates are `None` in the first snapshot of a stream."""

    interface: str = ""
    receive_bytes_per_s: float | None = None
    transmit_bytes_per_s: float | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of one box."""

    schema: str = SCHEMA
    host: str = ""
    boot_id: str | None = None
    time: str = ""
    """RFC 3339 in UTC with `Z`."""
    interval_s: float | None = None
    """The interval of the stream; `None` for `--once`."""
    uptime_s: float | None = None
    version: str = ""
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disks: tuple[Disk, ...] = ()
    driver: Driver = Driver()
    gpus: tuple[Gpu, ...] = ()
    processes: Processes = Processes()
    network: tuple[Network, ...] = ()
