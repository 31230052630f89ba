"""What a verdict reads of the host, on a box made of files: values, gaps, refusals, hangs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from patience import assert_within

from mltop.model.host_facts import HostFacts, MemoryController, Pool, Sensor
from mltop.model.snapshot import Gpu, GpuProcess, Status
from mltop.sampling.host.cgroup import read_memory_group
from mltop.sampling.host.clock import read_clock, told
from mltop.sampling.host.facts import SOURCES, FactReading, item
from mltop.sampling.host.hardware import read_edac, read_oom_kills, read_swapping, read_thermal
from mltop.sampling.host.link import read_links
from mltop.sampling.host.mount_table import parse_table, read_mount_table
from mltop.sampling.host.pressure import read_stall
from mltop.sampling.host.program import outputs
from mltop.sampling.host.smart import parse, read_smart
from mltop.sampling.host.task import read_handles, read_pids, read_tasks
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import why_not

if TYPE_CHECKING:
    from conftest import FakeBox

WaitFor = Callable[..., None]
ALL = {check for source in SOURCES.values() for check in source.checks}
CONTAINER = "pid:[4026532999]"


def be_container(box: FakeBox) -> None:
    folder = box.roots.proc / "self/ns"
    folder.mkdir(parents=True)
    (folder / "pid").symlink_to(CONTAINER)


@pytest.mark.parametrize(("uid", "remedy"), [(1000, "run as root"), (0, "security options")])
def test_what_is_refused_says_what_would_help(monkeypatch: pytest.MonkeyPatch, uid: int, remedy: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    status, reason = why_not(PermissionError(13, "Permission denied"), "/proc/stat")
    assert status is Status.NO_PERMISSION
    assert reason.startswith("no permission to read /proc/stat: ")
    assert remedy in reason


# --- the processes


def test_processes(box: FakeBox) -> None:
    box.process(1, "init")
    box.process(7, "dd", state="D", start=3, ticks=5)
    box.process(8, "train.py", state="D")
    box.process(9, "nvidia-modeset/", state="D")
    box.process(10, "mltop-m-1234567", state="D")  # told by the mount
    for pid in (20, 21):
        box.process(pid, "gone", state="Z", ppid=1)
    box.process(30, "chronyd")
    box.process(31, "a) Z 1 (b")
    box.proc("1/comm", "init\n")
    box.proc("sys/kernel/pid_max", "4194304\n")
    box.proc("40/stat", "garbage")
    fds = box.roots.proc / "8/fd"
    fds.mkdir()
    (fds / "3").symlink_to("/dev/nvidia0")
    found = read_tasks(box.roots)
    assert (found.total, found.zombies, found.worst_parent, found.most) == (9, 2, "init (1)", 4194304)
    assert {one.pid: (one.name, one.is_of_gpu) for one in found.waiting} == {
        7: ("dd", False),
        8: ("train.py", True),
        9: ("nvidia-modeset/", True),
    }
    assert [(one.start_ticks, one.cpu_ticks) for one in found.waiting if one.pid == 7] == [(3, 5)]
    assert found.time_service == "chronyd"


@pytest.mark.parametrize(("word", "names"), [("FROZEN", []), ("THAWED", ["train.py"])])
def test_a_paused_container_does_not_stand_still(box: FakeBox, word: str, names: list[str]) -> None:
    """`docker pause` under cgroup v1: the kernel shows each of its processes in state D."""
    box.process(7, "train.py", state="D")
    box.proc("7/cgroup", "9:freezer:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n")
    box.proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup/freezer rw - cgroup c rw,freezer\n")
    box.sys("fs/cgroup/freezer/docker/abc/freezer.state", f"{word}\n")
    assert [one.name for one in read_tasks(box.roots).waiting] == names


def test_zombies_that_have_had_no_time_to_be_collected_do_not_count(box: FakeBox) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    box.proc("uptime", "1000.0 1.0\n")
    box.proc("1/comm", "init\n")
    for pid, started_s in ((20, 699), (21, 701), (22, 999)):
        box.process(pid, "gone", state="Z", ppid=1, start=started_s * ticks)
    found = read_tasks(box.roots)
    assert (found.zombies, found.total, found.worst_parent) == (1, 3, "init (1)")


@pytest.mark.parametrize("tools", ["VBoxService", "vmtoolsd"])
def test_the_tools_of_a_guest_are_no_time_service(box: FakeBox, tools: str) -> None:
    box.process(30, tools)
    assert read_tasks(box.roots).time_service is None


def test_processes_that_make_no_sense_are_not_none(box: FakeBox) -> None:
    box.proc("7/stat", "garbage")
    with pytest.raises(ValueError, match="no process"):
        read_tasks(box.roots)
    box.process(8)
    assert read_tasks(box.roots).total == 1


def test_no_processes_is_no_zombie_nor_ok(box: FakeBox) -> None:
    assert read_tasks(box.roots).status is Status.UNSUPPORTED


def test_tables(box: FakeBox) -> None:
    box.proc("sys/fs/file-nr", "900\t100\t1000\n")
    assert read_handles(box.roots).files == Pool(name="system", used=800, most=1000)
    box.proc("loadavg", "0.1 0.2 0.3 2/500 1234\n")
    box.proc("sys/kernel/pid_max", "4000\n")
    box.proc("sys/kernel/threads-max", "1000\n")
    box.proc("self/cgroup", "0::/a/b\n")
    box.proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    box.sys("fs/cgroup/a/pids.max", "200\n")
    box.sys("fs/cgroup/a/pids.current", "150\n")
    box.sys("fs/cgroup/a/b/pids.max", "max\n")
    assert read_pids(box.roots).pools == (
        Pool(name="system", used=500, most=1000),
        Pool(name="control group", used=150, most=200),
    )
    box.proc("sys/fs/file-nr", "garbage\n")
    with pytest.raises((ValueError, LookupError)):
        read_handles(box.roots)


# --- memory


def test_oom_kills_of_the_kernel_and_in_a_container_of_its_group(box: FakeBox) -> None:
    box.proc("vmstat", "nr_free_pages 1\noom_kill 4\n")
    found = read_oom_kills(box.roots)
    assert (found.kills, found.is_of_group) == (4, False)
    be_container(box)
    box.proc("self/cgroup", "0::/\n")
    box.proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n")
    box.sys("fs/cgroup/memory.events", "low 0\noom 1\noom_kill 1\n")
    found = read_oom_kills(box.roots)
    assert (found.kills, found.is_of_group) == (1, True)


def test_a_container_with_groups_of_its_own_counts_the_kills_of_all(box: FakeBox) -> None:
    """systemd in a container: this process is in a slice, and another one of the container was killed."""
    be_container(box)
    box.proc("self/cgroup", "0::/user.slice/session-1.scope\n")
    box.proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n")
    box.sys("fs/cgroup/user.slice/session-1.scope/memory.events", "oom_kill 0\n")
    assert read_oom_kills(box.roots).kills == 0  # the top of the whole tree has no such file
    box.sys("fs/cgroup/memory.events", "oom_kill 2\n")
    assert read_oom_kills(box.roots).kills == 2


def test_what_came_back_from_swap(box: FakeBox) -> None:
    box.proc("vmstat", "nr_free_pages 1\npswpin 12\n")
    assert read_swapping(box.roots).pages_in == 12
    box.proc("vmstat", "nr_free_pages 1\n")
    assert read_swapping(box.roots).status is Status.UNSUPPORTED


def test_a_kernel_that_does_not_count_kills(box: FakeBox) -> None:
    box.proc("vmstat", "nr_free_pages 1\n")
    assert read_oom_kills(box.roots).status is Status.UNSUPPORTED


@pytest.mark.parametrize(("v2", "cache"), [(True, "inactive_file"), (False, "total_inactive_file")])
def test_memory_of_the_tightest_group(box: FakeBox, v2: bool, cache: str) -> None:
    box.proc("meminfo", "MemTotal: 1000 kB\n")
    box.proc("self/cgroup", "0::/a/b\n" if v2 else "4:memory:/a/b\n")
    mount = "cgroup2 c rw" if v2 else "cgroup c rw,memory"
    where = "fs/cgroup" if v2 else "fs/cgroup/memory"
    box.proc("self/mountinfo", f"30 1 0:26 / /sys/{where} rw - {mount}\n")
    limit, used = ("memory.max", "memory.current") if v2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for group, numbers in (("a", (500_000, 400_000)), ("a/b", (2_000_000, 400_000))):
        box.sys(f"{where}/{group}/{limit}", f"{numbers[0]}\n")
        box.sys(f"{where}/{group}/{used}", f"{numbers[1]}\n")
        box.sys(f"{where}/{group}/memory.stat", f"anon 5\n{cache} 100000\n")
    found = read_memory_group(box.roots)
    assert (found.limit_bytes, found.used_bytes) == (500_000, 300_000)
    box.sys(f"{where}/a/{limit}", "max\n" if v2 else "9223372036854771712\n")
    assert read_memory_group(box.roots).status is Status.UNSUPPORTED


@pytest.mark.parametrize("name", ["memory.max", "memory.current", "pids.max", "pids.current"])
def test_a_group_that_makes_no_sense_is_not_without_a_limit(box: FakeBox, name: str) -> None:
    box.proc("meminfo", "MemTotal: 1000 kB\n")
    box.proc("loadavg", "0 0 0 1/9 9\n")
    box.proc("sys/kernel/pid_max", "100\n")
    box.proc("self/cgroup", "0::/a\n")
    box.proc("self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 c rw\n")
    numbers = {
        "memory.max": "5000",
        "memory.current": "9",
        "memory.stat": "anon 5",
        "pids.max": "9",
        "pids.current": "1",
    }
    for file, text in {**numbers, name: "garbage"}.items():
        box.sys(f"fs/cgroup/a/{file}", f"{text}\n")
    with pytest.raises(ValueError, match="garbage"):
        (read_memory_group if name.startswith("memory") else read_pids)(box.roots)


def test_memory_controllers(box: FakeBox) -> None:
    assert read_edac(box.roots).status is Status.UNSUPPORTED
    box.sys("devices/system/edac/mc/mc0/ce_count", "7\n")
    box.sys("devices/system/edac/mc/mc0/ue_count", "0\n")
    assert read_edac(box.roots).controllers == (MemoryController(name="mc0", corrected=7, uncorrected=0),)
    box.sys("devices/system/edac/mc/mc1/ce_count", "garbage\n")
    box.sys("devices/system/edac/mc/mc1/ue_count", "-1\n")
    broken = MemoryController(name="mc1", corrected=None, uncorrected=None)
    assert read_edac(box.roots).controllers[1] == broken


# --- heat, pressure, the clock


def test_sensors_with_the_limits_of_their_chip(box: FakeBox) -> None:
    for name, text in {
        "name": "coretemp", "temp1_input": "63000", "temp1_label": "Package id 0", "temp1_max": "82000",
        "temp1_crit": "92000", "temp2_input": "60000", "temp2_max": "0", "temp2_crit": "127000",
    }.items():  # fmt: skip
        box.sys(f"class/hwmon/hwmon0/{name}", f"{text}\n")
    box.sys("class/hwmon/hwmon1/name", "nvme\n")
    box.sys("class/hwmon/hwmon1/temp1_input", "99000\n")
    for core, (ms, count) in enumerate([(100, 2), (400, 3)]):
        box.sys(f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_total_time_ms", f"{ms}\n")
        box.sys(f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", f"{count}\n")
    found = read_thermal(box.roots)
    assert found.sensors == (
        Sensor(name="coretemp Package id 0", celsius=63.0, high=82.0, critical=92.0),
        Sensor(name="coretemp temp2", celsius=60.0),
    )
    assert (found.throttle_ms, found.throttle_count) == (400, 5)


def test_a_box_without_sensors(box: FakeBox) -> None:
    assert read_thermal(box.roots).status is Status.UNSUPPORTED


def test_pressure_that_is_not_there_is_told_from_pressure_that_makes_no_sense(box: FakeBox) -> None:
    assert read_stall(box.roots, "io").status is Status.UNSUPPORTED
    box.proc("pressure/io", "some avg10=nan avg60=nan avg300=nan total=x\n")
    with pytest.raises(ValueError, match="no averages"):
        read_stall(box.roots, "io")


def test_the_clock(box: FakeBox) -> None:
    assert read_clock(Roots()).status in (Status.OK, Status.UNSUPPORTED)
    kept = told(0x2000, -50_000_000, 16_000)
    assert (kept.is_synchronised, kept.offset_s, kept.max_error_s) == (True, -0.05, 0.016)
    assert told(0x0040, 50_000, 0).is_synchronised is False
    be_container(box)
    assert read_clock(box.roots).status is Status.UNSUPPORTED


# --- the network


def test_ports(box: FakeBox) -> None:
    for path, text in {
        "eth0/flags": "0x1003", "eth0/carrier": "1", "eth0/speed": "10000", "eth0/operstate": "up",
        "eth0/carrier_changes": "7", "eth0/carrier_down_count": "3", "eth0/statistics/rx_packets": "10",
        "eth0/statistics/tx_packets": "20", "eth0/statistics/rx_errors": "1", "eth0/statistics/tx_errors": "0",
        "eth1/flags": "0x1002", "eth1/operstate": "down", "eth1/carrier_changes": "4", "docker0/flags": "0x1003",
    }.items():  # fmt: skip
        box.sys(f"class/net/{path}", f"{text}\n")
    port = "class/infiniband/mlx5_0/ports/1"
    for path, text in {
        "state": "2: INIT", "phys_state": "5: LinkUp", "rate": "200 Gb/sec (4X HDR)", "link_layer": "InfiniBand",
        "counters/link_downed": "2",
    }.items():  # fmt: skip
        box.sys(f"{port}/{path}", f"{text}\n")
    box.sys("class/infiniband/mlx5_1/ports/1/link_layer", "Ethernet\n")
    found = {one.name: one for one in read_links(box.roots).links}
    assert set(found) == {"eth0", "eth1", "mlx5_0/1"}
    up, off, fabric = found["eth0"], found["eth1"], found["mlx5_0/1"]
    assert (up.is_up, up.losses, up.packets, up.errors, up.rate_mbit) == (True, 3, 30, 1, 10_000)
    assert (off.is_enabled, off.is_up, off.losses, off.errors) == (False, None, 2, None)
    assert (fabric.is_up, fabric.state, fabric.losses, fabric.rate_mbit) == (False, "INIT", 2, 200_000)


def test_a_port_that_makes_no_sense_takes_no_other_with_it(box: FakeBox) -> None:
    for name, flags in (("eth0", "0x1003"), ("eth1", "garbage")):
        box.sys(f"class/net/{name}/flags", f"{flags}\n")
        box.sys(f"class/net/{name}/carrier", "1\n")
    (box.roots.sys / "class/net/eth2").symlink_to("nowhere")  # taken out while we look
    box.sys("class/infiniband/mlx5_0/ports/1/state", "garbage\n")
    box.sys("class/infiniband/mlx5_1/ports/1/state", "4: ACTIVE\n")
    found = read_links(box.roots)
    assert found.status is Status.OK
    told = {one.name: (one.is_enabled, one.is_up) for one in found.links}
    assert told == {"eth0": (True, True), "eth1": (True, None), "mlx5_0/1": (True, None), "mlx5_1/1": (True, True)}


def test_a_box_without_a_network_card(box: FakeBox) -> None:
    assert read_links(box.roots).status is Status.UNSUPPORTED


# --- mounts


FSTAB = r"""# comment
UUID=1234 / ext4 defaults 0 1
/dev/sdb1 /data xfs ro,noatime 0 2
UUID=gone /backup ext4 defaults,nofail 0 2
/dev/sdc1 /spare ext4 nofail 0 2
nas:/models /mnt/my\040models/ nfs4 defaults 0 0
/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0
/srv/x /srv/y none bind 0 0
/swapfile none swap sw 0 0
/dev/sda3 swap swap sw 0 0
broken
"""
MOUNTS = (
    "27 1 8:1 / / rw - ext4 /dev/sda1 ro,errors=remount-ro\n"
    "30 27 8:17 / /data ro - xfs /dev/sdb1 ro\n"
    "31 27 8:17 / /srv/y ro - xfs /dev/sdb1 rw\n"
)


def test_which_mounts_are_wanted() -> None:
    found = [(spec, path) for spec, path, _ in parse_table(FSTAB.encode())]
    assert found == [
        ("UUID=1234", "/"),
        ("/dev/sdb1", "/data"),
        ("UUID=gone", "/backup"),
        ("/dev/sdc1", "/spare"),
        ("nas:/models", "/mnt/my models"),
        ("/srv/x", "/srv/y"),
    ]


def test_the_mount_table(box: FakeBox, tmp_path: Path) -> None:
    roots = Roots(proc=box.roots.proc, sys=box.roots.sys, dev=tmp_path / "dev", etc=tmp_path / "etc")
    roots.etc.mkdir()
    (roots.etc / "fstab").write_text(FSTAB)
    roots.dev.mkdir()
    (roots.dev / "sdc1").touch()
    box.proc("self/mountinfo", MOUNTS)
    found = read_mount_table(roots)
    flags = {one.path: (one.is_mounted, one.is_readonly, one.is_optional, one.may_be_absent) for one in found.expected}
    assert flags == {
        "/": (True, False, False, False),
        "/data": (True, True, False, False),
        "/backup": (False, False, True, True),
        "/spare": (False, False, True, False),
        "/mnt/my models": (False, False, False, False),
        "/srv/y": (True, False, False, False),
    }
    by_kernel = {one.path: (one.device, one.is_by_kernel) for one in found.readonly}
    assert by_kernel == {"/": ("sda1", True), "/data": ("sdb1", False), "/srv/y": ("sdb1", False)}
    assert found.devices == {"sda1": "/", "sdb1": "/data"}
    be_container(box)
    assert read_mount_table(roots).expected == ()


@pytest.mark.parametrize(
    ("spec", "link"),
    [
        (r"LABEL=My\040Data", r"by-label/My\x20Data"),
        ('LABEL="a/b"', r"by-label/a\x2fb"),
        ("LABEL=Größe", "by-label/Größe"),
        ("ID=nvme-eui.1", "by-id/nvme-eui.1"),
        ("PARTUUID=01-02", "by-partuuid/01-02"),
    ],
)
def test_a_device_by_its_tag_is_there_or_not(box: FakeBox, tmp_path: Path, spec: str, link: str) -> None:
    """With `nofail` only one that is not there is excused; links are named by udev, which escapes."""
    roots = Roots(proc=box.roots.proc, sys=box.roots.sys, dev=tmp_path / "dev", etc=tmp_path / "etc")
    roots.etc.mkdir()
    (roots.etc / "fstab").write_text(f"{spec} /data ext4 nofail 0 2\n")
    box.proc("self/mountinfo", MOUNTS.replace(" /data ", " /elsewhere "))
    assert [one.may_be_absent for one in read_mount_table(roots).expected] == [True]
    path = roots.dev / "disk" / link
    path.parent.mkdir(parents=True)
    path.touch()
    assert [one.may_be_absent for one in read_mount_table(roots).expected] == [False]


def test_a_mount_table_that_makes_no_sense(box: FakeBox) -> None:
    box.proc("self/mountinfo", "garbage\n")
    with pytest.raises(ValueError, match="no mount"):
        read_mount_table(box.roots)


def test_the_root_of_a_changed_root_is_there(box: FakeBox, tmp_path: Path) -> None:
    """In a chroot the kernel tells only of what is mounted below it."""
    roots = Roots(proc=box.roots.proc, sys=box.roots.sys, etc=tmp_path / "etc")
    roots.etc.mkdir()
    (roots.etc / "fstab").write_text("UUID=1 / ext4 defaults 0 1\n")
    box.proc("self/mountinfo", "30 1 0:26 / /proc rw - proc proc rw\n")
    assert [one.is_mounted for one in read_mount_table(roots).expected] == [True]


# --- drives


NVME: dict[str, Any] = {
    "smartctl": {"exit_status": 0}, "model_name": "SAMSUNG MZQL2", "smart_status": {"passed": True},
    "temperature": {"current": 41},
    "nvme_smart_health_information_log": {
        "critical_warning": 0, "temperature": 41, "available_spare": 100, "available_spare_threshold": 10,
        "percentage_used": 3,
    },
}  # fmt: skip
ATA: dict[str, Any] = {
    "smartctl": {"exit_status": 0}, "model_name": "ST4000", "smart_status": {"passed": True},
    "temperature": {"current": 33},
    "ata_smart_attributes": {"table": [
        {"id": 5, "name": "Reallocated_Sector_Ct", "when_failed": "now", "raw": {"value": 90}},
        {"id": 197, "name": "Current_Pending_Sector", "when_failed": "", "raw": {"value": 8}},
    ]},
}  # fmt: skip


def test_an_nvme_drive() -> None:
    found = parse("nvme0", NVME)
    assert (found.status, found.is_passed, found.temperature_c, found.used_percent) == (Status.OK, True, 41, 3)
    assert (found.spare_percent, found.spare_least_percent, found.critical_warning) == (100, 10, 0)


def test_an_ata_disk() -> None:
    found = parse("sda", ATA)
    assert (found.pending_sectors, found.failing_attributes) == (8, ("Reallocated_Sector_Ct",))
    assert found.used_percent is None


@pytest.mark.parametrize(
    ("exit_status", "words", "status"),
    [
        (2, "Device is in STANDBY mode, exit(2)", "unsupported"),
        (1, "/dev/sda: Unable to detect device type", "unsupported"),
        (2, "Smartctl open device: /dev/sda failed: I/O", "error"),
        (4, "", "unsupported"),
        (
            2,
            "Smartctl open device: /dev/sda failed: DELL or MegaRaid controller, "
            "please try adding '-d megaraid,N'",
            "unsupported",
        ),
        (1, "/dev/sdb: Unknown USB bridge [0x0bda:0x9210]; Please specify device type with the -d option.",
         "unsupported"),
        (2, "Smartctl open device: /dev/sdc failed: No medium found", "unsupported"),
        (2, "Smartctl open device: /dev/nvme0 failed: Operation not permitted", "no-permission"),
        (2, "Smartctl open device: /dev/nvme0 failed: Permission denied", "no-permission"),
        (2, "Smartctl open device: /dev/nvme0 failed: No such device or address", "error"),
        (2, "", "error"),
    ],
)  # fmt: skip
def test_a_drive_that_does_not_tell(exit_status: int, words: str, status: str) -> None:
    document = {"smartctl": {"exit_status": exit_status, "messages": [{"string": words}]}}
    assert parse("sda", document).status == status


def test_a_sas_drive_tells_its_wear_in_its_own_words() -> None:
    """The keys of smartmontools 7.3 for SCSI, and those of 7.5 for all."""
    sas = {"smartctl": {"exit_status": 0}, "smart_status": {"passed": True}, "temperature": {"current": 71}}
    found = parse("sda", {**sas, "scsi_percentage_used_endurance_indicator": 83})
    assert (found.used_percent, found.temperature_c, found.is_passed) == (83, 71, True)
    of_all = {
        "endurance_used": {"current_percent": 7},
        "spare_available": {"current_percent": 9, "threshold_percent": 10},
    }
    found = parse("sda", {**sas, **of_all})
    assert (found.used_percent, found.spare_percent, found.spare_least_percent) == (7, 9, 10)


def test_a_smartctl_that_knows_no_json_is_as_good_as_none(
    drives: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smartctl").write_text(
        "#!/bin/sh\necho 'smartctl 6.6 2017-11-05'\necho '=======> UNRECOGNIZED OPTION: json=c'\nexit 1\n"
    )
    (tmp_path / "smartctl").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = {one.name: one for one in read_smart(drives).drives}
    assert {one.status for one in found.values()} == {Status.ABSENT}
    assert "7.0" in (found["sda"].reason or "")


SMARTCTL = """#!/bin/sh
for last; do :; done
case "$last" in
*nvme0) cat {folder}/nvme.json;; *sda) cat {folder}/ata.json;; *sdb) echo garbage;; *) exec sleep 30;; esac
"""


@pytest.fixture
def drives(box: FakeBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roots:
    roots = Roots(proc=box.roots.proc, sys=box.roots.sys, dev=tmp_path / "dev")
    roots.dev.mkdir()
    for name in ("class/nvme/nvme0", "block/nvme0n1", "block/sda", "block/sdb", "block/vda", "block/sdc"):
        (roots.sys / name).mkdir(parents=True)
        (roots.dev / name.rpartition("/")[2]).touch()
    (roots.dev / "sdc").unlink()  # not passed into this container
    (tmp_path / "nvme.json").write_text(json.dumps(NVME))
    (tmp_path / "ata.json").write_text(json.dumps(ATA))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return roots


def install(folder: Path) -> None:
    (folder / "smartctl").write_text(SMARTCTL.format(folder=folder))
    (folder / "smartctl").chmod(0o755)


def test_drives_that_nobody_can_ask(drives: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not any(os.access(f"{folder}/smartctl", os.X_OK) for folder in ("/usr/sbin", "/usr/local/sbin", "/sbin")):
        assert read_smart(drives).status is Status.ABSENT
    install(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert read_smart(drives).status is Status.NO_PERMISSION
    assert read_smart(Roots(sys=tmp_path / "none")).status is Status.UNSUPPORTED


def test_all_drives_are_asked_at_once(drives: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = {one.name: one.status for one in read_smart(drives).drives}
    assert found == {"nvme0": Status.OK, "sda": Status.OK, "sdb": Status.ERROR}


def test_a_program_that_hangs_is_left() -> None:
    started = time.monotonic()
    said = outputs(
        {"hangs": ("/bin/sh", "-c", "exec sleep 30"), "says": ("/bin/sh", "-c", "echo x"), "none": ("/none/such",)}, 0.5
    )
    assert said == {"hangs": None, "says": b"x\n", "none": b""}
    assert_within(5, started)


# --- all together


def gathered(facts: FactReading, reader: Reader, wait_for: WaitFor) -> HostFacts:
    def is_done() -> bool:
        facts.poll()
        return facts.left_s(time.monotonic()) == 0.0

    wait_for(reader, is_done)
    return facts.facts(time.monotonic())


def test_only_what_the_checks_need_is_read(box: FakeBox, reader: Reader, wait_for: WaitFor) -> None:
    box.proc("sys/fs/file-nr", "9\t0\t1000\n")
    found = gathered(FactReading(box.roots, reader, ["proc.fds"], time.monotonic(), {}), reader, wait_for)
    assert found.handles is not None
    assert found.handles.files == Pool(name="system", used=9, most=1000)
    assert [name for name in SOURCES if getattr(found, name) is not None] == ["handles"]


def test_on_an_empty_box_each_fact_says_why_it_is_not_there(box: FakeBox, wait_for: WaitFor) -> None:
    reader = Reader(patience_s=5.0)
    found = gathered(FactReading(box.roots, reader, ALL, time.monotonic(), {}), reader, wait_for)
    reader.close()
    for name in SOURCES:
        reading = getattr(found, name)
        assert reading is not None
        if name not in ("clock", "kernel_log"):  # those are this machine's own
            assert reading.status is not Status.OK, name
            assert reading.reason


def test_a_fact_that_hangs_is_late_and_takes_no_other_with_it(box: FakeBox, reader: Reader, wait_for: WaitFor) -> None:
    (box.roots.proc / "pressure").mkdir()
    os.mkfifo(box.roots.proc / "pressure/cpu")
    box.proc("pressure/io", "some avg10=1.0 avg60=1.0 avg300=1.0 total=1\n")
    began = time.monotonic()
    found = gathered(FactReading(box.roots, reader, ["cpu.psi", "io.psi"], began, {}), reader, wait_for)
    assert_within(5, began)
    assert found.cpu_stall is not None
    assert found.io_stall is not None
    assert (found.cpu_stall.status, found.io_stall.some_avg60) == (Status.TIMEOUT, 1.0)


def test_what_a_reader_of_an_earlier_run_is_stuck_at_is_not_asked_again(
    box: FakeBox, reader: Reader, wait_for: WaitFor
) -> None:
    stuck = {item("handles"): 4711}
    found = gathered(FactReading(box.roots, reader, ["proc.fds"], time.monotonic(), stuck), reader, wait_for)
    assert found.handles is not None
    assert found.handles.status is Status.TIMEOUT
    assert "4711" in (found.handles.reason or "")
    assert reader.pids() == []


@pytest.mark.parametrize(("is_inside", "asked"), [(False, True), (True, False)])
def test_containers_are_looked_into_where_the_drivers_pids_are_the_boxs(
    box: FakeBox, reader: Reader, monkeypatch: pytest.MonkeyPatch, is_inside: bool, asked: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if is_inside:
        be_container(box)
    now = time.monotonic()
    facts = FactReading(box.roots, reader, ["disk.shm"], now, {})
    facts.ask_for_containers([Gpu(processes=(GpuProcess(pid=7), GpuProcess(pid=None)))], now)
    assert (facts.left_s(now) > 0) is asked
