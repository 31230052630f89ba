from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mltop.model.snapshot import Cpu, Disk, Driver, Gpu, Memory, Snapshot, Status

GIB = 1 << 30
Make = Callable[..., Snapshot]


def gpu(index: int, **changes: Any) -> Gpu:
    """A healthy H100 in the middle of a training run."""
    values: dict[str, Any] = {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA H100 80GB HBM3",
        "pci_bus_id": f"0000:{0x1B + index:02x}:00.0",
        "age_s": 0.0,
        "temperature_c": 62,
        "temperature_slowdown_c": 87,
        "memory_total_bytes": 80 * GIB,
        "memory_used_bytes": 74 * GIB,
        "utilization_percent": 97,
        "power_limit_w": 700.0,
        "performance_state": "P0",
        "clock_event_reasons": ("sw-power-cap",),
        "ecc_uncorrected_volatile": 0,
        "ecc_uncorrected_aggregate": 0,
        "ecc_corrected_volatile": 12,
        "remap_pending": False,
        "remap_failed": False,
        "pcie_generation": 5,
        "pcie_generation_max": 5,
        "pcie_width": 16,
        "pcie_width_max": 16,
        "nvlinks_active": 18,
        "nvlinks_total": 18,
        "persistence_mode": True,
        "unattributed_bytes": 0,
    }
    return Gpu(**{**values, **changes})


@pytest.fixture
def make() -> Make:
    """Builds a snapshot of a healthy box; `gpus` maps an index to the changes of that GPU."""

    def making(
        count: int = 8, gpus: dict[int, dict[str, Any]] | None = None, uptime_s: float = 1000.0, **changes: Any
    ) -> Snapshot:
        changed = gpus or {}
        values: dict[str, Any] = {
            "host": "gpu-07",
            "boot_id": "b1",
            "time": "2026-01-01T14:00:00Z",
            "uptime_s": uptime_s,
            "cpu": Cpu(count=96, load=(76.8, 76.8, 76.8), psi_some_avg10=0.4, throttled=False, age_s=0.0),
            "memory": Memory(
                total_bytes=1000 * GIB,
                available_bytes=600 * GIB,
                swap_total_bytes=8 * GIB,
                swap_used_bytes=0,
                psi_some_avg10=0.0,
                psi_full_avg10=0.0,
                age_s=0.0,
            ),
            "disks": (
                Disk(mount="/", fstype="ext4", used_percent=61.0, available_bytes=212 * GIB, is_readonly=False),
                Disk(mount="/data", fstype="xfs", used_percent=70.0, available_bytes=900 * GIB, is_readonly=False),
                Disk(mount="/dev/shm", fstype="tmpfs", used_percent=1.0, available_bytes=500 * GIB, is_readonly=False),
            ),
            "driver": Driver(status=Status.OK, gpu_count=count, pci_count=count, age_s=0.0),
            "gpus": tuple(gpu(index, **changed.get(index, {})) for index in range(count)),
        }
        return Snapshot(**{**values, **changes})

    return making
