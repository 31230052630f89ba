from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltop.checks.judge import judge
from mltop.model.snapshot import (
    Cpu,
    Disk,
    Driver,
    Gpu,
    GpuProcess,
    Memory,
    Mig,
    Network,
    Process,
    Processes,
    Snapshot,
    Status,
)
from mltop.reports.once import text
from mltop.reports.plain import part, size, span

GIB = 1 << 30
LABELS = {
    "host",
    "health",
    "alert",
    "action",
    "cpu",
    "memory",
    "swap",
    "disk",
    "net",
    "driver",
    "gpu",
    "processes",
    "process",
}


def gpu(index: int, **changes: Any) -> Gpu:
    values: dict[str, Any] = {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA H100 80GB HBM3",
        "temperature_c": 64,
        "memory_total_bytes": int(79.6 * GIB),
        "memory_used_bytes": 70 * GIB,
        "utilization_percent": 99,
        "power_w": 684.2,
        "power_limit_w": 700.0,
        "clock_event_reasons": ("sw-power-cap",),
        "processes": (GpuProcess(pid=412201, gpu_memory_bytes=70 * GIB),),
    }
    return Gpu(**{**values, **changes})


def box(*gpus: Gpu, **changes: Any) -> Snapshot:
    values: dict[str, Any] = {
        "host": "gpu-07",
        "time": "2026-01-01T14:02:07Z",
        "version": "0.1.0",
        "uptime_s": 12 * 86400.0,
        "cpu": Cpu(count=96, usage_percent=38.2, load=(12.1, 11.8, 10.2), iowait_percent=0.1, psi_some_avg10=0.4),
        "memory": Memory(
            total_bytes=1007 * GIB,
            used_bytes=412 * GIB,
            available_bytes=590 * GIB,
            swap_total_bytes=8 * GIB,
            swap_used_bytes=0,
            psi_some_avg10=0.0,
        ),
        "disks": (
            Disk(mount="/", total_bytes=540 * GIB, used_bytes=330 * GIB, available_bytes=210 * GIB, used_percent=61.1),
            Disk(mount="/data", status=Status.TIMEOUT, reason="no answer for 34 s"),
        ),
        "driver": Driver(status=Status.OK, version="550.54.15", cuda_version="12.4", gpu_count=len(gpus)),
        "gpus": gpus,
        "network": (Network(interface="eth0", receive_bytes_per_s=1.5 * (1 << 20), transmit_bytes_per_s=0.0),),
        "processes": Processes(
            total=312,
            running=3,
            blocked=0,
            zombies=1,
            top=(
                Process(
                    pid=412201,
                    user="mlu1",
                    command="python train.py --config " + "a" * 100,
                    cpu_percent=812.0,
                    rss_bytes=31 * GIB,
                    state="R",
                    running_s=3 * 86400.0,
                    gpus=(0, 1),
                ),
            ),
        ),
    }
    return Snapshot(**{**values, **changes})


def shown(snapshot: Snapshot) -> list[str]:
    written = text(snapshot, judge(snapshot))
    assert written.isascii()
    assert written.endswith("\n")
    lines = written.splitlines()
    for line in lines:
        assert line.isprintable()
        assert len(line) <= 80, line
        assert line.split(" ")[0] in LABELS, line
    return lines


def test_a_box_with_a_lost_gpu() -> None:
    lost = gpu(3, status=Status.LOST, reason="fallen off the bus", xid_last=79, processes=())
    idle = gpu(2, utilization_percent=0, power_w=118.0, idle_held_s=2520.0, clock_event_reasons=("gpu-idle",))
    assert shown(box(gpu(0), gpu(1, power_w=None, power_limit_w=None), idle, lost)) == [
        "host gpu-07 up 12d at 2026-01-01 14:02:07Z mltop 0.1.0",
        "health CRITICAL 1 critical, 1 warning",
        "alert CRITICAL GPU 3: lost, Xid 79 fallen off the bus",
        "action GPU 3: drain and reboot the node",
        "alert WARNING /data: no answer for 34 s",
        "action /data: check its server or device: what touches it hangs",
        "cpu 38.2% of 96 CPUs load 12.10 11.80 10.20 iowait 0.1% psi 0.4%",
        "memory 412.0/1007.0GiB 41% available 590.0GiB psi 0.0%",
        "swap 0.0/8.0GiB 0%",
        "disk / 61% 330.0/540.0GiB free 210.0GiB",
        "disk /data no answer: no answer for 34 s",
        "net eth0 receive 1.5MiB/s transmit 0B/s",
        "driver ok version 550.54.15 cuda 12.4 GPUs 4 NVIDIA H100 80GB HBM3",
        "gpu 0  temp  64C util  99% memory  70.0/79.6GiB power 684/700W power-cap",
        "gpu 1  temp  64C util  99% memory  70.0/79.6GiB power unknown power-cap",
        "gpu 2  temp  64C util   0% memory  70.0/79.6GiB power 118/700W idle 42m",
        "gpu 3 LOST fallen off the bus, Xid 79",
        "processes 312 running 3 blocked 0 zombies 1",
        "process 412201 mlu1 cpu 812% rss 31.0GiB gpu 0,1 210.0GiB R 3d python train.py -",
    ]


def test_a_box_without_a_gpu_says_so() -> None:
    lines = shown(box(driver=Driver()))
    assert "driver none no NVIDIA GPU on this box" in lines
    assert not any(line.startswith("gpu") for line in lines)


