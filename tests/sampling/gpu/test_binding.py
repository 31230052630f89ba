"""Two ways to one library: what the brief binding says is what NVIDIA's own says, structure for structure."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from typing import Any

import driver
import pynvml
import pytest

from mltop.sampling.gpu import binding
from mltop.sampling.gpu.nvml_process import _ProcessV2, _Share

SCRIPT = """
import ctypes, json, sys
from mltop.sampling.gpu.binding import FUNCTIONS, Binding
from mltop.sampling.gpu.nvidia_binding import NvidiaBinding

ONE = {"nvmlDeviceGetTemperature": (0,), "nvmlDeviceGetTemperatureThreshold": (1,), "nvmlDeviceGetClockInfo": (1,),
       "nvmlDeviceGetTotalEccErrors": (1, 0), "nvmlDeviceGetMemoryErrorCounter": (0, 0, 2),
       "nvmlDeviceGetPcieThroughput": (0,), "nvmlDeviceGetNvLinkState": (0,)}
BOX = ("nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion", "nvmlSystemGetCudaDriverVersion", "nvmlDeviceGetCount")
# only a verdict asks for these, and pynvml's functions have other shapes for them
VERDICT = {"nvmlDeviceGetGpuFabricInfo", "nvmlDeviceGetSramEccErrorStatus", "nvmlDeviceGetViolationStatus"}
LEFT = {*VERDICT, *BOX, "nvmlInit", "nvmlShutdown", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetMigDeviceHandleByIndex"}

def plain(value):
    if isinstance(value, ctypes.Structure):
        names = [field[0] for field in value._fields_ if field[0] not in ("version", "numbers")]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

said = []
for made in (Binding(), NvidiaBinding()):
    told = {"nvmlInit": made.call("nvmlInit", ())[0]}
    told |= {name: plain(made.call(name, ())) for name in BOX}
    for index in range(told["nvmlDeviceGetCount"][1]):
        code, handle = made.call("nvmlDeviceGetHandleByIndex", (index,))
        told[f"{index} handle"] = code
        for name in sorted(FUNCTIONS.keys() - LEFT) if code == 0 else ():
            told[f"{index} {name}"] = plain(made.call(name, (handle, *ONE.get(name, ()))))
        if code == 0:
            code, values = made.fields(handle, [(82, 0), (91, 0), (230, 0)])
            told[f"{index} fields"] = [code, [[each.code, each.number] for each in values or ()]]
    told["nowhere"] = made.symbol("nvmlNothingOfThisName") is None
    told["words"] = plain(made.words(15))
    said.append(told)
json.dump(said, sys.stdout)
"""


@pytest.mark.parametrize(
    "scenario",
    [
        "8xh100",
        "8xh100-lost",
        "4090",
        "mig-a100",
        "noperm-partly",
        "pid-garbage",
        "util-na",
        "gb10",
        "lib-old",
        "mig-noperm",
        "garbage",
    ],
)
def test_both_say_the_same(fake_nvml: driver.FakeNvml, scenario: str) -> None:
    fake_nvml.scenario(scenario)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **fake_nvml.env, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    brief, whole = json.loads(done.stdout)
    assert len(brief) > 8
    assert _told(brief) == _told(whole)


def _told(said: dict[str, object]) -> dict[str, object]:
    """An error's value means nothing, whoever filled it in; a symbol that is not there is an error, too."""
    return {name: [13, None] if one is None else _without_value(one) for name, one in said.items()}


def _without_value(one: object) -> object:
    return [one[0], None] if isinstance(one, list) and one[0] != 0 else one


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (binding.PciInfo, pynvml.nvmlPciInfo_t),
        (binding.MemoryV1, pynvml.c_nvmlMemory_t),
        (binding.MemoryV2, pynvml.c_nvmlMemory_v2_t),
        (binding.Utilization, pynvml.c_nvmlUtilization_t),
        (binding.Violation, pynvml.c_nvmlViolationTime_t),
        (binding.Field, pynvml.c_nvmlFieldValue_t),
        (binding.Margin, pynvml.c_nvmlMarginTemperature_v1_t),
        (binding.SramErrors, pynvml.c_nvmlEccSramErrorStatus_v1_t),
        (binding.Fabric, pynvml.c_nvmlGpuFabricInfo_v2_t),
        (_ProcessV2, pynvml.c_nvmlProcessInfo_v2_t),
        (_Share, pynvml.c_nvmlProcessUtilizationSample_t),
    ],
)
def test_a_structure_is_laid_out_as_nvidia_lays_it(ours: type, theirs: type) -> None:
    """Of several numbers of one sort, which are of no interest one by one, ours may be one array."""
    assert ctypes.sizeof(ours) == ctypes.sizeof(theirs)
    known = {(place, size) for _, place, size in _fields(theirs)}
    for name, place, size in _fields(ours):
        of_it = [one for one in sorted(known) if place <= one[0] < place + size]
        is_many = name in ("numbers", "counts")
        assert sum(one[1] for one in of_it) == size if is_many else of_it[0][0] == place and size <= of_it[0][1], name


def _fields(structure: Any) -> list[tuple[str, int, int]]:
    """The name, the place and the size of each, in bytes."""
    found = [(name, getattr(structure, name)) for name, *_ in structure._fields_]
    return [(name, field.offset, field.size) for name, field in found]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (binding.MemoryV2, pynvml.nvmlMemory_v2),
        (binding.Margin, pynvml.nvmlMarginTemperature_v1),
        (binding.Fabric, pynvml.nvmlGpuFabricInfo_v2),
        (binding.SramErrors, pynvml.nvmlEccSramErrorStatus_v1),
    ],
)
def test_a_structure_says_its_version_as_nvidias_does(ours: type, theirs: int) -> None:
    assert binding._empty(ours).version == theirs
