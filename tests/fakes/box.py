"""A scripted box: snapshots, history and views as the panes need them, never read from this machine."""

from __future__ import annotations

from typing import Any

import msgspec

from mltop.model.finding import Finding, Level
from mltop.model.history import History
from mltop.model.snapshot import (
    Cpu,
    Disk,
    Driver,
    Gpu,
    GpuProcess,
    Memory,
    Network,
    Process,
    Processes,
    Snapshot,
    Status,
)
from mltop.ui.view import View

G = 1 << 30
TIME = "2026-03-02T14:02:11Z"
NOW = 1772460131.0


def make_gpu(index: int, **changes: Any) -> Gpu:
    used = [70.0, 70.0, 71.0, 66.5, 70.0, 12.0, 0.5, 79.0][index % 8]
    busy = [99, 97, 96, 88, 99, 23, 0, 100][index % 8]
    bus = f"0000:{0x1B + index * 8:02x}:00.0"
    gpu = Gpu(
        index=index, uuid=f"GPU-{index:08x}", name="NVIDIA H100 80GB HBM3", pci_bus_id=bus,
        age_s=0.0, temperature_c=58 + index % 8, temperature_memory_c=66 + index % 8, temperature_slowdown_c=92,
        temperature_shutdown_c=95, memory_total_bytes=int(79.6 * G), memory_used_bytes=int(used * G),
        memory_reserved_bytes=600 << 20, memory_is_unified=False, utilization_percent=busy,
        memory_utilization_percent=busy // 2, power_w=110.0 + busy * 5.8, power_limit_w=700.0, clock_sm_mhz=1980,
        clock_memory_mhz=2619, performance_state="P0", clock_event_reasons=("gpu-idle",) if not busy else (),
        ecc_uncorrected_volatile=0, ecc_uncorrected_aggregate=0, ecc_corrected_volatile=0, remap_pending=False,
        remap_failed=False, pcie_generation=5, pcie_generation_max=5, pcie_width=16, pcie_width_max=16,
        nvlinks_active=18, nvlinks_total=18, persistence_mode=True, mig_mode=False, unattributed_bytes=100 << 20,
        processes=(
            GpuProcess(
                pid=412201 + index // 2, name="python3", command="python train.py --config h100.yaml", user="mluser",
                gpu_memory_bytes=int(used * G) - (100 << 20), sm_percent=float(busy), cpu_percent=101.0,
                rss_bytes=31 * G, running_s=3.2 * 86400, started_at="2026-02-27T09:00:00Z",
            ),
        ) if used > 1 else (),
    )  # fmt: skip
    return msgspec.structs.replace(gpu, **changes)


def lost_gpu(index: int) -> Gpu:
    full = make_gpu(index)
    return Gpu(
        index=index, uuid=full.uuid, name=full.name, pci_bus_id=full.pci_bus_id, status=Status.LOST,
        reason="fallen off the bus; Xid 79", age_s=61.0, memory_total_bytes=full.memory_total_bytes, xid_last=79,
        xid_last_age_s=61.0,
        processes=tuple(msgspec.structs.replace(p, status=Status.LOST, sm_percent=None) for p in full.processes),
    )  # fmt: skip


def make_disk(mount: str, total: float, used: float, **changes: Any) -> Disk:
    fields: dict[str, Any] = {
        "mount": mount, "device": "/dev/nvme0n1p2", "fstype": "ext4", "total_bytes": int(total * G),
        "used_bytes": int(used * G), "available_bytes": int((total - used) * G), "used_percent": 100 * used / total,
        "inodes_used_percent": 3.0, "read_bytes_per_s": 0.0, "write_bytes_per_s": 0.0, "is_readonly": False,
        "is_network": False, "age_s": 0.0,
    }  # fmt: skip
    return Disk(**fields | changes)


def make_processes(gpus: tuple[Gpu, ...], count: int) -> Processes:
    top: list[Process] = []
    held: dict[int, tuple[GpuProcess, list[int]]] = {}
    for gpu in gpus:
        for process in gpu.processes:
            if process.pid is not None and process.status is not Status.ABSENT:
                held.setdefault(process.pid, (process, []))[1].append(gpu.index or 0)
    for pid, (process, on) in held.items():
        top.append(
            Process(
                pid=pid,
                ppid=4000,
                name=process.name,
                command=process.command,
                user=process.user,
                cpu_percent=101.0,
                rss_bytes=31 * G,
                state="R",
                running_s=3.2 * 86400,
                started_at=process.started_at,
                gpus=tuple(on),
            )
        )
    users = ("root", "ops", "mluser", "postgres")
    names = ("dockerd", "python -m http.server 8000", "jupyter-lab --no-browser --port 8888", "postgres: writer")
    for i in range(count - len(top)):
        top.append(
            Process(
                pid=900 + i * 37,
                ppid=1 if i % 3 else 900,
                name=names[i % 4].split()[0],
                command=names[i % 4],
                user=users[i % 4],
                cpu_percent=max(0.0, 40.0 - i * 1.7),
                rss_bytes=(count - i) * 37 << 20,
                state="S",
                running_s=600.0 * (i + 1),
                started_at="2026-03-01T00:00:00Z",
            )
        )
    return Processes(age_s=0.0, total=1423, running=9, blocked=0, zombies=1, top=tuple(top))


