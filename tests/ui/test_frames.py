"""Golden frames: whole screens as text. `MLTOP_UPDATE_FRAMES=1 pytest tests/ui/test_frames.py` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mltop.model.finding import Level
from mltop.model.snapshot import Driver, Gpu, GpuProcess, Mig, Snapshot, Status
from mltop.ui.view import View

FRAMES = Path(__file__).parent / "frames"
SIZES = ((80, 24), (120, 40), (200, 60), (60, 20), (40, 12))


def healthy(build: Any) -> View:
    return build.view(build.snapshot(8))


def lost(build: Any) -> View:
    gpus = [build.gpu(index) for index in range(8)]
    gpus[0] = build.gpu(0, clock_event_reasons=("sw-power-cap",))
    gpus[3] = build.lost(3)
    gpus[6] = build.gpu(6, memory_used_bytes=71 * build.G, idle_held_s=2520.0)
    findings = (
        build.finding(
            "gpu.count",
            "GPU-00000003",
            Level.CRITICAL,
            target_name="GPU 3",
            summary="lost, Xid 79",
            action="reboot the node",
        ),
        build.finding("disk.space", "/data", target_name="/data", summary="91 % used", action="make room"),
    )
    return build.view(
        build.snapshot(tuple(gpus)), findings=findings, jobs_line="✓ models-backup 02:00  next health-check 15:00"
    )


def hung(build: Any) -> View:
    gpus = tuple(build.gpu(i, status=Status.TIMEOUT, age_s=14.0) for i in range(8))
    reason = "driver not answering for 14 s (GPU 2: nvmlDeviceGetPowerUsage)"
    base = build.snapshot(0)
    stuck = build.replace(base.disks[3], status=Status.TIMEOUT, age_s=35.0, reason="no answer for 35 s")
    snapshot = build.snapshot(
        gpus,
        driver=Driver(status=Status.TIMEOUT, version="550.54.15", reason=reason, age_s=14.0),
        disks=(*base.disks[:2], stuck),
    )
    findings = (
        build.finding("gpu.responsive", "", Level.CRITICAL, target_name="driver", summary=reason),
        build.finding("disk.mount_stuck", "/mnt/models", target_name="/mnt/models", summary="no answer for 35 s"),
    )
    return build.view(snapshot, findings=findings)


def none(build: Any) -> View:
    return build.view(build.snapshot(0, cores=16))


def waiting(build: Any) -> View:
    return build.view(None)


def sick(build: Any) -> View:
    worn = {"ecc_uncorrected_volatile": 3, "remap_pending": True}
    refused = {
        "status": Status.NO_PERMISSION, "utilization_percent": None, "temperature_c": None, "power_w": None,
        "memory_used_bytes": None, "processes_status": Status.NO_PERMISSION, "processes": (),
    }  # fmt: skip
    gpus = (
        build.gpu(0, temperature_c=93, clock_event_reasons=("hw-slowdown", "hw-thermal-slowdown")),
        build.gpu(1, **worn),
        build.gpu(2, remap_failed=True, ecc_uncorrected_volatile=12),
        build.gpu(3, pcie_width=4, pcie_generation=1),
        build.gpu(4, nvlinks_active=10, clock_event_reasons=("sw-power-cap",)),
        build.gpu(5, **refused),
        build.gpu(6, memory_used_bytes=71 * build.G, idle_held_s=2520.0, unattributed_bytes=2 * build.G),
        build.gpu(7, xid_last=31, xid_last_age_s=700.0, utilization_percent=None),
    )
    told = (
        ("gpu.temp", 0, Level.CRITICAL, "93 C, 1 C over its limit", "check cooling"),
        ("gpu.ecc_uncorrected", 1, Level.CRITICAL, "3 uncorrected ECC errors", "drain and reset the GPU"),
        ("gpu.row_remap", 2, Level.CRITICAL, "row remap failed", "have the GPU replaced"),
        ("gpu.throttle", 0, Level.WARNING, "thermal slowdown", "check cooling and power supply"),
        ("gpu.pcie_width", 3, Level.WARNING, "PCIe x4 of x16", "reseat the card"),
        ("gpu.nvlink", 4, Level.WARNING, "8 of 18 NVLinks down", None),
    )
    findings = tuple(
        build.finding(check, f"GPU-{i:08x}", level, target_name=f"GPU {i}", summary=summary, action=action)
        for check, i, level, summary, action in told
    )
    return build.view(build.snapshot(gpus), findings=findings)


def sixteen(build: Any) -> View:
    gpus = [build.gpu(index) for index in range(16)]
    gpus[3] = build.lost(3)
    gpus[12] = build.gpu(12, temperature_c=93)
    hot = build.finding("gpu.temp", "GPU-0000000c", Level.CRITICAL, target_name="GPU 12", summary="93 C")
    return build.view(build.snapshot(tuple(gpus)), findings=(hot,))


def instance(build: Any, uuid: str, profile: str, total: float, used: float) -> Mig:
    held = {"memory_total_bytes": int(total * build.G), "memory_used_bytes": int(used * build.G)}
    return Mig(uuid=uuid, profile=profile, age_s=0.0, **held)


def mig(build: Any) -> View:
    parts = (("3g.40gb", 39.5, 31.2), ("2g.20gb", 19.5, 0.1), ("1g.10gb", 9.5, 9.1))
    instances = tuple(instance(build, f"MIG-{i}", *part) for i, part in enumerate(parts))
    whole = instance(build, "MIG-9", "7g.80gb", 79, 40)
    common = {"name": "NVIDIA A100-SXM4-80GB", "mig_mode": True, "utilization_percent": None, "processes": ()}
    refused = {"status": Status.NO_PERMISSION, "memory_used_bytes": None, "power_w": None, "temperature_c": None}
    gpus = (build.gpu(0, mig=instances, **common), build.gpu(1, mig=(whole,), **refused, **common))
    return build.view(build.snapshot(gpus))


def foreign(build: Any) -> View:
    """Text of all widths, another container's process, the tree, tags and the cursor."""
    gpu = build.gpu(0)
    other = GpuProcess(pid=99, gpu_memory_bytes=5 * build.G, sm_percent=4.0, status=Status.ABSENT, container="job-17")
    wide = build.replace(gpu.processes[0], command="python 訓練.py --データ 한국어 🚀 e\u0301", user="ユーザー名です")
    snapshot = build.snapshot((build.replace(gpu, processes=(wide, other)),))
    view = build.view(snapshot)
    view.processes.tree = True
    view.processes.cursor = 900
    view.processes.tagged = {412201}
    return view


