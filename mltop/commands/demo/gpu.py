"""The demo's eight GPUs at a moment: training, serving, a lost one, a hot one, one held idle."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

from mltop.model.snapshot import Gpu, GpuProcess, Status

GIB = 1 << 30
LOST = 3
HOT = 4
_STEP_S = 46.0
"""A training step's length, its checkpoint included."""
_PAUSE_S = 4.0
_DAY_S = 86400.0
_SLOWDOWN_C = 92


class Load(NamedTuple):
    """What holds a card."""

    pid: int
    command: str
    user: str
    days: float
    """How long it has been running."""
    memory_gib: float
    busy: int
    """Percent, at work."""


_TRAINING = Load(412201, "python train.py --config llama-70b.yaml --nodes 1", "mluser", 3.2, 71.2, 98)
_SERVING = Load(398114, "vllm serve /models/mixtral-8x7b --port 8000", "serve", 11.7, 72.6, 64)
_HELD = Load(430555, "python -m ipykernel_launcher -f kernel.json", "mluser", 0.9, 66.1, 0)
_SMALL = Load(431870, "python evaluate.py --suite mmlu", "ops", 0.1, 21.4, 57)
LOADS: tuple[Load | None, ...] = (_TRAINING, _TRAINING, _TRAINING, _TRAINING, _TRAINING, _SERVING, _HELD, _SMALL)
"""By index."""


def gpus(at: float) -> tuple[Gpu, ...]:
    """All eight, at seconds since the epoch; the same moment gives the same cards."""
    return tuple(_lost(at) if index == LOST else _card(index, load, at) for index, load in enumerate(LOADS))


def work(at: float, busy: int, index: int = 0) -> float:
    """Percent of use: training pauses for its checkpoints, everything ripples."""
    if not busy:
        return 0.0
    if busy > 90 and at % _STEP_S < _PAUSE_S:
        return 7.0
    ripple = 4.0 * math.sin(at / 2.3 + index) + 2.0 * math.sin(at * 1.7 + index * 2)
    swing = 18.0 * math.sin(at / 31 + index) if busy < 90 else 0.0
    return max(0.0, min(100.0, busy + swing + ripple - 3))


def _card(index: int, load: Load | None, at: float) -> Gpu:
    busy = round(work(at, load.busy, index)) if load is not None else 0
    used = int((load.memory_gib if load is not None else 0.4) * GIB)
    is_hot = index == HOT
    heat = 91 + round(math.sin(at / 7) * 0.6) if is_hot else 41 + round(busy * 0.24 + 2 * math.sin(at / 13 + index))
    return Gpu(
        index=index,
        uuid=_uuid(index),
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id=_bus(index),
        age_s=0.0,
        temperature_c=heat,
        temperature_memory_c=heat + 8,
        temperature_slowdown_c=_SLOWDOWN_C,
        temperature_shutdown_c=95,
        memory_total_bytes=int(79.6 * GIB),
        memory_used_bytes=used,
        memory_reserved_bytes=560 << 20,
        memory_is_unified=False,
        utilization_percent=busy,
        memory_utilization_percent=busy * 6 // 10,
        power_w=round((96.0 + busy * 5.9) * (0.72 if is_hot else 1.0), 1),
        power_limit_w=700.0,
        clock_sm_mhz=1065 if is_hot else 1980,
        clock_memory_mhz=2619,
        performance_state="P0",
        clock_event_reasons=("hw-thermal-slowdown", "hw-slowdown") if is_hot else () if busy else ("gpu-idle",),
        ecc_uncorrected_volatile=0,
        ecc_uncorrected_aggregate=0,
        ecc_corrected_volatile=3 if index == 1 else 0,
        remap_pending=False,
        remap_failed=False,
        pcie_generation=5,
        pcie_generation_max=5,
        pcie_width=16,
        pcie_width_max=16,
        nvlinks_active=18,
        nvlinks_total=18,
        persistence_mode=True,
        mig_mode=False,
        unattributed_bytes=100 << 20,
        idle_held_s=2520.0 + at % 600 if load is not None and not load.busy else None,
        processes=(_process(load, used, busy, at),) if load is not None else (),
    )


def _process(load: Load, used: int, busy: int, at: float) -> GpuProcess:
    return GpuProcess(
        pid=load.pid,
        name=load.command.split()[0],
        command=load.command,
        user=load.user,
        gpu_memory_bytes=used - (100 << 20),
        sm_percent=float(busy),
        cpu_percent=round(100.0 + 12 * math.sin(at / 5), 1) if busy else 0.0,
        rss_bytes=int(load.memory_gib * 0.45 * GIB),
        running_s=round(load.days * _DAY_S),
        started_at=_began(at, load),
    )


def _lost(at: float) -> Gpu:
    """Off the bus two hours ago, as its last Xid says."""
    load = LOADS[LOST]
    assert load is not None
    ago = 7260.0 + at % 60
    last = GpuProcess(
        pid=load.pid,
        name=load.command.split()[0],
        command=load.command,
        user=load.user,
        gpu_memory_bytes=int(load.memory_gib * GIB),
        status=Status.LOST,
    )
    return Gpu(
        index=LOST,
        uuid=_uuid(LOST),
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id=_bus(LOST),
        status=Status.LOST,
        reason="fallen off the bus; Xid 79",
        age_s=ago,
        memory_total_bytes=int(79.6 * GIB),
        xid_last=79,
        xid_last_age_s=ago,
        processes=(last,),
    )


def _began(at: float, load: Load) -> str:
    return datetime.fromtimestamp(at - load.days * _DAY_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _uuid(index: int) -> str:
    return f"GPU-5eed0{index:03x}-de30-4000-8000-{index:012x}"


def _bus(index: int) -> str:
    return f"0000:{0x1B + index * 0x15:02x}:00.0"