def test_a_broken_driver_says_why() -> None:
    reason = "NVIDIA driver library libnvidia-ml.so.1 not found: install the driver, or pass it into the container"
    lines = shown(box(driver=Driver(status=Status.ERROR, reason=reason)))
    at = lines.index("driver error version unknown cuda unknown GPUs unknown")
    assert " ".join(line.removeprefix("driver reason ") for line in lines[at + 1 : at + 3]) == reason


def test_the_names_of_unlike_gpus_have_lines_of_their_own() -> None:
    lines = shown(box(gpu(0), gpu(1, name="NVIDIA L40S")))
    assert "gpu 1 name NVIDIA L40S" in lines
    assert "driver ok version 550.54.15 cuda 12.4 GPUs 2" in lines


def test_states_that_do_not_fit_have_a_line_of_their_own() -> None:
    sick = gpu(
        0,
        ecc_uncorrected_volatile=3,
        remap_pending=True,
        clock_event_reasons=("hw-thermal-slowdown", "hw-power-brake"),
        pcie_width=4,
        pcie_width_max=16,
        nvlinks_active=10,
        nvlinks_total=18,
        xid_last=94,
        xid_last_age_s=3.0,
    )
    lines = [line for line in shown(box(sick)) if line.startswith("gpu 0 state")]
    joined = " ".join(line.removeprefix("gpu 0 state ") for line in lines)
    assert joined == "ECC 3, remap pending, hw-thermal-slowdown, hw-power-brake, x4 of x16, links 10/18, Xid 94"


def test_mig_refused_lists_and_other_containers() -> None:
    lines = shown(
        box(
            gpu(
                0,
                status=Status.NO_PERMISSION,
                mig=(Mig(profile="1g.10gb", memory_total_bytes=10 * GIB, memory_used_bytes=GIB),),
            ),
            gpu(1, processes_status=Status.NO_PERMISSION, processes=()),
            gpu(2, processes=(GpuProcess(pid=77, gpu_memory_bytes=GIB, status=Status.ABSENT),)),
        )
    )
    assert "gpu 0 mig 1g.10gb memory 1.0/10.0GiB" in lines
    assert "gpu 1 processes not permitted" in lines
    assert "gpu 2 process 77 other container memory 1.0GiB" in lines
    many = tuple(GpuProcess(pid=pid, status=Status.ABSENT) for pid in range(1, 10))
    assert "gpu 0 process +5 more of other containers" in shown(box(gpu(0, processes=many)))


def test_old_values_are_marked_with_their_age() -> None:
    stale = gpu(0, status=Status.TIMEOUT, age_s=12.0)
    hung = Driver(status=Status.TIMEOUT, reason="driver not answering for 12 s", gpu_count=1)
    lines = shown(box(stale, driver=hung))
    assert "gpu 0  temp  64C util  99% memory  70.0/79.6GiB power 684/700W no answer 12s" in lines
    assert "driver reason driver not answering for 12 s" in lines


def test_foreign_text_is_ascii_in_the_end() -> None:
    lines = shown(
        box(
            host="gpü-07",
            disks=(
                Disk(mount="/" + "数" * 100, total_bytes=10, used_bytes=1, available_bytes=9, used_percent=10.0),
                Disk(mount="/" + "x" * 100, status=Status.TIMEOUT, reason="no answer"),
            ),
        )
    )
    assert lines[0].startswith("host gp?-07 up")
    (long,) = [line for line in lines if line.startswith("disk /??")]
    assert long.endswith("10% 1.0/10.0B free 9B")


def test_what_is_not_known_is_a_word() -> None:
    lines = shown(Snapshot())
    assert "cpu unknown of unknown CPUs load unknown iowait unknown psi unknown" in lines
    assert "memory unknown unknown available unknown psi unknown" in lines


@pytest.mark.parametrize("status", list(Status))
def test_every_state_of_every_group_has_its_words(status: Status) -> None:
    shown(
        Snapshot(
            cpu=Cpu(status=status, reason="r"),
            memory=Memory(status=status),
            disks=(Disk(status=status, mount="/d"),),
            driver=Driver(status=status, reason="why " * 40),
            gpus=(Gpu(status=status, index=0), Gpu(status=status, pci_bus_id="0000:1b:00.0", processes_status=status)),
            processes=Processes(status=status),
            network=(Network(status=status, interface="eth0"),),
        )
    )


def test_the_states_are_different_words() -> None:
    said = {status: shown(Snapshot(gpus=(Gpu(status=status, index=0),)))[-2] for status in Status}
    assert len(set(said.values())) == len(Status)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 62))
def test_a_size_is_short_and_near(count: int) -> None:
    written = size(count)
    digits = written.rstrip("BKMGTPi")
    factor = 1024 ** "BKMGTP".index(written[len(digits)])
    assert len(written) <= 10
    assert abs(float(digits) * factor - count) <= 0.06 * factor


def test_sizes_and_spans() -> None:
    assert (size(0), size(1023), size(1024), size((1 << 20) - 1)) == ("0B", "1023B", "1.0KiB", "1.0MiB")
    assert part(0, 8 * GIB) == "0.0/8.0GiB"
    assert part(None, None) == "unknown"
    assert part(None, GIB) == "unknown/1.0GiB"
    assert [span(one) for one in (0, 59.6, 60, 7200, 86400 * 3)] == ["0s", "59s", "1m", "2h", "3d"]


def test_a_snapshot_that_came_over_the_wire_reads_the_same() -> None:
    snapshot = box(gpu(0))
    again = msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)
    assert text(again, ()) == text(snapshot, ())
