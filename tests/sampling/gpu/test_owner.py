"""The GPU probe and its owner, against the fake driver: a `GpuProbe` in a process of its own tells its readings."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import driver
import pytest
from gpu_watch import Readings, Watch
from hung import block_of, hung_mount

from mltop.model.snapshot import Gpu, Status

HASTY = {"silence_s": 0.3, "grace_s": 0.5, "start_grace_s": 0.5, "back_off_s": 0.2}
"""Patience that a test has time for."""


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, str]:
    """A box whose PCI bus has eight cards, in the kernel's first pid namespace."""
    proc = tmp_path / "proc"
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/pid").symlink_to("pid:[4026531836]")
    (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\n")
    driver.make_sysfs(tmp_path / "sys", driver.DGX_BUS_IDS)
    return {"MLTOP_PROCFS": str(proc), "MLTOP_SYSFS": str(tmp_path / "sys")}


Start = Callable[..., Watch]


@pytest.fixture
def start(fake_nvml: driver.FakeNvml, roots: dict[str, str]) -> Iterator[Start]:
    watches: list[Watch] = []

    def begin(*arguments: str, **environment: str) -> Watch:
        watches.append(Watch({**fake_nvml.env, **roots, **environment}, *arguments))
        return watches[-1]

    yield begin
    for watch in watches:
        watch.close()


def _hasty(**change: float) -> tuple[str, str]:
    return "--patience", json.dumps({**HASTY, **change})


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        pass
    return not _alive(pid)


def test_a_healthy_box(fake_nvml: driver.FakeNvml, start: Start) -> None:
    readings = start().whole()
    assert (readings.driver.status, readings.driver.reason) == (Status.OK, None)
    assert (readings.driver.gpu_count, readings.driver.pci_count) == (8, 8)
    assert readings.driver.cuda_version == "12.4"
    assert [gpu.index for gpu in readings.gpus] == list(range(8))
    assert [gpu.pci_bus_id for gpu in readings.gpus] == list(driver.DGX_BUS_IDS)
    gpu = readings.gpus[0]
    assert (gpu.status, gpu.reason, gpu.name) == (Status.OK, None, "NVIDIA H100 80GB HBM3")
    assert (gpu.temperature_c, gpu.utilization_percent, gpu.power_w, gpu.power_limit_w) == (64, 97, 684.0, 700.0)
    assert (gpu.temperature_slowdown_c, gpu.temperature_shutdown_c, gpu.temperature_memory_c) == (90, 95, 74)
    assert (gpu.memory_used_bytes, gpu.memory_reserved_bytes) == (71684 * 2**20, 562 * 2**20)
    assert (gpu.clock_event_reasons, gpu.performance_state) == (("sw-power-cap",), "P0")
    assert (gpu.pcie_generation, gpu.pcie_generation_max, gpu.pcie_width, gpu.pcie_width_max) == (5, 5, 16, 16)
    assert (gpu.nvlinks_active, gpu.nvlinks_total, gpu.persistence_mode, gpu.mig_mode) == (18, 18, True, False)
    assert (gpu.ecc_uncorrected_volatile, gpu.remap_pending, gpu.remap_failed) == (0, False, False)
    assert (gpu.fan_percent, gpu.retired_pages, gpu.pcie_receive_bytes_per_s) == (None, None, None)
    assert [(process.pid, process.sm_percent) for process in gpu.processes] == [(400000, 97.0)]
    assert gpu.unattributed_bytes == 14 * 2**20
    assert fake_nvml.calls()["nvmlDeviceGetPcieThroughput"] == 0


def test_the_owner_never_loads_nvml(start: Start) -> None:
    watch = start()
    assert not watch.whole().modules
    assert len(watch.probes()) == 1


def test_calls_stay_within_bounds(fake_nvml: driver.FakeNvml, start: Start) -> None:
    watch = start("--interval", "0.05")
    watch.whole()
    fake_nvml.reset_calls()
    for _ in range(20):
        watch.until(lambda _: True)
    calls = driver.read_calls(fake_nvml.calls_path)
    refreshes = calls["nvmlDeviceGetTemperature", 0]
    assert refreshes >= 15
    of_gpu = sum(count for (_, gpu), count in calls.items() if gpu == 0)
    # 20 ticks here are a second: the slow facts' share of a minute at 2 s is tried in test_rota
    assert of_gpu <= 5 * refreshes + 20
    assert all("Set" not in name for name, _ in calls)


def test_what_only_a_verdict_wants_is_not_asked(fake_nvml: driver.FakeNvml, start: Start) -> None:
    start().whole()
    wanted = ("VbiosVersion", "PowerManagementDefaultLimit", "EccMode", "GpuFabricInfoV", "ViolationStatus")
    assert {call: fake_nvml.calls()[f"nvmlDeviceGet{call}"] for call in wanted} == dict.fromkeys(wanted, 0)


def test_pcie_throughput_only_when_asked(start: Start) -> None:
    gpu = start("--pcie").whole().gpus[0]
    assert gpu.pcie_receive_bytes_per_s is not None
    assert gpu.pcie_transmit_bytes_per_s is not None


def test_a_lost_gpu_keeps_its_row_and_comes_back(fake_nvml: driver.FakeNvml, start: Start, tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text("")
    watch = start(MLTOP_KMSG=str(log))
    before = watch.whole().gpus[3]
    uptime_us = int(time.monotonic() * 1e6)
    log.write_text(f"4,3,{uptime_us},-;NVRM: Xid (PCI:0000:61:00): 79, pid=1, GPU has fallen off the bus.\n")
    fake_nvml.scenario("8xh100", extra="fault = * 3 lost\n")
    readings = watch.until(lambda readings: readings.gpus[3].status is Status.LOST, "lost")
    lost = readings.gpus[3]
    assert (lost.index, lost.uuid, lost.name, lost.pci_bus_id) == (3, before.uuid, before.name, "0000:61:00.0")
    assert (lost.reason, lost.xid_last) == ("fallen off the bus; Xid 79", 79)
    assert (lost.temperature_c, lost.memory_used_bytes, lost.utilization_percent) == (None, None, None)
    assert lost.memory_total_bytes == before.memory_total_bytes
    assert [(process.pid, process.status) for process in lost.processes] == [(400002, Status.LOST)]
    assert lost.processes_status is Status.LOST
    assert lost.xid_last_age_s is not None
    assert lost.xid_last_age_s < 30
    assert all(gpu.status is Status.OK for gpu in readings.gpus if gpu.index != 3)
    assert readings.driver.status is Status.OK
    later = watch.until(lambda readings: (readings.gpus[3].age_s or 0) > 0.5, "older")
    assert later.gpus[3].status is Status.LOST
    fake_nvml.scenario("8xh100")
    back = watch.until(lambda readings: readings.gpus[3].status is Status.OK, "back").gpus[3]
    assert (back.temperature_c, back.uuid) == (before.temperature_c, before.uuid)


def test_an_index_that_another_card_took_is_that_cards(fake_nvml: driver.FakeNvml, start: Start) -> None:
    """A lost card that the driver lists no more moves the others up; it does not become a copy of one of them."""
    watch = start()
    before = [gpu.uuid for gpu in watch.whole().gpus]
    fake_nvml.scenario("8xh100", extra="fault = * 3 lost\n")
    watch.until(lambda readings: readings.gpus[3].status is Status.LOST, "lost")
    fake_nvml.scenario("8xh100", extra="[gpu 3]\npresent = no\n")

    def is_moved(readings: Readings) -> bool:
        assert [gpu.uuid for gpu in readings.gpus] == before
        return readings.gpus[4].index == 3

    gpus = watch.until(is_moved, "moved up").gpus
    assert [gpu.index for gpu in gpus] == [0, 1, 2, None, 3, 4, 5, 6]
    assert [gpu.status for gpu in gpus].count(Status.OK) == 7


def test_a_gpu_lost_at_the_start_keeps_its_index_and_its_place(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100-lost-at-start")
    readings = start().whole()
    assert [gpu.index for gpu in readings.gpus] == list(range(8))
    lost = readings.gpus[3]
    assert (lost.status, lost.pci_bus_id, lost.age_s) == (Status.LOST, "0000:61:00.0", None)
    assert readings.driver.gpu_count == 8
    assert readings.driver.reason is None


def test_a_card_that_the_driver_does_not_count(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100-missing")
    readings = start("--expected", "8").whole()
    assert (readings.driver.status, readings.driver.gpu_count, readings.driver.expected_count) == (Status.OK, 7, 8)
    assert readings.driver.reason == "7 GPUs of 8 expected; on the PCI bus, not in the driver: 0000:61:00.0"
    assert [gpu.pci_bus_id for gpu in readings.gpus] == list(driver.DGX_BUS_IDS)
    missing = readings.gpus[3]
    assert (missing.index, missing.status, missing.reason) == (None, Status.LOST, "on the PCI bus, not in the driver")
    assert readings.gpus[4].index == 3


def test_in_a_container_the_other_cards_are_not_missed(
    fake_nvml: driver.FakeNvml, start: Start, roots: dict[str, str]
) -> None:
    namespace = Path(roots["MLTOP_PROCFS"]) / "self/ns/pid"
    namespace.unlink()
    namespace.symlink_to("pid:[4026532000]")
    fake_nvml.scenario("8xh100-missing")
    readings = start().whole()
    assert (readings.driver.reason, len(readings.gpus)) == (None, 7)


def test_one_call_hangs_then_the_driver_recovers(fake_nvml: driver.FakeNvml, start: Start) -> None:
    watch = start(*_hasty(grace_s=60))
    watch.whole()
    (probe,) = watch.probes()
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetPowerUsage 2 hang\n")
    hung = watch.until(lambda readings: readings.driver.status is Status.TIMEOUT, "timeout")
    assert hung.driver.reason is not None
    assert hung.driver.reason.startswith("driver not answering for ")
    assert hung.driver.reason.endswith(" s (GPU 2: nvmlDeviceGetPowerUsage)")
    gpu = hung.gpus[2]
    assert (gpu.status, gpu.temperature_c, gpu.utilization_percent) == (Status.TIMEOUT, 41, 0)
    assert gpu.age_s is not None
    assert set(watch.probes()) == {probe}
    fake_nvml.scenario("8xh100")
    recovered = watch.until(lambda readings: readings.fresh and readings.driver.status is Status.OK, "recovered")
    assert all(gpu.status is Status.OK for gpu in recovered.gpus)
    assert set(watch.probes()) == {probe}


@pytest.mark.parametrize("kind", ["hang", "hang_hard"])
def test_a_stuck_probe_is_replaced_and_the_others_are_read(fake_nvml: driver.FakeNvml, start: Start, kind: str) -> None:
    watch = start(*_hasty())
    watch.whole()
    (first,) = watch.probes()
    fake_nvml.scenario("8xh100", extra=f"fault = * 2 {kind}\n")
    readings = watch.until(lambda readings: readings.fresh and readings.driver.status is Status.TIMEOUT, "replaced")
    assert readings.gpus[2].status is Status.TIMEOUT
    assert all(gpu.status is Status.OK for gpu in readings.gpus if gpu.index != 2)
    assert readings.driver.reason is not None
    assert "did not answer for" in readings.driver.reason
    assert first not in watch.probes()
    assert len(watch.probes()) == 1
    fake_nvml.scenario("8xh100")
    watch.until(lambda readings: readings.driver.status is Status.OK and readings.gpus[2].status is Status.OK, "back")


def test_gpus_that_hang_from_the_start_keep_no_other_waiting(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100", extra="fault = * 2,5 hang\n")
    watch = start(*_hasty(grace_s=60, grace_max_s=60))  # nobody would wait so long
    readings = watch.until(lambda readings: readings.gpus[-1].status is Status.OK, "others read")
    hung = {gpu.index: gpu.status for gpu in readings.gpus if gpu.status is not Status.OK}
    assert hung == {2: Status.TIMEOUT, 5: Status.TIMEOUT}
    assert len(readings.gpus) == 8
    assert len(watch.probes()) == 1
    fake_nvml.scenario("8xh100")
    watch.until(lambda readings: {gpu.status for gpu in readings.gpus} == {Status.OK}, "back")


@pytest.mark.parametrize("scenario", ["hung-init", "hung-hard-init"])
def test_a_driver_that_hangs_at_the_start_leaves_the_cards_of_the_bus(
    fake_nvml: driver.FakeNvml, start: Start, scenario: str
) -> None:
    fake_nvml.scenario(scenario)
    watch = start(*_hasty(start_grace_s=60))
    readings = watch.until(lambda readings: readings.driver.status is Status.TIMEOUT, "timeout")
    assert readings.driver.reason is not None
    assert "nvmlInit" in readings.driver.reason
    assert [gpu.pci_bus_id for gpu in readings.gpus] == list(driver.DGX_BUS_IDS)
    assert {(gpu.index, gpu.status, gpu.temperature_c) for gpu in readings.gpus} == {(None, Status.TIMEOUT, None)}
    (probe,) = watch.probes()
    assert watch.close() < 5  # it waits for no driver
    assert watch.process.returncode == 0
    assert _is_gone(probe)


def test_the_whole_driver_hangs(fake_nvml: driver.FakeNvml, start: Start) -> None:
    watch = start(*_hasty())
    watch.whole()
    fake_nvml.scenario("8xh100", extra="lock = driver\nfault = * 2 hang\n")
    watch.until(lambda readings: readings.driver.status is Status.TIMEOUT, "timeout")
    fake_nvml.scenario("8xh100")
    watch.until(lambda readings: readings.fresh and readings.driver.status is Status.OK, "recovered")


def test_the_library_crashes_its_caller(fake_nvml: driver.FakeNvml, start: Start) -> None:
    watch = start(*_hasty())
    watch.whole()
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetTemperature* 4 crash\n")
    readings = watch.until(lambda readings: readings.driver.status is Status.ERROR, "error")
    assert readings.driver.reason is not None
    assert readings.driver.reason.startswith("the GPU probe failed: SIGSEGV (GPU 4: nvmlDeviceGetTemperature")
    assert readings.gpus[0].temperature_c == 64
    others = watch.until(lambda readings: readings.fresh and readings.driver.status is Status.ERROR, "others")
    assert others.gpus[0].status is Status.OK
    fake_nvml.scenario("8xh100")
    watch.until(lambda readings: readings.driver.status is Status.OK and readings.gpus[4].status is Status.OK, "back")


def test_a_probe_that_is_killed_is_started_again(start: Start) -> None:
    watch = start(*_hasty())
    watch.whole()
    (probe,) = watch.probes()
    os.kill(probe, signal.SIGKILL)
    watch.until(lambda readings: readings.driver.status is Status.ERROR, "error")
    watch.until(lambda readings: readings.fresh and readings.driver.status is Status.OK, "back")
    assert probe not in watch.probes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_probe_outlives_its_owner(fake_nvml: driver.FakeNvml, start: Start, number: signal.Signals) -> None:
    watch = start()
    watch.whole()
    fake_nvml.scenario("8xh100", extra="fault = * * hang_hard\n")
    watch.until(lambda readings: not readings.fresh, "stuck")
    (probe,) = watch.probes()
    watch.process.send_signal(number)
    assert watch.process.wait(5) is not None
    assert _is_gone(probe)


def test_no_second_probe_while_an_older_one_is_stuck(
    fake_nvml: driver.FakeNvml, start: Start, roots: dict[str, str]
) -> None:
    older = Path(roots["MLTOP_PROCFS"]) / "4711"
    older.mkdir()
    (older / "stat").write_text("4711 (mltop-probe) D 1 4711 4711 0 -1 4194304\n")
    watch = start(*_hasty())
    readings = watch.until(lambda readings: readings.driver.status is Status.TIMEOUT, "timeout")
    assert readings.driver.reason is not None
    assert readings.driver.reason.startswith("an older probe (pid 4711) is stuck in the driver; next try in ")
    assert watch.probes() == {}
    assert fake_nvml.calls() == {}
    assert {gpu.status for gpu in readings.gpus} == {Status.TIMEOUT}
    (older / "stat").unlink()
    watch.until(lambda readings: readings.fresh and readings.driver.status is Status.OK, "started")


@pytest.mark.parametrize(
    ("scenario", "status", "words"),
    [
        ("none", Status.ERROR, "NVIDIA driver not loaded: modprobe nvidia"),
        ("noperm", Status.NO_PERMISSION, "/dev/nvidiactl"),
        ("init-unknown", Status.ERROR, "does not start: unknown error"),
    ],
)
def test_a_driver_that_does_not_start(
    fake_nvml: driver.FakeNvml, start: Start, scenario: str, status: Status, words: str
) -> None:
    fake_nvml.scenario(scenario)
    readings = start().whole()
    assert readings.driver.status is status
    assert words in (readings.driver.reason or "")
    assert readings.gpus == []


def test_mismatch_names_both_versions(fake_nvml: driver.FakeNvml, start: Start, roots: dict[str, str]) -> None:
    driver.make_driver_version(Path(roots["MLTOP_PROCFS"]), "535.183.01")
    fake_nvml.scenario("mismatch")
    reason = start().whole().driver.reason or ""
    assert "kernel module 535.183.01, library 550." in reason
    assert "reboot, or reload" in reason


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this box has NVIDIA device nodes")
def test_no_device_nodes(fake_nvml: driver.FakeNvml, start: Start, roots: dict[str, str]) -> None:
    driver.make_driver_version(Path(roots["MLTOP_PROCFS"]), "550.54.15")
    fake_nvml.scenario("none")
    readings = start().whole()
    assert readings.driver.status is Status.ERROR
    assert "no NVIDIA device nodes" in (readings.driver.reason or "")


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this box may have the real library")
def test_no_library(start: Start) -> None:
    readings = start(LD_LIBRARY_PATH="").whole()
    assert readings.driver.status is Status.ERROR
    assert "libnvidia-ml.so.1 not found" in (readings.driver.reason or "")


@pytest.mark.parametrize("scenario", ["none", "zero"])
def test_no_device_is_absent(fake_nvml: driver.FakeNvml, start: Start, tmp_path: Path, scenario: str) -> None:
    driver.make_sysfs(tmp_path / "empty", [])
    fake_nvml.scenario(scenario)
    readings = start(MLTOP_SYSFS=str(tmp_path / "empty")).whole()
    assert (readings.driver.status, readings.driver.reason, readings.gpus) == (Status.ABSENT, None, [])


def test_cards_of_another_driver_are_no_error(fake_nvml: driver.FakeNvml, start: Start, tmp_path: Path) -> None:
    driver.make_sysfs(tmp_path / "vm", ["0000:1b:00.0"], driver="vfio-pci")
    fake_nvml.scenario("none")
    readings = start(MLTOP_SYSFS=str(tmp_path / "vm")).whole()
    assert readings.driver.status is Status.ABSENT
    assert readings.driver.reason == "1 NVIDIA cards are bound to vfio-pci"
    assert readings.driver.pci_count == 0


def _gpu(fake_nvml: driver.FakeNvml, start: Start, scenario: str, index: int = 0) -> Gpu:
    fake_nvml.scenario(scenario)
    return start().whole().gpus[index]


def test_garbage_becomes_not_known(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "garbage")
    unknown: list[Any] = [gpu.temperature_c, gpu.utilization_percent, gpu.memory_used_bytes, gpu.power_w]
    unknown += [gpu.fan_percent, gpu.clock_sm_mhz, gpu.performance_state, gpu.temperature_memory_c]
    assert unknown == [None] * 8
    assert gpu.reason is not None
    for words in ("temperature out of range", "utilization out of range", "memory used above total", "pid 4294967295"):
        assert words in gpu.reason
    assert 4294967295 not in [process.pid for process in gpu.processes]
    assert gpu.status is Status.OK
    assert gpu.clock_event_reasons == ()


def test_more_garbage_becomes_not_known(fake_nvml: driver.FakeNvml, start: Start) -> None:
    """A count without end is not counted to, and a number with all bits set is none."""
    odd = "[gpu 0]\nmig_mode = yes\nmig_max = na\npcie_rx = na\nprocess = @9 9000000000GiB\n"
    fake_nvml.scenario("8xh100", extra=odd + "[mig 0.0]\nprofile = 1g.10gb\nmemory_total = na\nmemory_used = 0\n")
    watch = start("--pcie")
    gpu = watch.until(lambda readings: readings.fresh and bool(readings.gpus[0].mig), "an instance").gpus[0]
    assert [(mig.profile, mig.memory_total_bytes) for mig in gpu.mig] == [("1g.10gb", None)]
    assert gpu.mig[0].reason is not None
    assert gpu.pcie_receive_bytes_per_s is None
    assert gpu.pcie_transmit_bytes_per_s == 95e6
    assert {process.pid: process.gpu_memory_bytes for process in gpu.processes}[400009] is None
    assert "memory of process 400009 out of range" in (gpu.reason or "")


def test_garbage_pids_are_dropped(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "pid-garbage")
    assert [process.pid for process in gpu.processes] == [400000]


def test_used_above_total(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "used-over-total")
    assert (gpu.memory_used_bytes, gpu.unattributed_bytes) == (None, None)
    assert gpu.memory_total_bytes is not None


def test_process_memory_not_available(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "4090")
    assert [process.gpu_memory_bytes for process in gpu.processes] == [None, 212 * 2**20]
    assert gpu.unattributed_bytes is None


def test_unified_memory_is_the_hosts(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "gb10")
    assert gpu.memory_is_unified is True
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes) == (1000 * 1024, 400 * 1024)
    assert gpu.processes[0].gpu_memory_bytes == 18432 * 2**20
    assert gpu.unattributed_bytes is None


def test_no_memory_on_a_discrete_card_is_not_unified(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetMemoryInfo* 0 not_supported\n")
    gpu = start().whole().gpus[0]
    assert (gpu.memory_is_unified, gpu.memory_total_bytes, gpu.reason) == (None, None, "memory: not supported")


def test_mig_instances(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "mig-a100")
    assert gpu.mig_mode is True
    assert [(mig.profile, mig.status) for mig in gpu.mig] == [
        ("3g.40gb", Status.OK),
        ("2g.20gb", Status.OK),
        ("1g.10gb", Status.OK),
    ]
    assert all((mig.uuid or "").startswith("MIG-") and mig.age_s is not None for mig in gpu.mig)
    assert [process.pid for process in gpu.processes] == [400000, 400001]
    assert gpu.utilization_percent is None


def test_a_parent_that_refuses_still_shows_its_children(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "mig-noperm")
    assert gpu.memory_used_bytes is None
    assert "memory: no permission" in (gpu.reason or "")
    assert [mig.memory_used_bytes for mig in gpu.mig] == [25000 * 2**20, 6000 * 2**20, 12 * 2**20]
    assert [process.pid for process in gpu.processes] == [400000, 400001]


def test_refused_process_lists_are_not_empty_ones(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "noperm-partly")
    assert (gpu.processes, gpu.processes_status) == ((), Status.NO_PERMISSION)
    assert (gpu.status, gpu.reason, gpu.unattributed_bytes) == (Status.OK, "processes: no permission", None)


def test_an_old_driver(fake_nvml: driver.FakeNvml, start: Start) -> None:
    gpu = _gpu(fake_nvml, start, "lib-old")
    assert (gpu.memory_reserved_bytes, gpu.unattributed_bytes) == (None, None)
    assert gpu.reason == "memory used includes the reserved part (old driver)"
    assert gpu.clock_event_reasons == ("sw-power-cap",)
    assert [process.pid for process in gpu.processes] == [400000]


def test_sick_cards(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100-sick")
    gpus = start().whole().gpus
    assert any((gpu.ecc_uncorrected_volatile or 0) > 0 for gpu in gpus)
    assert any(gpu.remap_failed for gpu in gpus)
    assert any(gpu.remap_pending for gpu in gpus)
    assert any("hw-thermal-slowdown" in gpu.clock_event_reasons for gpu in gpus)
    assert any((gpu.nvlinks_active or 0) < (gpu.nvlinks_total or 0) for gpu in gpus)
    assert any((gpu.pcie_width or 16) < (gpu.pcie_width_max or 0) for gpu in gpus)


def test_idle_and_held(fake_nvml: driver.FakeNvml, start: Start) -> None:
    watch = start()
    readings = watch.until(lambda readings: (readings.gpus[2].idle_held_s or 0) > 0.2 if readings.gpus else False)
    assert readings.gpus[0].idle_held_s is None  # busy
    assert readings.gpus[7].idle_held_s is None  # idle, but empty
    fake_nvml.scenario("8xh100", extra="[gpu 2]\nutil = 5\n")
    watch.until(lambda readings: readings.gpus[2].idle_held_s is None, "busy again")


def test_a_slow_driver_is_slow_and_not_stuck(fake_nvml: driver.FakeNvml, start: Start) -> None:
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGet* * delay 5ms\n")
    watch = start("--interval", "0.05")
    readings = watch.until(lambda readings: bool(readings.gpus) and readings.gpus[0].temperature_c == 64)
    assert readings.driver.status is Status.OK
    assert not readings.fresh
    assert watch.whole().driver.status is Status.OK
    full = watch.until(lambda readings: all(gpu.persistence_mode is not None for gpu in readings.gpus), "all facts")
    assert full.driver.status is Status.OK


def test_xids_since_boot(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text("4,1,1000000,-;NVRM: Xid (PCI:0000:43:00): 31, pid=4711\n")
    gpus = start(MLTOP_KMSG=str(log)).whole().gpus
    assert gpus[1].xid_last == 31
    assert gpus[1].xid_last_age_s is not None
    assert gpus[0].xid_last is None


@pytest.fixture
def hung_file(tmp_path: Path) -> Iterator[Path]:
    """A file that cannot be read while `mount.block` beside it exists; for ever, that is, in the kernel's eyes."""
    mount = tmp_path / "mount"
    with hung_mount(mount):
        block_of(mount).touch()
        yield mount / "file"


@pytest.mark.integration
def test_a_probe_that_sigkill_does_not_end(fake_nvml: driver.FakeNvml, start: Start, hung_file: Path) -> None:
    real = {"MLTOP_PROCFS": "/proc"}
    watch = start(*_hasty(), **real)
    watch.whole()
    (probe,) = watch.probes()
    fake_nvml.scenario("8xh100", extra=f"fault = nvmlDeviceGetPowerUsage 2 hang_file {hung_file}\n")
    watch.until(lambda readings: watch.probes() == {probe: "D"}, "killed, and in state D")
    for _ in range(15):  # 1.5 s: time enough for a second probe, if one were started
        readings = watch.until(lambda _: True)
        assert readings.driver.status is Status.TIMEOUT
        assert "GPU 2: nvmlDeviceGetPowerUsage" in (readings.driver.reason or "")
        assert watch.probes() == {probe: "D"}
    assert watch.close() < 5  # it waits for no driver
    assert watch.process.returncode == 0
    assert _alive(probe)
    second = start(*_hasty(), **real)
    words = f"an older probe (pid {probe}) is stuck in the driver"
    second.until(lambda readings: (readings.driver.reason or "").startswith(words), "the older one seen")
    assert second.probes() == {}
    fake_nvml.scenario("8xh100")
    hung_file.parent.with_suffix(".block").unlink()
    second.until(lambda readings: readings.fresh and readings.driver.status is Status.OK, "recovered")
    assert _is_gone(probe)
