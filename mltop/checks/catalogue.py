"""The checks: one table of ids, families and what they read. Ids are a public contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from mltop.checks import disk, gpu, host, job, kernel, own
from mltop.checks.case import Case
from mltop.checks.judgement import Judgement
from mltop.checks.service.judge import services


class Check(msgspec.Struct, frozen=True):
    """One check."""

    id: str
    family: str
    reads: str
    """What it looks at, in words."""


CATALOGUE: tuple[Check, ...] = (
    Check("gpu.driver", "gpu", "whether the driver can be used"),
    Check("gpu.count", "gpu", "GPUs against the PCI bus and the config; a lost GPU"),
    Check("gpu.responsive", "gpu", "whether the driver answers"),
    Check("gpu.xid", "gpu", "the worst Xid of the kernel log, for a day"),
    Check("gpu.recovery_action", "gpu", "what the driver itself asks for"),
    Check("gpu.ecc_uncorrected", "gpu", "uncorrected memory errors"),
    Check("gpu.row_remap", "gpu", "row remaps that are pending, failed or many"),
    Check("gpu.retired_pages", "gpu", "retired memory pages"),
    Check("gpu.fabric", "gpu", "registration with the NVSwitch fabric"),
    Check("gpu.temp", "gpu", "temperature against the card's own slowdown limit"),
    Check("gpu.temp_mem", "gpu", "memory temperature against the card's own maximum"),
    Check("gpu.throttle", "gpu", "slowdown by heat or by the power supply, now and since the last run"),
    Check("gpu.nvlink", "gpu", "NVLinks that are down, and their errors since the last run"),
    Check("gpu.pcie_width", "gpu", "PCIe lanes against the maximum"),
    Check("gpu.pcie_gen", "gpu", "PCIe generation under load against the maximum"),
    Check("gpu.pcie_replay", "gpu", "PCIe replays a minute since the last run"),
    Check("gpu.ecc_corrected", "gpu", "corrected memory errors"),
    Check("gpu.ecc_mode", "gpu", "ECC off on a server card, or about to change"),
    Check("gpu.power_cap", "gpu", "a power limit below the default"),
    Check("gpu.vbios", "gpu", "firmware that differs among cards of one model"),
    Check("gpu.mem_orphan", "gpu", "GPU memory that no process owns"),
    Check("gpu.persistence", "gpu", "persistence mode of server cards"),
    Check("gpu.idle_waste", "gpu", "memory held without work (never a fault)"),
    Check("gpu.mem", "gpu", "GPU memory used (off by default)"),
    Check("disk.mount_missing", "disk", "mounts that are gone"),
    Check("disk.mount_stuck", "disk", "mounts that do not answer"),
    Check("disk.readonly", "disk", "local file systems that are read-only"),
    Check("disk.kernel_errors", "disk", "what the kernel log has of drives, file systems and RAID, for a day"),
    Check("disk.smart", "disk", "the drives' own health (smartctl, as root)"),
    Check("disk.space", "disk", "space used, as df has it"),
    Check("disk.inodes", "disk", "inodes used"),
    Check("disk.eta", "disk", "when it will be full at the rate of the last hours"),
    Check("disk.shm", "disk", "shared memory used, of containers with a GPU too"),
    Check("io.psi", "disk", "time that all processes wait for I/O"),
    Check("mem.oom", "memory", "processes killed for want of memory, for half an hour"),
    Check("mem.edac", "memory", "errors that the memory controllers count"),
    Check("mem.available", "memory", "memory that can still be had"),
    Check("mem.psi", "memory", "time that all processes wait for memory"),
    Check("mem.swap", "memory", "swap used"),
    Check("cpu.load", "cpu", "load of 15 minutes by the number of CPUs"),
    Check("cpu.psi", "cpu", "time that processes wait for a CPU"),
    Check("cpu.thermal", "cpu", "temperature against the processor's own limits, and slowdown by heat"),
    Check("proc.dstate", "kernel", "processes that stand still in uninterruptible sleep"),
    Check("proc.zombie", "kernel", "processes that nobody collects"),
    Check("proc.fds", "kernel", "open files of the whole system"),
    Check("proc.pids", "kernel", "threads against the limits of the kernel and of the control group"),
    Check("time.sync", "kernel", "whether the clock is kept, and how far it is off"),
    Check("net.link", "kernel", "network ports: links lost, errors, what is expected"),
    Check("svc.unit", "services", "systemd units (docker and ssh where they are enabled), their restarts"),
    Check("docker", "services", "a container engine's socket, and its unhealthy containers"),
    Check("api", "services", "model APIs over HTTP: an answer, the model, a token, tokens that flow"),
    Check("redis", "services", "Redis servers: PING, memory, clients, snapshots, the link to the primary"),
    Check("pg", "services", "PostgreSQL servers: the start of a connection; with dsn_file connections and lag"),
    Check("tcp", "services", "TCP ports"),
    Check("svc.any_failed", "services", "systemd units that failed"),
    Check("backup.drill", "jobs", "whether a backup was restored as a test, and came back whole"),
    Check("backup.age", "jobs", "how old the last good backup is, by what was due since (or in hours)"),
    Check("job.failed", "jobs", "jobs of the config whose last runs failed"),
    Check("job.late", "jobs", "jobs of the config with no start within start_grace after their time"),
    Check("host.reboot", "self", "whether the box was rebooted since the last run (never alerts)"),
    Check("self.state", "self", "what one run leaves for the next: since when, growth, hysteresis"),
    Check("self.stale", "self", "whether the scheduled checks of the config still run"),
    Check("self.config", "self", "the config files of mltop itself"),
)
"""In the order in which findings of one level are told: what breaks a job first."""

ORDER = {check.id: place for place, check in enumerate(CATALOGUE)}

FAMILIES: Mapping[str, Callable[[Case], Iterator[Judgement]]] = {
    "gpu": gpu.gpus,
    "disk": disk.disks,
    "memory": host.memory,
    "cpu": host.cpu,
    "kernel": kernel.kernel,
    "services": services,
    "jobs": job.jobs,
    "self": own.own,
}
"""What judges each family; without surroundings, what a snapshot can answer."""
