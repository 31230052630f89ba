"""`mltop --check` on a box whose files tell of trouble: the kernel log, fstab, the tables, the network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HOST = "disk.kernel_errors,disk.mount_missing,io.psi,mem.oom,mem.edac,cpu.thermal,proc.*,time.sync,net.link"


class Box:
    """Roots of its own, and a state that runs share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "kmsg"
        self.log.write_text("6,0,1,-;Linux version 6.8\n")
        for name in ("sys/bus/pci/devices", "etc", "state", "dev", "proc/self"):
            (folder / name).mkdir(parents=True)
        self.file("proc/uptime", "50000.0 1.0")
        self.file("proc/self/mountinfo", "27 1 8:1 / / rw - ext4 /dev/sda1 rw")
        self.file("proc/sys/fs/file-nr", "9 0 1000")
        self.file("proc/sys/kernel/pid_max", "1000")
        self.file("proc/sys/kernel/random/boot_id", "b1")
        self.file("proc/loadavg", "0 0 0 1/100 9")
        self.file("proc/vmstat", "oom_kill 3")
        self.file("proc/1/stat", "1 (init) S 0 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 3 9 9" + " 0" * 28)
        self.file("proc/pressure/io", "some avg10=0 avg60=0 avg300=0 total=0\nfull avg10=0 avg60=1 avg300=0 total=0")

    def file(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(f"{text}\n")

    def check(self, *arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        roots = {f"MLTOP_{name}": str(self.folder / path) for name, path in (
            ("PROCFS", "proc"), ("SYSFS", "sys"), ("ETC", "etc"), ("DEV", "dev"), ("KMSG", "kmsg"),
        )}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "mltop", "--check", "--json", "--state-dir", str(self.folder / "state"), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **roots},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        made = json.loads(done.stdout)
        return done.returncode, {(one["check"], one["target"]): one for one in made["results"]}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    folder = tmp_path / "box"
    folder.mkdir()
    return Box(folder)


def test_a_quiet_box(box: Box) -> None:
    code, found = box.check("--skip", "disk.space,disk.shm,mem.available,cpu.load,self.*")
    told = {check: one["state"] for (check, _), one in found.items() if one["state"] not in ("SKIP", "OK")}
    told = {check: state for check, state in told.items() if not check.startswith(("cpu.", "mem."))}
    assert told == {}
    assert code in (0, 3)  # this box has no /proc/stat
    for check in ("disk.kernel_errors", "io.psi", "mem.oom", "proc.dstate", "proc.zombie", "proc.fds", "proc.pids"):
        assert found[check, ""]["state"] == "OK", found[check, ""]


def test_trouble_is_found_with_no_earlier_run(box: Box) -> None:
    at = int((time.monotonic() - 30) * 1e6)
    box.log.write_text(f"2,1,{at},-;nvme nvme0: Disabling device after reset failure: -19\n")
    box.file("etc/fstab", "/dev/sdb1 /data ext4 defaults 0 2")
    box.file("proc/sys/fs/file-nr", "950 0 1000")
    box.file("proc/pressure/io", "some avg10=0 avg60=0 avg300=0 total=0\nfull avg10=0 avg60=25 avg300=0 total=0")
    code, found = box.check("--only", HOST)
    assert code == 2
    assert found["disk.kernel_errors", "nvme0"]["state"] == "CRITICAL"
    assert found["disk.mount_missing", "/data"]["state"] == "CRITICAL"
    assert found["proc.fds", ""]["state"] == "CRITICAL"
    assert (found["io.psi", ""]["state"], found["io.psi", ""]["value"]) == ("WARNING", 25.0)


def test_what_grew_since_the_last_run_is_found(box: Box) -> None:
    port = "sys/class/net/eth0"
    for name, text in {"flags": "0x1003", "carrier": "1", "operstate": "up", "carrier_down_count": "1"}.items():
        box.file(f"{port}/{name}", text)
    (box.folder / port / "device").mkdir()
    box.file("proc/7/stat", "7 (nvidia-smi) D 1 7 7 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 3 9 9" + " 0" * 28)
    _, found = box.check("--only", HOST)
    assert {found[key]["state"] for key in (("mem.oom", ""), ("proc.dstate", ""), ("net.link", "eth0"))} == {"OK"}
    box.file("proc/uptime", "50400.0 1.0")
    box.file("proc/vmstat", "oom_kill 4")
    box.file(f"{port}/carrier_down_count", "9")
    code, found = box.check("--only", HOST)
    assert code == 2
    assert (found["mem.oom", ""]["state"], found["mem.oom", ""]["value"]) == ("WARNING", 1.0)
    assert found["net.link", "eth0"]["state"] == "WARNING"
    (stuck,) = [one for (check, _), one in found.items() if check == "proc.dstate"]
    assert (stuck["state"], stuck["target_name"]) == ("CRITICAL", "nvidia-smi (7)")


def test_a_port_that_came_up_too_slowly(box: Box) -> None:
    port = "sys/class/infiniband/mlx5_0/ports/1"
    told = {
        "state": "4: ACTIVE",
        "phys_state": "5: LinkUp",
        "link_layer": "InfiniBand",
        "rate": "100 Gb/sec (1X NDR)",
    }
    for name, text in told.items():
        box.file(f"{port}/{name}", text)
    arguments = ("--only", "net.link", "--config", str(box.folder / "config.toml"))
    for gbit, code in ((100, 0), (400, 1)):
        box.file("config.toml", f'[expect]\nlink_gbit = {{ "mlx5_0/1" = {gbit} }}')
        assert box.check(*arguments)[0] == code
    assert box.check(*arguments)[1]["net.link", "mlx5_0/1"]["summary"] == "100 Gbit/s, 400 expected"
    box.file("config.toml", '[expect]\nlink_gbit = { eth0 = "fast" }')
    assert box.check(*arguments)[0] == 3


def test_a_port_that_the_config_expects(box: Box) -> None:
    box.file("config.toml", '[expect]\nlinks = ["eth9"]')
    code, found = box.check("--only", "net.link", "--config", str(box.folder / "config.toml"))
    assert (code, {target: one["state"] for (_, target), one in found.items()}) == (2, {"eth9": "CRITICAL"})
