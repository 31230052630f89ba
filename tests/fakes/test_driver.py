"""The fake driver, asked through NVIDIA's own binding."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import driver
import pytest
from patience import wait_until

ASK = """
import json, sys
from pynvml import *
from pynvml import _nvmlGetFunctionPointer
h = nvmlDeviceGetHandleByIndex
def memory(d): return nvmlDeviceGetMemoryInfo(d, version=nvmlMemory_v2)
def field(d, f): v = nvmlDeviceGetFieldValues(d, [f])[0]; return v.value.uiVal if v.nvmlReturn == 0 else -v.nvmlReturn
def ask(text):
    try:
        return eval(text)
    except NVMLError as error:
        return type(error).__name__
answers = [ask(text) for text in sys.argv[1:]]
print(json.dumps(answers, default=str))
"""
LOOP = """
import sys
from pynvml import *
nvmlInit()
h = nvmlDeviceGetHandleByIndex(2)
while True:
    print(nvmlDeviceGetTemperature(h, 0), flush=True)
    if not sys.stdin.readline():
        break
"""


def ask(fake: driver.FakeNvml, *questions: str) -> list[Any]:
    """What Python expressions over pynvml give in a child; an error is its class's name."""
    child = subprocess.run(
        [sys.executable, "-c", ASK, "nvmlInit()", *questions],
        env={**os.environ, **fake.env},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    answers: list[Any] = json.loads(child.stdout)
    return answers


@pytest.fixture
def loop(fake_nvml: driver.FakeNvml) -> Iterator[subprocess.Popen[str]]:
    """A child that asks GPU 2's temperature once a line of its input."""
    child = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        env={**os.environ, **fake_nvml.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield child
    child.kill()
    child.communicate()


def test_every_scenario_is_well_formed(fake_nvml: driver.FakeNvml) -> None:
    for name in driver.scenario_names():
        fake_nvml.scenario(name)


def test_a_fault_of_the_text_has_its_line(fake_nvml: driver.FakeNvml) -> None:
    with pytest.raises(ValueError, match="line 3: bad value: fast"):
        fake_nvml.write("gpus = 1 h100\n[gpu 0]\ntemperature = fast\n")


@pytest.mark.parametrize(
    ("scenario", "answers"),
    [
        (
            "8xh100",
            {
                "nvmlDeviceGetCount()": 8,
                "nvmlSystemGetDriverVersion()": "550.54.15",
                "nvmlSystemGetCudaDriverVersion()": 12040,
                "nvmlDeviceGetName(h(0))": "NVIDIA H100 80GB HBM3",
                "nvmlDeviceGetPciInfo(h(3)).busId": "00000000:61:00.0",
                "nvmlDeviceGetIndex(nvmlDeviceGetHandleByPciBusId('0000:61:00.0'))": 3,
                "nvmlDeviceGetTemperature(h(1), 0)": 66,
                "nvmlDeviceGetTemperatureV(h(1), 0)": 66,
                "nvmlDeviceGetMarginTemperature(h(1))": 24,
                "nvmlDeviceGetTemperatureThreshold(h(1), 1)": 90,
                "field(h(1), NVML_FI_DEV_MEMORY_TEMP)": 74,
                "memory(h(0)).used": 71684 << 20,
                "memory(h(0)).reserved": 562 << 20,
                "nvmlDeviceGetMemoryInfo(h(0)).used": (71684 + 562) << 20,
                "nvmlDeviceGetUtilizationRates(h(0)).gpu": 97,
                "nvmlDeviceGetPowerUsage(h(0))": 684000,
                "nvmlDeviceGetEnforcedPowerLimit(h(0))": 700000,
                "nvmlDeviceGetClockInfo(h(0), NVML_CLOCK_SM)": 1755,
                "nvmlDeviceGetCurrentClocksEventReasons(h(0))": 4,
                "nvmlDeviceGetFanSpeed(h(0))": "NVMLError_NotSupported",
                "nvmlDeviceGetNvLinkState(h(0), 17)": 1,
                "nvmlDeviceGetNvLinkState(h(0), 18)": "NVMLError_InvalidArgument",
                "nvmlDeviceGetMigMode(h(0))": [0, 0],
                "[p.usedGpuMemory for p in nvmlDeviceGetComputeRunningProcesses(h(4))]": [35000 << 20, 36000 << 20],
                "[p.pid for p in nvmlDeviceGetComputeRunningProcesses_v2(h(0))]": [400000],
                "sorted(p.smUtil for p in nvmlDeviceGetProcessUtilization(h(4), 0) if p.pid)": [47, 50],
                "sorted(p.smUtil for p in nvmlDeviceGetProcessesUtilizationInfo(h(4), 0))": [47, 50],
                "nvmlDeviceGetComputeRunningProcesses(h(7))": [],
                "nvmlDeviceGetPcieThroughput(h(0), NVML_PCIE_UTIL_RX_BYTES)": 180000,
                "[f := c_nvmlGpuFabricInfoV_t(), nvmlDeviceGetGpuFabricInfoV(h(0), byref(f)), f.state][-1]": 3,
                "nvmlDeviceSetPersistenceMode(h(0), 1)": "NVMLError_NoPermission",
            },
        ),
        (
            "8xh100-lost-at-start",
            {
                "nvmlDeviceGetCount()": 8,
                "h(3)": "NVMLError_GpuIsLost",
                "nvmlDeviceGetIndex(h(4))": 4,
            },
        ),
        (
            "8xh100-missing",
            {"nvmlDeviceGetCount()": 7, "nvmlDeviceGetPciInfo(h(3)).busId": "00000000:9D:00.0"},
        ),
        ("mismatch", {"nvmlInit()": "NVMLError_LibRmVersionMismatch"}),
        ("none", {"nvmlInit()": "NVMLError_DriverNotLoaded"}),
        ("noperm", {"nvmlInit()": "NVMLError_NoPermission"}),
        ("init-unknown", {"nvmlInit()": "NVMLError_Unknown"}),
        ("zero", {"nvmlDeviceGetCount()": 0}),
        (
            "gb10",
            {
                "nvmlDeviceGetMemoryInfo(h(0))": "NVMLError_NotSupported",
                "nvmlDeviceGetTemperature(h(0), 0)": 58,
                "nvmlDeviceGetComputeRunningProcesses(h(0))[0].usedGpuMemory": 18432 << 20,
                "nvmlDeviceGetCurrPcieLinkGeneration(h(0))": 1,
            },
        ),
        (
            "4090",
            {
                "nvmlDeviceGetComputeRunningProcesses(h(0))[0].usedGpuMemory": None,
                "nvmlDeviceGetGraphicsRunningProcesses(h(0))[0].usedGpuMemory": 212 << 20,
                "nvmlDeviceGetEccMode(h(0))": [0, 0],
                "nvmlDeviceGetTotalEccErrors(h(0), 1, 0)": "NVMLError_NotSupported",
                "field(h(0), NVML_FI_DEV_MEMORY_TEMP)": -3,
                "nvmlDeviceGetFanSpeed(h(0))": 62,
                "nvmlDeviceGetFanSpeed_v2(h(0), 2)": "NVMLError_InvalidArgument",
            },
        ),
        (
            "mig-noperm",
            {
                "nvmlDeviceGetMigMode(h(0))": [1, 1],
                "nvmlDeviceGetMemoryInfo(h(0))": "NVMLError_NoPermission",
                "nvmlDeviceGetUtilizationRates(h(0))": "NVMLError_NotSupported",
                "nvmlDeviceGetMemoryInfo(nvmlDeviceGetMigDeviceHandleByIndex(h(0), 1)).used": 6000 << 20,
                "nvmlDeviceGetName(nvmlDeviceGetMigDeviceHandleByIndex(h(0), 0))": "NVIDIA A100-SXM4-80GB MIG 3g.40gb",
                "nvmlDeviceGetAttributes(nvmlDeviceGetMigDeviceHandleByIndex(h(0), 0)).gpuInstanceSliceCount": 3,
                "nvmlDeviceGetGpuInstanceId(nvmlDeviceGetMigDeviceHandleByIndex(h(0), 1))": 2,
                "nvmlDeviceGetMigDeviceHandleByIndex(h(0), 3)": "NVMLError_NotFound",
                "nvmlDeviceGetMemoryInfo(h(1)).total": 81920 << 20,
            },
        ),
        (
            "8xh100-sick",
            {
                "nvmlDeviceGetTotalEccErrors(h(1), NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_AGGREGATE_ECC)": 7,
                "nvmlDeviceGetTotalEccErrors(h(1), NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_VOLATILE_ECC)": 120,
                "list(nvmlDeviceGetRemappedRows(h(1)))": [0, 2, 1, 0],
                "list(nvmlDeviceGetRemappedRows(h(2)))": [0, 8, 0, 1],
                "field(h(1), NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)": 1,
                "nvmlDeviceGetCurrentClocksEventReasons(h(3))": 0x48,
                "nvmlDeviceGetCurrPcieLinkWidth(h(4))": 4,
                "sum(nvmlDeviceGetNvLinkState(h(5), link) for link in range(18))": 12,
            },
        ),
        (
            "noperm-partly",
            {
                "nvmlDeviceGetComputeRunningProcesses(h(0))": "NVMLError_NoPermission",
                "nvmlDeviceGetTemperature(h(0), 0)": 64,
            },
        ),
        ("pid-garbage", {"nvmlDeviceGetComputeRunningProcesses(h(0))[1].pid": 4294967295}),
        ("used-over-total", {"memory(h(0)).used > memory(h(0)).total": True, "memory(h(0)).free": 0}),
        (
            "garbage",
            {
                "nvmlDeviceGetUtilizationRates(h(0)).gpu": 4294967295,
                "nvmlDeviceGetTemperature(h(0), 0)": 4294967293,
                "nvmlDeviceGetTemperatureV(h(0), 0)": -3,
                "nvmlDeviceGetPowerUsage(h(0))": 4294967295,
                "memory(h(0)).used": 2**64 - 1,
            },
        ),
        (
            "lib-old",
            {
                "memory(h(0))": "NVMLError_FunctionNotFound",
                "nvmlDeviceGetMemoryInfo(h(0)).used": (71684 + 562) << 20,
                "nvmlDeviceGetCurrentClocksEventReasons(h(0))": "NVMLError_FunctionNotFound",
                "nvmlDeviceGetCurrentClocksThrottleReasons(h(0))": 4,
                "nvmlDeviceGetComputeRunningProcesses_v3(h(0))": "NVMLError_FunctionNotFound",
                "len(nvmlDeviceGetComputeRunningProcesses_v2(h(0)))": 1,
            },
        ),
        ("16gpu", {"nvmlDeviceGetCount()": 16, "h(14)": "NVMLError_GpuIsLost"}),
    ],
)
def test_a_scenario_answers(fake_nvml: driver.FakeNvml, scenario: str, answers: dict[str, Any]) -> None:
    fake_nvml.scenario(scenario)
    assert dict(zip(answers, ask(fake_nvml, *answers)[-len(answers) :], strict=True)) == answers


def test_pids_stand_in_and_self_is_the_caller(fake_nvml: driver.FakeNvml) -> None:
    fake_nvml.scenario("8xh100", pids=[1234])
    question = "[p.pid for p in nvmlDeviceGetComputeRunningProcesses(h(0))]"
    assert ask(fake_nvml, question)[1] == [1234]
    fake_nvml.write("gpus = 1 h100\n[gpu 0]\nprocess = self 1GiB\n")
    _, pids, own = ask(fake_nvml, question, "__import__('os').getpid()")
    assert pids == [own]


def test_the_file_is_read_again(fake_nvml: driver.FakeNvml, loop: subprocess.Popen[str]) -> None:
    assert loop.stdin
    assert loop.stdout
    assert loop.stdout.readline() == "41\n"
    fake_nvml.scenario("8xh100", extra="[gpu 2]\ntemperature = 77C\n")
    loop.stdin.write("\n")
    loop.stdin.flush()
    assert loop.stdout.readline() == "77\n"


def test_a_hang_ends_when_the_file_says_so(fake_nvml: driver.FakeNvml, loop: subprocess.Popen[str]) -> None:
    assert loop.stdin
    assert loop.stdout
    loop.stdout.readline()
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetTemperature 2 hang\n")
    loop.stdin.write("\n")
    loop.stdin.flush()
    key = ("nvmlDeviceGetTemperature", 2)
    wait_until(lambda: driver.read_calls(fake_nvml.calls_path)[key] == 2)
    assert driver.read_calls_ended(fake_nvml.calls_path)[key] == 1
    fake_nvml.scenario("8xh100")
    assert loop.stdout.readline() == "41\n"


@pytest.mark.parametrize(("action", "ends_by"), [("hang", signal.SIGTERM), ("hang_hard", signal.SIGKILL)])
def test_what_ends_a_hang(
    fake_nvml: driver.FakeNvml, loop: subprocess.Popen[str], action: str, ends_by: signal.Signals
) -> None:
    assert loop.stdin
    assert loop.stdout
    loop.stdout.readline()
    fake_nvml.scenario("8xh100", extra=f"fault = nvmlDeviceGetTemperature 2 {action}\n")
    loop.stdin.write("\n")
    loop.stdin.flush()
    wait_until(lambda: driver.read_calls(fake_nvml.calls_path)["nvmlDeviceGetTemperature", 2] == 2)
    wait_until(lambda: bool(int(_status_of(loop.pid, "SigBlk"), 16)) == (action == "hang_hard"))
    loop.terminate()
    if action == "hang_hard":
        wait_until(lambda: int(_status_of(loop.pid, "ShdPnd"), 16) != 0)
        assert loop.poll() is None
        loop.kill()
    assert loop.wait(timeout=10) == -ends_by


def _status_of(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{key}:"))


def test_a_hang_with_the_drivers_lock_holds_up_other_processes(
    fake_nvml: driver.FakeNvml, loop: subprocess.Popen[str]
) -> None:
    assert loop.stdin
    assert loop.stdout
    loop.stdout.readline()
    fake_nvml.scenario("8xh100", extra="lock = driver\nfault = nvmlDeviceGetTemperature 2 hang\n")
    loop.stdin.write("\n")
    loop.stdin.flush()
    wait_until(lambda: driver.read_calls(fake_nvml.calls_path)["nvmlDeviceGetTemperature", 2] == 2)
    other = subprocess.Popen(
        [sys.executable, "-c", "import pynvml; pynvml.nvmlInit()"], env={**os.environ, **fake_nvml.env}
    )
    try:
        wait_until(lambda: driver.read_calls(fake_nvml.calls_path)["nvmlInitWithFlags", None] == 2)
        assert driver.read_calls_ended(fake_nvml.calls_path)["nvmlInitWithFlags", None] == 1
        fake_nvml.scenario("8xh100")
        assert other.wait(timeout=10) == 0
    finally:
        other.kill()
        other.wait()


def test_a_crash_is_a_crash(fake_nvml: driver.FakeNvml) -> None:
    fake_nvml.scenario("8xh100", extra="fault = nvmlInit* - crash\n")
    child = subprocess.run(
        [sys.executable, "-c", "import pynvml; pynvml.nvmlInit()"], env={**os.environ, **fake_nvml.env}, timeout=20
    )
    assert child.returncode == -signal.SIGSEGV


def test_delays_windows_and_moving_values(fake_nvml: driver.FakeNvml) -> None:
    fake_nvml.write(
        "gpus = 2 h100\nfault = nvmlDeviceGetName * lost from 3600\nfault = nvmlDeviceGetIndex * lost until 3600\n"
        "fault = nvmlDeviceGetUUID * delay 30ms\n[gpu *]\nutil = wave 40 95 30\ntemperature = ramp 10 20 0.001\n"
    )
    _, name, index, took_s, util, temperature = ask(
        fake_nvml,
        "nvmlDeviceGetName(h(0))",
        "nvmlDeviceGetIndex(h(0))",
        "[d := h(0), t := __import__('time'), a := t.monotonic(), nvmlDeviceGetUUID(d), t.monotonic() - a][-1]",
        "nvmlDeviceGetUtilizationRates(h(0)).gpu",
        "nvmlDeviceGetTemperature(h(0), 0)",
    )
    assert name.startswith("NVIDIA")
    assert index == "NVMLError_GpuIsLost"
    assert took_s >= 0.03
    assert 40 <= util <= 95
    assert temperature == 20


def test_calls_are_counted_by_function_and_gpu(fake_nvml: driver.FakeNvml) -> None:
    ask(fake_nvml, "nvmlDeviceGetPowerUsage(h(1))", "[nvmlDeviceGetPowerUsage(h(2)) for _ in range(3)]")
    calls = driver.read_calls(fake_nvml.calls_path)
    assert calls["nvmlDeviceGetPowerUsage", 1] == 1
    assert calls["nvmlDeviceGetPowerUsage", 2] == 3
    assert calls["nvmlInitWithFlags", None] == 1
    assert fake_nvml.calls()["nvmlDeviceGetPowerUsage"] == 4
    fake_nvml.reset_calls()
    assert not fake_nvml.calls()


def test_a_hidden_function_can_be_left_out_of_the_library(tmp_path: Path) -> None:
    try:
        library = driver.build(tmp_path, hide=["nvmlDeviceGetMemoryInfo_v2"])
    except driver.NoCompilerError as error:
        pytest.skip(str(error))
    fake = driver.FakeNvml(library, tmp_path)
    found = "bool(_nvmlGetFunctionPointer('nvmlDeviceGetMemoryInfo'))"
    assert ask(fake, found, found.replace("Info'", "Info_v2'"))[1:] == [True, "NVMLError_FunctionNotFound"]


def test_a_sysfs_and_a_driver_version_are_made(tmp_path: Path) -> None:
    root = driver.make_sysfs(tmp_path / "sys", driver.DGX_BUS_IDS)
    device = root / "bus/pci/devices/0000:1b:00.0"
    assert (device / "vendor").read_text() == "0x10de\n"
    assert (device / "class").read_text() == "0x030200\n"
    assert (device / "driver").resolve().name == "nvidia"
    assert "550.54.15" in driver.make_driver_version(tmp_path, "550.54.15").read_text()