def by_user(build: Any) -> View:
    view = build.view(build.snapshot(8))
    view.processes.by_user = True
    return view


def unified(build: Any) -> View:
    gpu = build.gpu(
        0, name="NVIDIA GB10", memory_is_unified=True, memory_total_bytes=120 * build.G, memory_used_bytes=31 * build.G,
        power_limit_w=None, nvlinks_active=None, nvlinks_total=None,
    )  # fmt: skip
    return build.view(build.snapshot((gpu,), cores=20))


SCENES = (healthy, lost, hung, none, waiting, sick, sixteen, mig, foreign, by_user, unified)


def check(name: str, text: str) -> None:
    path = FRAMES / f"{name}.txt"
    if os.environ.get("MLTOP_UPDATE_FRAMES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: look at it, then write it anew"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_frame(build: Any, scene: Any, size: tuple[int, int]) -> None:
    check(f"{scene.__name__}-{size[0]}x{size[1]}", build.screen(scene(build), *size))


@pytest.mark.parametrize("scene", [lost, sixteen], ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("size", SIZES[2:], ids=lambda size: f"{size[0]}x{size[1]}")
def test_frame_of_other_sizes(build: Any, scene: Any, size: tuple[int, int]) -> None:
    check(f"{scene.__name__}-{size[0]}x{size[1]}", build.screen(scene(build), *size))


@pytest.mark.parametrize("graphs", ["ascii", "block"])
def test_frame_of_other_graphs(build: Any, graphs: str) -> None:
    view = lost(build)
    view.graphs = graphs  # type: ignore[assignment]
    check(f"lost-{graphs}-120x40", build.screen(view, 120, 40))


def snapshot_of(scene: Any, build: Any) -> Snapshot:
    snapshot = scene(build).snapshot
    assert snapshot is not None
    return snapshot


def gpus_of(scene: Any, build: Any) -> tuple[Gpu, ...]:
    return snapshot_of(scene, build).gpus


def test_eight_gpus_fit_80x24(build: Any) -> None:
    """M1: 8 GPU rows, CPU, memory with swap and PSI, 2 mounts, 3 processes, the footer."""
    lines = build.screen(lost(build), 80, 24).splitlines()
    assert len(lines) == 24
    assert [line[:3].strip() for line in lines if line[:3].strip().isdigit()][:8] == list("01234567")
    assert any(line.startswith(" CPU") and "38%" in line and "load" in line for line in lines)
    assert any(line.startswith(" MEM") and "swap" in line and "psi" in line for line in lines)
    assert any("/ " in line and "/data" in line for line in lines)
    assert sum(line.lstrip().startswith("41220") for line in lines) >= 3
    assert "Quit" in lines[-1]


def test_sixteen_gpus_fit_80x24(build: Any) -> None:
    """M2: all of them, and at least 2 processes."""
    text = build.screen(sixteen(build), 80, 24)
    assert "LOST" in text
    assert "HOT" in text
    assert " 15  65C" in text
    assert sum(line.lstrip().startswith("41220") for line in text.splitlines()) >= 2


def test_more_gpus_than_room_keep_the_sick_ones(build: Any) -> None:
    """M2: `+n more`, every GPU in trouble among the visible."""
    gpus = tuple(build.lost(i) if i in (20, 39) else build.gpu(i) for i in range(40))
    text = build.screen(build.view(build.snapshot(gpus)), 80, 24)
    assert " 20  LOST" in text
    assert " 39  LOST" in text
    assert "more" in text
    assert text.count("train.py") >= 2


@pytest.mark.parametrize(
    "word",
    [
        "HOT, thermal slowdown", "ECC 3, remap pending", "remap failed, ECC 12", "x4 of x16, gen1 of gen5",
        "links 10/18, power cap", "no permission", "idle 42m", "Xid 31 11m ago", "processes not permitted",
    ],
)  # fmt: skip
def test_states_are_words(build: Any, word: str) -> None:
    """M15, M20-M22: each state is another word, readable without colour."""
    assert word in build.screen(sick(build), 80, 24)


def test_lost_gpu_says_all(build: Any) -> None:
    """M18: the row keeps its place and says since when, why, what to do; its processes stay, marked."""
    text = build.screen(lost(build), 120, 40)
    assert "LOST since 14:01 · fallen off the bus; Xid 79 · reboot the node" in text


def test_hung_driver_and_mount_say_how_long(build: Any) -> None:
    """M8, M11."""
    text = build.screen(hung(build), 80, 24)
    assert "driver not answering for 14 s" in text
    assert text.count("no answer 14s") == 8
    assert "no answer 35s" in text


def test_unified_memory_is_labelled(build: Any) -> None:
    """M17: with the sum of the processes' GPU memory beside it."""
    assert "unified, 69.9G held" in build.screen(unified(build), 120, 40)


def test_other_container_has_no_pid(build: Any) -> None:
    """M23, D16: the driver's pid of another namespace is neither shown nor given to the cursor."""
    from mltop.ui.panes.process import rows

    view = foreign(build)
    assert "other container" in build.screen(view, 80, 24)
    row = next(row for row in rows(view) if row.status is Status.ABSENT)
    assert row.pid is None
    assert row.id < 0


def test_no_wide_terminal_cuts_what_had_room(build: Any) -> None:
    """M3: at 200x60 nothing is cut."""
    assert "…" not in build.screen(lost(build), 200, 60)