def make_snapshot(gpus: int | tuple[Gpu, ...] = 8, cores: int = 96, processes: int = 60, **changes: Any) -> Snapshot:
    cards = tuple(make_gpu(i) for i in range(gpus)) if isinstance(gpus, int) else gpus
    busy = tuple((i * 37 % 101) * 0.9 for i in range(cores))
    fields: dict[str, Any] = {
        "host": "gpu-07", "boot_id": "b", "time": TIME, "interval_s": 2.0, "uptime_s": 12.4 * 86400, "version": "0.1",
        "cpu": Cpu(
            age_s=0.0, model="AMD EPYC 9454 48-Core Processor", count=cores, usage_percent=38.2,
            per_core_percent=busy, load=(12.1, 10.4, 9.8), frequency_mhz=3210.0, temperature_c=62.0,
            iowait_percent=0.4, psi_some_avg10=0.4, throttled=False,
        ),
        "memory": Memory(
            age_s=0.0, total_bytes=1007 * G, used_bytes=412 * G, available_bytes=590 * G, cached_bytes=310 * G,
            swap_total_bytes=8 * G, swap_used_bytes=0, psi_some_avg10=0.0, psi_full_avg10=0.0,
        ),
        "disks": (
            make_disk("/", 439, 227), make_disk("/data", 7000, 6370, write_bytes_per_s=3.1e8, read_bytes_per_s=1.2e9),
            make_disk("/dev/shm", 503, 12, fstype="tmpfs", device="tmpfs"),
            make_disk("/mnt/models", 50000, 21000, fstype="nfs4", device="nas:/models", is_network=True),
            make_disk("/boot", 0.9, 0.3), make_disk("/scratch", 14000, 900, fstype="xfs"),
        ),
        "driver": Driver(
            status=Status.OK, age_s=0.0, version="550.54.15", nvml_version="12.550.54.15", cuda_version="12.4",
            gpu_count=len(cards), pci_count=len(cards),
        ),
        "gpus": cards,
        "processes": make_processes(cards, processes),
        "network": (
            Network(age_s=0.0, interface="eth0", receive_bytes_per_s=1.2e6, transmit_bytes_per_s=3.4e5),
            Network(age_s=0.0, interface="ib0", receive_bytes_per_s=9.8e9, transmit_bytes_per_s=1.1e10),
        ),
    }  # fmt: skip
    if not cards:
        fields["driver"] = Driver(status=Status.ABSENT, reason="no NVIDIA device on this box")
    return Snapshot(**fields | changes)


def make_history(snapshot: Snapshot, samples: int = 150) -> History:
    """Five minutes of waves, with a gap in the middle."""
    history = History()
    for step in range(samples):
        if 70 <= step < 80:
            continue
        wave = 0.5 + 0.5 * ((step * 7) % 40) / 40
        gpus = tuple(
            msgspec.structs.replace(
                gpu,
                utilization_percent=int((gpu.utilization_percent or 0) * wave),
                memory_used_bytes=int((gpu.memory_used_bytes or 0) * (0.3 + 0.7 * step / samples)),
            )
            if gpu.status is Status.OK
            else gpu
            for gpu in snapshot.gpus
        )
        cpu = msgspec.structs.replace(snapshot.cpu, usage_percent=(snapshot.cpu.usage_percent or 0.0) * wave)
        history.add(msgspec.structs.replace(snapshot, gpus=gpus, cpu=cpu), NOW - (samples - step) * 2.0)
    return history


def make_view(snapshot: Snapshot | None, **changes: Any) -> View:
    if snapshot is not None and "history" not in changes:
        changes["history"] = make_history(snapshot)
    return View(snapshot=snapshot, **changes)


def make_finding(check: str, target: str = "", level: Level = Level.WARNING, **changes: Any) -> Finding:
    fields: dict[str, Any] = {"target_name": target or "box", "summary": check, "action": None}
    return Finding(check=check, target=target, level=level, **fields | changes)
