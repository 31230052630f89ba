"""Every call of NVML with every code that it can return, of one GPU each: no lie, no loss, the others complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import driver
import pytest

from mltop.sampling.gpu.binding import FUNCTIONS

SCRIPT = Path(__file__).parents[1] / "fakes/gpu_code_script.py"
CODES = [0, *range(1, 31), 999, 12345]
"""nvmlReturn_t of nvml.h, and some that no header has."""
GONE = (15, 28)
UNFIT = (14, 16)
TROUBLE = (1, 5, 7, 8, 9, 10, 11, 12, 17, 18, 19, 20, 23, 27, 29, 30, 999, 12345)
"""What is neither "this card has no such thing" nor "you may not"."""
OF_BOX = ("nvmlInit", "nvmlShutdown", "nvmlDeviceGetCount")
OF_GPU = [name for name in FUNCTIONS if name not in OF_BOX and not name.startswith("nvmlSystem")]
CALLS = [*OF_GPU, "nvmlDeviceGet*RunningProcesses", "nvmlDeviceGetProcessUtilization", "nvmlDeviceGetFieldValues"]
NOT_ASKED = {
    "nvmlDeviceGetBusType",
    "nvmlDeviceGetMarginTemperature",
    "nvmlDeviceGetPcieThroughput",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
}
"""Not of an H100 without MIG whose limits are told."""
UNKNOWN = {
    "nvmlDeviceGetHandleByIndex": "gpu.responsive",
    "nvmlDeviceGetMemoryInfo": "gpu.mem",
    "nvmlDeviceGetMemoryInfo_v2": "gpu.mem",
    "nvmlDeviceGetUtilizationRates": "gpu.idle_waste",
    "nvmlDeviceGetTemperature": "gpu.temp",
    "nvmlDeviceGetEnforcedPowerLimit": "gpu.power_cap",
    "nvmlDeviceGetPowerManagementDefaultLimit": "gpu.power_cap",
    "nvmlDeviceGetCurrentClocksEventReasons": "gpu.throttle",
    "nvmlDeviceGetTotalEccErrors": "gpu.ecc_uncorrected",
    "nvmlDeviceGetEccMode": "gpu.ecc_mode",
    "nvmlDeviceGetRemappedRows": "gpu.row_remap",
    "nvmlDeviceGetCurrPcieLinkGeneration": "gpu.pcie_gen",
    "nvmlDeviceGetCurrPcieLinkWidth": "gpu.pcie_width",
    "nvmlDeviceGetMaxPcieLinkGeneration": "gpu.pcie_gen",
    "nvmlDeviceGetMaxPcieLinkWidth": "gpu.pcie_width",
    "nvmlDeviceGetPcieReplayCounter": "gpu.pcie_replay",
    "nvmlDeviceGetNvLinkState": "gpu.nvlink",
    "nvmlDeviceGetGpuFabricInfo": "gpu.fabric",
    "nvmlDeviceGetPersistenceMode": "gpu.persistence",
    "nvmlDeviceGetVbiosVersion": "gpu.vbios",
    "nvmlDeviceGet*RunningProcesses": "gpu.mem_orphan",
    "nvmlDeviceGetFieldValues": "gpu.recovery_action",
}
"""The check that cannot be told where the call fails."""
TOLD = {"index", "uuid", "pci_bus_id", "age_s", "status", "reason", "processes", "processes_status"}
"""Keys that may be other than a well GPU's; all others are the same, or not known."""

Ask = Any


@pytest.fixture(scope="module")
def ask(fake_nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask all GPUs of a box, of which each has its code for a call."""
    folder = tmp_path_factory.mktemp("codes")
    fake = driver.FakeNvml(fake_nvml_library, folder)
    path = os.pathsep.join([str(SCRIPT.parent), *filter(None, sys.path)])
    roots = {"MLTOP_SYSFS": str(folder / "sys"), "MLTOP_KMSG": os.devnull, "PYTHONPATH": path}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, **fake.env, **roots},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asker:
        assert asker.stdin is not None
        assert asker.stdout is not None

        def asking(call: str, codes: list[int]) -> dict[str, Any]:
            asker.stdin.write(json.dumps([f"{call}*", codes]) + "\n")  # type: ignore[union-attr]
            asker.stdin.flush()  # type: ignore[union-attr]
            said: dict[str, Any] = json.loads(asker.stdout.readline())  # type: ignore[union-attr]
            return said

        yield asking


def _found(said: dict[str, Any], index: int) -> dict[str, str | None]:
    return {check: level for target, check, level in said["found"] if target == index}


@pytest.fixture(scope="module")
def well(ask: Ask) -> dict[str, Any]:
    """What is told of a GPU of which no call fails."""
    said = ask("nvmlNothing", [0] * len(CODES))
    assert said["whole"]
    assert said["driver"]
    assert set(_found(said, 0).values()) <= {None}
    return {"gpu": said["gpus"][0], "found": _found(said, 0)}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_with_every_code(ask: Ask, well: dict[str, Any], call: str) -> None:
    said = ask(call, CODES)
    assert said["whole"]
    assert said["driver"]
    assert [gpu["index"] for gpu in said["gpus"]] == list(range(len(CODES)))
    assert _found(said, 0) == well["found"]
    assert {**said["gpus"][0], "age_s": None} == {**well["gpu"], "age_s": None}
    for code, gpu in zip(CODES[1:], said["gpus"][1:], strict=True):
        _judge_one(call, code, gpu, well["gpu"], _found(said, gpu["index"]))


def _judge_one(call: str, code: int, gpu: dict[str, Any], well: dict[str, Any], found: dict[str, str | None]) -> None:
    lies = {key for key, value in gpu.items() if key not in TOLD and value not in (well[key], None, [])}
    assert lies <= ({"memory_used_bytes"} if call == "nvmlDeviceGetMemoryInfo_v2" else set()), code
    missing = {key for key in gpu.keys() - TOLD if gpu[key] is None and well[key] is not None}
    bad = {check: level for check, level in found.items() if level in ("WARNING", "CRITICAL")}
    is_asked = call not in NOT_ASKED
    if code in GONE and is_asked:
        assert (gpu["status"], bad) == ("lost", {"gpu.count": "CRITICAL"}), code
    elif code in UNFIT and is_asked:
        assert bad == {"gpu.driver": "CRITICAL"}, code
    else:
        gave_up = code == 10 and call == "nvmlDeviceGetHandleByIndex"
        assert bad == ({"gpu.responsive": "CRITICAL"} if gave_up else {}), code
        assert gpu["reason"] or code not in TROUBLE or not missing, code
        if code in TROUBLE and call in UNKNOWN and not gave_up:
            assert found[UNKNOWN[call]] == "UNKNOWN", code
    if code not in GONE and call != "nvmlDeviceGetHandleByIndex":
        assert gpu["status"] == "ok", code


@pytest.mark.parametrize("call", [*OF_BOX, *(name for name in FUNCTIONS if name.startswith("nvmlSystem"))])
def test_every_call_of_the_driver_with_every_code(ask: Ask, call: str) -> None:
    for code in CODES[1:]:
        said = ask(call, [code, 0])
        gone = call in ("nvmlInit", "nvmlDeviceGetCount")
        assert said["whole"], code
        assert said["driver"] is not gone, code
        assert len(said["gpus"]) == (0 if gone else 2), code
        levels = {level for _, _, level in said["found"]} - {None}
        assert levels <= ({"CRITICAL", "UNKNOWN"} if gone else set()), code
