"""Every reading of `mltop --check` that fails is UNKNOWN and never OK, and takes no other check with it (C3).

The faults stand at the edge: files of /proc that cannot be read, are no text, hold no numbers or never answer, and a
driver whose functions fail, refuse, hang, crash or tell nonsense.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import driver
import pytest
from gpu_verdict import GpuVerdict, gpu_verdict
from needed import by_modes

from mltop.checks.catalogue import CATALOGUE

pytestmark = pytest.mark.integration

States = dict[tuple[str, str], str]
PROC = {
    "loadavg": {"cpu.load"},
    "meminfo": {"mem.available", "mem.swap"},
    "pressure/cpu": {"cpu.psi"},
    "pressure/memory": {"mem.psi"},
    "pressure/io": {"io.psi"},
    "vmstat": {"mem.oom"},
    "sys/fs/file-nr": {"proc.fds"},
}
"""Files of /proc, and what cannot be told without them."""
IDS = {check.id for check in CATALOGUE}
ALSO = ("uptime", "stat", "cpuinfo", "sys/kernel/hostname", "sys/kernel/random/boot_id", "sys/kernel/pid_max")


class Box:
    """A copy of what is read of /proc, so that nothing moves between two runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proc = folder / "proc"
        (folder / "sys/bus/pci/devices").mkdir(parents=True)
        for name in (*PROC, *ALSO, "self/mountinfo", "self/cgroup"):
            if Path("/proc", name).exists():
                path = self.proc / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(Path("/proc", name).read_bytes())
        table = self.proc / "self/mountinfo"  # what others mount here meanwhile is no part of the box
        lines = table.read_text().splitlines(keepends=True)
        table.write_text("".join(line for line in lines if line.split()[4] in ("/", "/dev/shm")))

    def states(self, *, prefix: tuple[str, ...] = ()) -> States:
        environment = {
            "PATH": os.environ["PATH"], "MLTOP_PROCFS": str(self.proc), "MLTOP_SYSFS": str(self.folder / "sys"),
            "MLTOP_KMSG": os.devnull, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        only = ",".join(sorted({"self.config", "disk.space"}.union(*PROC.values()) & IDS))
        command = [*prefix, sys.executable, "-m", "mltop", "--check", "--no-state", "--json", "--only", only, "-t", "4"]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
        made: dict[str, Any] = json.loads(done.stdout)
        assert (done.stderr, made["exit_code"], made["complete"]) == ("", done.returncode, True)
        return {(one["check"], one["target"]): one["state"] for one in made["results"]}


def _is_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _never_answers(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _has_no_numbers(path: Path) -> None:
    path.write_text(re.sub(r"\d+(\.\d+)?", "nan", path.read_text()))


FAULTS: Mapping[str, Callable[[Path], object]] = {
    "raises": _is_a_folder,
    "is gone": Path.unlink,
    "hangs": _never_answers,
    "is garbage": lambda path: path.write_bytes(b"\xff\xfe\x00 ;-)\n" * 40),
    "is empty": lambda path: path.write_bytes(b""),
    "is not a number": _has_no_numbers,
    "is refused": lambda path: path.chmod(0),
}


EVERY_LINUX = ("loadavg", "meminfo")
AT_ONCE = (*EVERY_LINUX, "pressure/cpu", "pressure/memory")
"""The kernel's own memory, for the dashboard too; the others are read where they can be abandoned."""
TRIED = [(name, fault) for name in PROC for fault in FAULTS if not (name in AT_ONCE and fault == "hangs")]


@pytest.mark.parametrize(("name", "fault"), TRIED)
def test_a_file_of_the_host(tmp_path: Path, name: str, fault: str) -> None:
    box = Box(tmp_path)
    if not (box.proc / name).exists():
        pytest.skip(f"no /proc/{name} here")
    prefix: tuple[str, ...] = ()
    if fault == "is refused" and os.geteuid() == 0:
        prefix = by_modes()
    before = box.states(prefix=prefix)
    FAULTS[fault](box.proc / name)
    after = box.states(prefix=prefix)
    for key, state in after.items():
        if key[0] in PROC[name]:
            is_there = fault != "is gone" or name in EVERY_LINUX  # another kernel may not have it
            assert state == "UNKNOWN" or (state == "SKIP" and not is_there), key
    assert {key[0] for key in after} == {key[0] for key in before}
    others = {key: state for key, state in after.items() if key[0] not in PROC[name]}
    assert others == {key: state for key, state in before.items() if key[0] not in PROC[name]}


# --- the driver

NVML = {
    "gpu.temp": "nvmlDeviceGetTemperature",
    "gpu.ecc_uncorrected": "nvmlDeviceGetTotalEccErrors",
    "gpu.ecc_corrected": "nvmlDeviceGet*Err*",
    "gpu.row_remap": "nvmlDeviceGetRemappedRows",
    "gpu.throttle": "nvmlDeviceGetCurrentClocks*Reasons",
    "gpu.pcie_width": "nvmlDeviceGetCurrPcieLinkWidth",
    "gpu.pcie_gen": "nvmlDeviceGetCurrPcieLinkGeneration",
    "gpu.persistence": "nvmlDeviceGetPersistenceMode",
    "gpu.nvlink": "nvmlDeviceGetNvLinkState",
    "gpu.mem_orphan": "nvmlDeviceGetComputeRunningProcesses*",
    "gpu.vbios": "nvmlDeviceGetVbiosVersion",
    "gpu.ecc_mode": "nvmlDeviceGetEccMode",
}
"""What each check asks the driver for first."""
WHO = "GPU 2"


@pytest.fixture
def well(fake_nvml: driver.FakeNvml, tmp_path: Path) -> GpuVerdict:
    fake_nvml.scenario("8xh100")
    return gpu_verdict(fake_nvml, tmp_path, "--no-state")


def others(made: GpuVerdict) -> States:
    """All states but those of the GPU that has the fault, and of the driver."""
    told = [one for one in made.results if one["target_name"] not in (WHO, "driver")]
    return {(one["check"], one["target"]): one["state"] for one in told}


def of_it(made: GpuVerdict, check: str) -> str:
    return made.of(check)[WHO]


@pytest.mark.parametrize("check", NVML)
def test_a_function_of_the_driver_that_fails(
    fake_nvml: driver.FakeNvml, tmp_path: Path, well: GpuVerdict, check: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {NVML[check]} 2 unknown\n")
    made = gpu_verdict(fake_nvml, tmp_path, "--no-state")
    assert of_it(made, check) == "UNKNOWN"
    assert others(made) == others(well)


@pytest.mark.parametrize("check", [check for check in NVML if not check.startswith("gpu.pcie")])
def test_a_function_of_the_driver_that_is_refused(
    fake_nvml: driver.FakeNvml, tmp_path: Path, well: GpuVerdict, check: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {NVML[check]} 2 no_permission\n")
    made = gpu_verdict(fake_nvml, tmp_path, "--no-state")
    assert of_it(made, check) in ("SKIP", "UNKNOWN")
    assert others(made) == others(well)
    asked = gpu_verdict(fake_nvml, tmp_path, "--no-state", "--only", check)
    assert of_it(asked, check) == "UNKNOWN"


@pytest.mark.parametrize("check", ["gpu.temp", "gpu.ecc_uncorrected", "gpu.vbios", "gpu.mem_orphan"])
@pytest.mark.parametrize("action", ["hang 60s", "crash"])
def test_a_function_of_the_driver_that_never_returns(
    fake_nvml: driver.FakeNvml, tmp_path: Path, check: str, action: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {NVML[check]} 2 {action}\n")
    made = gpu_verdict(fake_nvml, tmp_path, "--no-state", "-t", "3")
    assert made.exit_code in (2, 3)
    assert "OK" not in {one["state"] for one in made.results if one["check"] == check and one["target_name"] == WHO}
    assert set(made.of("gpu.responsive").values()) & {"CRITICAL", "UNKNOWN"}


NONSENSE = {
    "temperature": "gpu.temp",
    "ecc_unc_volatile": "gpu.ecc_uncorrected",
    "pcie_width": "gpu.pcie_width",
    "remap_unc": "gpu.row_remap",
    "reasons": "gpu.throttle",
}


@pytest.mark.parametrize("key", NONSENSE)
def test_a_number_with_all_its_bits_set_is_no_number(
    fake_nvml: driver.FakeNvml, tmp_path: Path, well: GpuVerdict, key: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"[gpu 2]\n{key} = na\n")
    made = gpu_verdict(fake_nvml, tmp_path, "--no-state")
    assert of_it(made, NONSENSE[key]) in ("UNKNOWN", "SKIP")
    assert others(made) == others(well)
    values = json.dumps([(one["value"], one["data"]) for one in made.results])
    assert not re.search(r"4294967295|18446744073709551615|9223372036854775794", values)


# --- the history of the jobs


@pytest.mark.parametrize("fault", ["raises", "hangs", "is garbage"])
def test_the_history_of_the_jobs(tmp_path: Path, fault: str) -> None:
    config, state = tmp_path / "c.toml", tmp_path / "state"
    config.write_text('[jobs.a]\nkind = "command"\ncommand = ["true"]\nschedule = "0 2 * * *"\n')
    environment = {**os.environ, "MLTOP_CONFIG": str(config), "MLTOP_STATE_DIR": str(state)}
    command = [sys.executable, "-m", "mltop"]
    subprocess.run([*command, "run", "a"], env=environment, stdin=subprocess.DEVNULL, check=True, timeout=30)
    FAULTS[fault](state / "history.db")
    only = "job.failed,job.late,self.config,mem.available"
    done = subprocess.run(
        [*command, "--check", "--no-state", "--json", "-t", "2", "--only", only],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    made = {one["check"]: one["state"] for one in json.loads(done.stdout)["results"]}
    assert (made["job.failed"], made["job.late"]) == ("UNKNOWN", "UNKNOWN")
    assert (made["self.config"], made["mem.available"]) == ("OK", "OK")
