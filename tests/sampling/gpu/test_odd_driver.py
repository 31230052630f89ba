"""Drivers that nobody ordered: broken files, symbols of another age, texts that are none, crowds of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import driver
import pytest
from gpu_watch import Readings, Watch

from mltop.model.snapshot import Status

BUS_IDS = driver.DGX_BUS_IDS[:2]
Read = Callable[..., Readings]


@pytest.fixture
def read(fake_nvml: driver.FakeNvml, tmp_path: Path) -> Iterator[Read]:
    """Reads two GPUs once, by what is in the scenario, or by another library."""
    driver.make_sysfs(tmp_path / "sys", BUS_IDS)
    (tmp_path / "proc").mkdir()
    watches = []

    def reading(text: str = "", library: Path | None = None, gpus: str = "2 h100") -> Readings:
        fake_nvml.write(f"gpus = {gpus}\n{text}")
        more = {} if library is None else {"LD_LIBRARY_PATH": str(library)}
        roots = {"MLTOP_SYSFS": str(tmp_path / "sys"), "MLTOP_PROCFS": str(tmp_path / "proc")}
        watches.append(Watch({**fake_nvml.env, **roots, **more}))
        return watches[-1].whole()

    yield reading
    for watch in watches:
        watch.close()


def _library(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    (folder / driver.LIBRARY).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be loaded ("),
        (b"#!/bin/sh\n" * 100, "cannot be loaded ("),
        (None, "not found: install the driver"),
    ],
)
@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this box may have the real library")
def test_a_file_that_is_no_library_is_not_called_missing(
    read: Read, tmp_path: Path, content: bytes | None, words: str
) -> None:
    folder = _library(tmp_path / "lib", content) if content is not None else tmp_path
    readings = read(library=folder)
    assert readings.driver.status is Status.ERROR
    assert words in (readings.driver.reason or "")


def test_a_library_of_somebody_else(read: Read, tmp_path: Path) -> None:
    (libc,) = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/libc.so" in line}
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / driver.LIBRARY).symlink_to(libc)
    readings = read(library=tmp_path / "lib")
    assert readings.driver.status is Status.ERROR
    assert readings.driver.reason == "libnvidia-ml.so.1 has no nvmlInit and is not the driver's: see LD_LIBRARY_PATH"


AGES = {
    "390": ("nvmlInitWithFlags", "*_v2", "*_v3", "nvmlDeviceGet*Mig*", "nvmlDeviceGetRemappedRows"),
    "470": ("*RunningProcesses_v3", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetCurrentClocksEventReasons"),
    "525": ("nvmlDeviceGetMarginTemperature", "nvmlDeviceGetGpuFabricInfoV", "nvmlDeviceGetSramEccErrorStatus"),
}


@pytest.mark.parametrize("age", AGES)
def test_a_driver_of_another_age(read: Read, age: str) -> None:
    """Where a symbol is not there at all, it is the same: `test_check_gpu` builds such a library."""
    readings = read(f"hide = {' '.join(AGES[age])}\n[gpu 1]\nprocess = 4711 2GiB\n", gpus="2 t4")
    assert readings.driver.status is Status.OK
    assert [(gpu.index, gpu.pci_bus_id, gpu.status) for gpu in readings.gpus] == [
        (index, bus_id, Status.OK) for index, bus_id in enumerate(BUS_IDS)
    ]
    assert [process.pid for process in readings.gpus[1].processes] == [4711]
    assert readings.gpus[0].memory_total_bytes == 15 << 30


@pytest.mark.parametrize("version", ["nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses_v3"])
@pytest.mark.parametrize("code", ["function_not_found", "argument_version_mismatch"])
def test_a_version_that_is_refused_is_asked_as_the_one_before(read: Read, version: str, code: str) -> None:
    readings = read(f"fault = {version} * {code}\n[gpu 1]\nprocess = 4711 2GiB\n")
    assert [process.pid for process in readings.gpus[1].processes] == [4711]
    assert readings.gpus[0].memory_total_bytes == 85520809984


TEXTS = {
    "\\x1b[31mred\\x0d\\x0a": "?[31mred",
    "\\xff\\xfe\\xc3": "???",
    "\\xe2\\x80\\xae gpj": "? gpj",
    "\\x00": None,
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_clean(read: Read, text: str) -> None:
    readings = read(f"driver = {text}\n[gpu 1]\nname = {text}\nuuid = {text}\nbus_text = {text}\n")
    gpu, told = readings.gpus[1], TEXTS[text]
    for found in (readings.driver.version, gpu.name, gpu.uuid):
        assert (found or "").strip() == (told or "")
    assert (gpu.index, gpu.status, gpu.pci_bus_id) == (1, Status.OK, BUS_IDS[1])


def test_texts_without_an_end_end(read: Read) -> None:
    readings = read("driver = \\~\n[gpu *]\nname = \\~\nuuid = GPU-\\~\nbus_text = \\~\nvbios = \\~\n")
    assert set(readings.driver.version or "") == {"z"}
    first, second = readings.gpus
    assert (first.uuid, second.uuid) == ("GPU-" + "z" * 92, None)
    assert "that of GPU 0 too" in (second.reason or "")
    assert {gpu.status for gpu in readings.gpus} == {Status.OK}


@pytest.mark.parametrize("text", ["43:00.0", "00000000:43:00.0", "0000:43:00.0", "0000:43:00"])
def test_forms_of_a_bus_id(read: Read, text: str) -> None:
    readings = read(f"[gpu 1]\nbus_text = {text}\n")
    assert readings.gpus[1].pci_bus_id == BUS_IDS[1]
    assert len(readings.gpus) == 2


@pytest.mark.parametrize(("crowd", "count"), [("64", 64), ("65", 65), ("5000", 5000)])
def test_crowds_of_processes(read: Read, crowd: str, count: int) -> None:
    readings = read(f"[gpu 1]\ncrowd = {crowd}\n")
    gpu = readings.gpus[1]
    assert (len(gpu.processes), gpu.processes_status) == (count, Status.OK)


@pytest.mark.parametrize("trouble", ["[gpu 1]\ncrowd = 200000\n", "fault = *RunningProcesses* 1 insufficient_size\n"])
def test_a_list_that_never_fits_is_given_up(read: Read, trouble: str) -> None:
    readings = read(trouble)
    assert (readings.gpus[1].processes, readings.gpus[1].processes_status) == ((), Status.ERROR)
    assert readings.gpus[0].processes_status is Status.OK


def test_a_driver_that_talks_and_starts_threads(read: Read) -> None:
    readings = read("fault = nvmlInit* - threads\nfault = * * print\n")
    assert [gpu.status for gpu in readings.gpus] == [Status.OK, Status.OK]
