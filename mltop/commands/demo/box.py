"""The demo's box at a moment, as a snapshot: a pure function of the time, so that graphs go on where they began."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from mltop import __version__
from mltop.commands.demo.gpu import GIB, LOADS, LOST, gpus, work
from mltop.model.history import History
from mltop.model.snapshot import Cpu, Disk, Driver, Memory, Network, Process, Processes, Snapshot, Status

HOST = "demo"
_CORES = 96
_UPTIME_S = 12.4 * 86400
_PAST_S = 300
_OTHERS = (
    (1, "systemd", "/sbin/init", "root", 0.0, 14),
    (811, "dockerd", "/usr/bin/dockerd -H fd://", "root", 1.3, 190),
    (902, "postgres", "postgres: writer", "postgres", 0.4, 96),
    (957, "redis-server", "redis-server 127.0.0.1:6379", "redis", 0.6, 58),
    (1210, "nv-hostengine", "/usr/bin/nv-hostengine -n", "root", 0.9, 71),
    (4120, "jupyter-lab", "jupyter-lab --no-browser --port 8888", "mluser", 2.2, 412),
    (5310, "tensorboard", "tensorboard --logdir runs", "ops", 0.7, 655),
    (6044, "rsync", "rsync -a /data/sets/ nas:/sets/", "ops", 23.0, 38),
    (6045, "sshd", "sshd: mluser@pts/3", "mluser", 0.0, 11),
)
"""pid, name, command, user, percent of a CPU, MiB."""


def snapshot(at: float, *, interval_s: float | None = None) -> Snapshot:
    """The box at seconds since the epoch."""
    cards = gpus(at)
    return Snapshot(
        host=HOST,
        boot_id="00000000-0000-4000-8000-0000000000de",
        time=datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        interval_s=interval_s,
        uptime_s=_UPTIME_S + at % 86400,
        version=__version__,
        cpu=_cpu(at),
        memory=_memory(at),
        disks=tuple(_disks(at)),
        driver=Driver(
            status=Status.OK,
            age_s=0.0,
            version="550.54.15",
            nvml_version="12.550.54.15",
            cuda_version="12.4",
            gpu_count=len(cards),
            pci_count=len(cards),
            expected_count=len(cards),
        ),
        gpus=cards,
        processes=_processes(at),
        network=(
            Network(age_s=0.0, interface="eth0", receive_bytes_per_s=_wave(at, 2.1e6, 9), transmit_bytes_per_s=4.2e5),
            Network(
                age_s=0.0,
                interface="ib0",
                receive_bytes_per_s=9.8e9 * work(at, 98) / 100,
                transmit_bytes_per_s=1.1e10 * work(at, 98, 1) / 100,
            ),
        ),
    )


def past(until: float, every_s: float = 2.0) -> History:
    """The five minutes before, for the graphs."""
    history = History()
    for step in range(int(_PAST_S / every_s), 0, -1):
        history.add(snapshot(until - step * every_s), until - step * every_s)
    return history


def _wave(at: float, mean: float, period_s: float) -> float:
    return mean * (1 + 0.35 * math.sin(at / period_s) + 0.1 * math.sin(at * 1.3))


def _cpu(at: float) -> Cpu:
    cores = tuple(
        round(max(0.5, min(100.0, 34 + 34 * math.sin(core * 1.7 + at / 11) + 9 * math.sin(at * 0.9 + core))), 1)
        for core in range(_CORES)
    )
    return Cpu(
        age_s=0.0,
        model="AMD EPYC 9454 48-Core Processor",
        count=_CORES,
        usage_percent=round(sum(cores) / _CORES, 1),
        per_core_percent=cores,
        load=(34.1, 31.8, 30.2),
        frequency_mhz=3210.0,
        temperature_c=62.0,
        iowait_percent=round(abs(_wave(at, 0.6, 17)), 1),
        psi_some_avg10=0.4,
        throttled=False,
    )


def _memory(at: float) -> Memory:
    used = int((412 + 9 * math.sin(at / 60)) * GIB)
    return Memory(
        age_s=0.0,
        total_bytes=1007 * GIB,
        used_bytes=used,
        available_bytes=1001 * GIB - used,
        cached_bytes=310 * GIB,
        swap_total_bytes=8 * GIB,
        swap_used_bytes=0,
        psi_some_avg10=0.0,
        psi_full_avg10=0.0,
    )


def _disks(at: float) -> Iterator[Disk]:
    busy = work(at, 98) / 100
    rows: tuple[tuple[str, str, str, float, float, float, float], ...] = (
        ("/", "/dev/nvme0n1p2", "ext4", 439, 227, 0.0, _wave(at, 4e6, 5)),
        ("/data", "/dev/nvme1n1", "xfs", 7000, 6405, 1.2e9 * busy, 3.1e8 * (1 - busy)),
        ("/dev/shm", "tmpfs", "tmpfs", 503, 12, 0.0, 0.0),
        ("/mnt/models", "nas:/models", "nfs4", 50000, 21000, 0.0, 0.0),
        ("/scratch", "/dev/nvme2n1", "xfs", 14000, 900, 0.0, _wave(at, 2e7, 8)),
    )
    for mount, device, kind, total, used, reads, writes in rows:
        yield Disk(
            age_s=0.0,
            mount=mount,
            device=device,
            fstype=kind,
            total_bytes=int(total * GIB),
            used_bytes=int(used * GIB),
            available_bytes=int((total - used) * GIB),
            used_percent=round(100 * used / total, 1),
            inodes_used_percent=3.0,
            read_bytes_per_s=reads,
            write_bytes_per_s=writes,
            is_readonly=False,
            is_network=kind == "nfs4",
        )


def _processes(at: float) -> Processes:
    held: dict[int, list[int]] = {}
    for index, load in enumerate(LOADS):
        if load is not None and index != LOST:
            held.setdefault(load.pid, []).append(index)
    loads = {load.pid: load for load in LOADS if load is not None}
    on_gpus = [
        Process(
            pid=pid,
            ppid=4000,
            name=loads[pid].command.split()[0],
            command=loads[pid].command,
            user=loads[pid].user,
            cpu_percent=round(_wave(at, 101.0 * len(on), 7), 1) if loads[pid].busy else 0.0,
            rss_bytes=int(loads[pid].memory_gib * 0.45 * GIB) * len(on),
            state="R" if loads[pid].busy else "S",
            running_s=round(loads[pid].days * 86400),
            gpus=tuple(on),
        )
        for pid, on in held.items()
    ]
    others = [
        Process(
            pid=pid,
            ppid=1,
            name=name,
            command=command,
            user=user,
            cpu_percent=round(abs(_wave(at, percent, 6)), 1),
            rss_bytes=mib << 20,
            state="S",
            running_s=_UPTIME_S - pid,
        )
        for pid, name, command, user, percent, mib in _OTHERS
    ]
    return Processes(age_s=0.0, total=1423, running=9, blocked=0, zombies=0, top=(*on_gpus, *others))
