from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mltop.checks.catalogue import CATALOGUE
from mltop.checks.judge import Memory, judge, judgements
from mltop.config.limit import Limit
from mltop.config.limits import TABLE, Limits, parse_limit
from mltop.model.finding import Finding, Level
from mltop.model.host_facts import HostFacts, MountTable
from mltop.model.snapshot import Cpu, Disk, Driver, Gpu, Snapshot, Status
from mltop.model.snapshot import Memory as Ram
from mltop.model.surroundings import Surroundings

GIB = 1 << 30
REMAP = "gpu.row_remap"


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, Level]]:
    return [(one.check, one.target, one.level) for one in findings]


def test_a_healthy_box_has_no_findings(make: Any) -> None:
    assert judge(make()) == ()
    assert judge(make(0, driver=Driver())) == ()
    assert judge(Snapshot()) == ()


def test_ids_are_in_the_catalogue_once_and_have_a_row_or_need_none() -> None:
    ids = [check.id for check in CATALOGUE]
    assert len(ids) == len(set(ids))
    parts = set(TABLE) - {"gpu.temp_margin"} - set(ids)
    assert {row.rpartition(".")[0] for row in parts} <= set(ids)  # `redis.memory` is a part of `redis`


# --- the driver and lost GPUs


def test_a_lost_gpu_is_critical_with_its_xid_and_what_to_do(make: Any) -> None:
    lost = {"status": Status.LOST, "xid_last": 79, "xid_last_age_s": 60.0, "temperature_c": None}
    (one,) = judge(make(gpus={3: lost}))
    assert (one.check, one.target, one.target_name, one.level) == ("gpu.count", "GPU-3", "GPU 3", Level.CRITICAL)
    assert one.summary == "lost, Xid 79 fallen off the bus"
    assert one.action is not None
    assert "reboot" in one.action


def test_a_lost_gpu_explains_the_missing_count(make: Any) -> None:
    snapshot = make(gpus={3: {"status": Status.LOST}}, driver=Driver(status=Status.OK, gpu_count=7, pci_count=8))
    assert len(judge(snapshot)) == 1


def test_a_card_that_only_the_bus_lists_is_named_by_its_address(make: Any) -> None:
    card = Gpu(pci_bus_id="0000:9b:00.0", status=Status.LOST, reason="on the PCI bus, not in the driver")
    snapshot = make(3)
    snapshot = msgspec.structs.replace(
        snapshot, gpus=(*snapshot.gpus, card), driver=Driver(status=Status.OK, gpu_count=3, pci_count=4)
    )
    (one,) = judge(snapshot)
    assert one.target == "0000:9b:00.0"
    assert one.target_name == "GPU 0000:9b:00.0"
    assert one.summary == "on the PCI bus, not in the driver"


def test_a_container_that_was_not_given_all_cards_lacks_none(make: Any) -> None:
    assert judge(make(2, driver=Driver(status=Status.OK, gpu_count=2, pci_count=8))) == ()
    (one,) = judge(make(2, driver=Driver(status=Status.OK, gpu_count=2, pci_count=8, reason="0000:9b:00.0 is missing")))
    assert (one.summary, one.action) == ("2 of 8 GPUs", "0000:9b:00.0 is missing")


def test_what_is_not_read_yet_is_not_told(make: Any) -> None:
    waiting = {"status": Status.STALE, "age_s": None, "temperature_c": None}
    snapshot = make(
        gpus=dict.fromkeys(range(8), waiting),
        driver=Driver(status=Status.STALE, reason="waiting for the driver's first answer"),
        disks=(Disk(mount="/data", status=Status.STALE, reason="not read yet"),),
    )
    assert judge(snapshot) == ()


def test_fewer_gpus_than_expected_is_critical(make: Any) -> None:
    (one,) = judge(make(7, driver=Driver(status=Status.OK, gpu_count=7, pci_count=7, expected_count=8)))
    assert (one.check, one.summary, one.level) == ("gpu.count", "7 of 8 GPUs", Level.CRITICAL)
    (one,) = judge(make(0, driver=Driver(expected_count=8)))
    assert one.summary == "0 of 8 GPUs"


def test_a_hung_driver_is_one_finding_not_eight_and_a_lost_gpu_stays_told(make: Any) -> None:
    hung = {index: {"status": Status.STALE, "age_s": 30.0, "temperature_c": 90} for index in range(8)}
    hung[3] = {"status": Status.LOST}
    reason = "driver not answering for 30 s"
    found = judge(make(gpus=hung, driver=Driver(status=Status.TIMEOUT, reason=reason)))
    assert told(found) == [("gpu.count", "GPU-3", Level.CRITICAL), ("gpu.responsive", "", Level.CRITICAL)]
    assert found[1].summary == reason


def test_a_driver_that_cannot_be_used_is_one_critical_finding_with_its_reason(make: Any) -> None:
    broken = Driver(status=Status.ERROR, reason="driver not loaded: modprobe nvidia", pci_count=8)
    cards = {index: {"status": Status.ERROR} for index in range(8)}
    (one,) = judge(make(gpus=cards, driver=broken))
    assert (one.check, one.level, one.summary) == ("gpu.driver", Level.CRITICAL, "driver not loaded: modprobe nvidia")
    (one,) = judge(make(0, driver=Driver(status=Status.NO_PERMISSION)))
    assert (one.check, one.level) == ("gpu.driver", Level.UNKNOWN)


def test_a_gpu_with_old_values_is_unknown_or_worse(make: Any) -> None:
    (one,) = judge(make(gpus={1: {"status": Status.STALE, "age_s": 12.0}}))
    assert (one.check, one.level, one.summary) == ("gpu.responsive", Level.UNKNOWN, "last read 12 s ago")
    found = judge(make(gpus={1: {"status": Status.STALE, "age_s": 12.0, "remap_failed": True}}))
    assert told(found) == [(REMAP, "GPU-1", Level.CRITICAL), ("gpu.responsive", "GPU-1", Level.UNKNOWN)]
    assert found[0].summary == "row remap failed, 12 s ago"


# --- a GPU's numbers


@pytest.mark.parametrize(
    ("changes", "check", "level", "summary"),
    [
        ({"temperature_c": 83}, "gpu.temp", Level.WARNING, "83 C, 4 C below its slowdown"),
        ({"temperature_c": 85}, "gpu.temp", Level.CRITICAL, "85 C, 2 C below its slowdown"),
        ({"temperature_c": 88}, "gpu.temp", Level.CRITICAL, "88 C, at its slowdown limit 87 C"),
        ({"temperature_c": 86, "temperature_slowdown_c": None}, "gpu.temp", Level.WARNING, "86 C"),
        ({"temperature_c": 91, "temperature_slowdown_c": 58}, "gpu.temp", Level.CRITICAL, "91 C"),
        ({"clock_event_reasons": ("hw-thermal-slowdown",)}, "gpu.throttle", Level.WARNING, "slowed down by heat"),
        (
            {"clock_event_reasons": ("sw-power-cap", "hw-slowdown", "hw-power-brake")},
            "gpu.throttle",
            Level.WARNING,
            "power brake",
        ),
        ({"ecc_uncorrected_volatile": 3}, "gpu.ecc_uncorrected", Level.CRITICAL, "3 uncorrected ECC errors"),
        ({"ecc_uncorrected_aggregate": 3}, "gpu.ecc_uncorrected", Level.WARNING, None),
        ({"ecc_corrected_volatile": 20_000_001}, "gpu.ecc_corrected", Level.WARNING, None),
        ({"remap_pending": True}, REMAP, Level.WARNING, "row remap pending"),
        ({"remap_failed": True, "remap_pending": True}, REMAP, Level.CRITICAL, "row remap failed"),
        ({"retired_pages": 63}, "gpu.retired_pages", Level.CRITICAL, "63 retired pages"),
        ({"pcie_width": 8}, "gpu.pcie_width", Level.WARNING, "PCIe x8 of x16"),
        ({"pcie_width": 4}, "gpu.pcie_width", Level.CRITICAL, "PCIe x4 of x16"),
        ({"pcie_width": 4, "utilization_percent": 0}, "gpu.pcie_width", Level.WARNING, "PCIe x4 of x16"),
        ({"pcie_generation": 1}, "gpu.pcie_gen", Level.WARNING, "PCIe gen 1 of 5 under load"),
        ({"nvlinks_active": 10}, "gpu.nvlink", Level.CRITICAL, "NVLink 10 of 18 links"),
        ({"persistence_mode": False}, "gpu.persistence", Level.WARNING, "persistence mode off"),
        ({"xid_last": 94, "xid_last_age_s": 5.0}, "gpu.xid", Level.WARNING, "Xid 94 contained memory error"),
        ({"xid_last": 48, "xid_last_age_s": 5.0}, "gpu.xid", Level.CRITICAL, "Xid 48 double-bit ECC error"),
        ({"xid_last": 999, "xid_last_age_s": 5.0}, "gpu.xid", Level.WARNING, "Xid 999 see NVIDIA's Xid catalogue"),
    ],
)
def test_what_is_wrong_with_a_gpu(make: Any, changes: Any, check: str, level: Level, summary: str | None) -> None:
    (one,) = judge(make(gpus={2: changes}))
    assert (one.check, one.target, one.target_name, one.level) == (check, "GPU-2", "GPU 2", level)
    assert summary is None or one.summary == summary
    assert len(one.summary) <= 40


@pytest.mark.parametrize(
    "changes",
    [
        {"clock_event_reasons": ("gpu-idle", "sw-power-cap", "app-clocks", "sync-boost", "display-clocks")},
        {"temperature_c": 59, "temperature_slowdown_c": 58},
        {"pcie_generation": 1, "performance_state": "P8", "utilization_percent": 0},
        {"memory_used_bytes": 79 * GIB},
        {"xid_last": 31, "xid_last_age_s": 5.0},
        {"xid_last": 79, "xid_last_age_s": 100_000.0},
        {"persistence_mode": False, "fan_percent": 30},
        {"persistence_mode": False, "ecc_uncorrected_volatile": None},
        {"unattributed_bytes": 3 * GIB},
        {"memory_is_unified": True, "pcie_width": 1, "pcie_generation": 1},
    ],
)
def test_what_is_no_fault_of_a_gpu(make: Any, changes: Any) -> None:
    assert judge(make(gpus={2: changes})) == ()


def test_no_gpu_has_links_where_no_bridge_is_fitted(make: Any) -> None:
    assert judge(make(2, gpus={index: {"nvlinks_active": 0, "nvlinks_total": 12} for index in range(2)})) == ()


def test_a_configured_temperature_goes_before_the_cards_margin(make: Any) -> None:
    limits = Limits({"gpu.temp": parse_limit("gpu.temp", {"warn": 60})})
    assert told(judge(make(1), limits)) == [("gpu.temp", "GPU-0", Level.WARNING)]
    assert judge(make(1, gpus={0: {"temperature_c": 84}}), Limits({"gpu.temp": Limit()})) == ()


def test_memory_that_nobody_owns_is_told_when_it_lasts(make: Any) -> None:
    memory, held = Memory(), {1: {"unattributed_bytes": 3 * GIB}}
    assert judge(make(gpus=held, uptime_s=0.0), memory=memory) == ()
    assert judge(make(gpus=held, uptime_s=299.0), memory=memory) == ()
    (one,) = judge(make(gpus=held, uptime_s=300.0), memory=memory)
    assert (one.check, one.summary) == ("gpu.mem_orphan", "3.0 GiB held by no process")


# --- the host


def disk(**changes: Any) -> tuple[Disk, ...]:
    values: dict[str, Any] = {"mount": "/data", "fstype": "xfs", "used_percent": 70.0, "available_bytes": GIB}
    return (Disk(**{**values, **changes}),)


@pytest.mark.parametrize(
    ("changes", "check", "level"),
    [
        ({"used_percent": 91.2}, "disk.space", Level.WARNING),
        ({"used_percent": 95.0}, "disk.space", Level.CRITICAL),
        ({"used_percent": 96.0, "available_bytes": 200 * GIB}, "disk.space", Level.WARNING),
        ({"used_percent": 96.0, "available_bytes": 200 * GIB, "mount": "/"}, "disk.space", Level.CRITICAL),
        ({"used_percent": 96.0, "mount": "/dev/shm"}, "disk.shm", Level.CRITICAL),
        ({"inodes_used_percent": 98.0}, "disk.inodes", Level.CRITICAL),
        ({"is_readonly": True}, "disk.readonly", Level.WARNING),
        ({"status": Status.TIMEOUT, "reason": "no answer for 34 s", "age_s": 40.0}, "disk.mount_stuck", Level.WARNING),
        ({"status": Status.ABSENT}, "disk.mount_missing", Level.CRITICAL),
        ({"status": Status.STALE, "age_s": 45.0}, "disk.space", Level.UNKNOWN),
        ({"status": Status.STALE, "age_s": 45.0, "used_percent": 97.0}, "disk.space", Level.CRITICAL),
        ({"status": Status.ERROR, "reason": "stale file handle", "used_percent": None}, "disk.space", Level.UNKNOWN),
    ],
)
def test_what_is_wrong_with_a_mount(make: Any, changes: Any, check: str, level: Level) -> None:
    (one,) = judge(make(disks=disk(**changes)))
    assert (one.check, one.level, one.target) == (check, level, changes.get("mount", "/data"))


@pytest.mark.parametrize(
    "changes",
    [
        {"used_percent": 91.0, "available_bytes": 640 * GIB},
        {"is_readonly": True, "is_network": True},
        {"is_readonly": True, "fstype": "overlay"},
        {"status": Status.NO_PERMISSION, "used_percent": None},
    ],
)
def test_what_is_no_fault_of_a_mount(make: Any, changes: Any) -> None:
    assert judge(make(disks=disk(**changes))) == ()


def test_an_expected_mount_that_is_stuck_is_critical(make: Any) -> None:
    snapshot = make(disks=disk(status=Status.TIMEOUT))
    assert judge(snapshot, Limits({}, ("/data",)))[0].level is Level.CRITICAL


def test_a_file_system_that_turns_read_only_under_our_eyes_has_failed(make: Any) -> None:
    memory = Memory()
    judge(make(disks=disk(is_readonly=False)), memory=memory)
    for _ in range(3):
        (one,) = judge(make(disks=disk(is_readonly=True)), memory=memory)
        assert one.level is Level.CRITICAL
    assert judge(make(disks=disk(is_readonly=False)), memory=memory) == ()


@pytest.mark.parametrize(
    ("changes", "check", "level"),
    [
        ({"cpu": Cpu(count=96, load=(0.0, 0.0, 200.0))}, "cpu.load", Level.WARNING),
        ({"cpu": Cpu(throttled=True)}, "cpu.thermal", Level.WARNING),
        ({"cpu": Cpu(status=Status.ERROR, reason="no /proc/stat")}, "cpu.load", Level.UNKNOWN),
        ({"cpu": Cpu(status=Status.STALE, age_s=9.0, count=8, load=(0, 0, 1.0))}, "cpu.load", Level.UNKNOWN),
        ({"memory": Ram(total_bytes=100, available_bytes=9)}, "mem.available", Level.WARNING),
        ({"memory": Ram(total_bytes=100, available_bytes=3, psi_some_avg10=4.0)}, "mem.available", Level.CRITICAL),
        ({"memory": Ram(total_bytes=100, available_bytes=3, psi_some_avg10=0.0)}, "mem.available", Level.WARNING),
        ({"memory": Ram(total_bytes=100, available_bytes=1, huge_pages_bytes=85)}, "mem.available", Level.WARNING),
        ({"memory": Ram(total_bytes=100, available_bytes=9, huge_pages_bytes=100)}, "mem.available", Level.WARNING),
        ({"memory": Ram(status=Status.ERROR)}, "mem.available", Level.UNKNOWN),
        ({"memory": Ram(swap_total_bytes=100, swap_used_bytes=85)}, "mem.swap", Level.WARNING),
        ({"memory": Ram(psi_full_avg10=70.0)}, "mem.psi", Level.CRITICAL),
    ],
)
def test_what_is_wrong_with_the_host(make: Any, changes: Any, check: str, level: Level) -> None:
    (one,) = judge(make(**changes))
    assert (one.check, one.level, one.target) == (check, level, "")
    assert one.target_name


def test_what_is_set_aside_for_huge_pages_is_not_missed_by_the_rest(make: Any) -> None:
    """A host of virtual machines has nine tenths of its memory in huge pages, by intent."""
    assert judge(make(memory=Ram(total_bytes=1000, available_bytes=45, huge_pages_bytes=900))) == ()
    (one,) = judge(make(memory=Ram(total_bytes=1000, available_bytes=5, huge_pages_bytes=900)))
    assert (one.level, one.summary) == (Level.WARNING, "5.0 % available beside huge pages")


def test_what_nobody_can_write_does_not_fill_up(make: Any) -> None:
    """The system's image of an immutable distribution is full to its last block (node mixin leaves it out)."""
    full = {"used_percent": 100.0, "inodes_used_percent": 100.0, "available_bytes": 0}
    here = Surroundings(host=HostFacts(mount_table=MountTable()))

    def told(**changes: Any) -> set[str]:
        found = judgements(make(0, disks=disk(**{**full, **changes})), None, None, here)
        return {one.check for one in found if one.is_finding and one.check.startswith("disk.")}

    assert told(is_readonly=False) == {"disk.space", "disk.inodes"}
    assert told(is_readonly=True) == set()
    assert told(mount="/", fstype="squashfs", is_readonly=False) == set()  # the root of a live system


# --- time


def test_a_level_is_left_later_than_entered(make: Any) -> None:
    """A disk has to be that full for 5 minutes (catalogue), and then to come down to 80 %."""
    memory = Memory()
    levels = []
    for uptime_s, percent in ((0, 84.0), (10, 86.0), (309, 86.0), (310, 86.0), (320, 82.0), (330, 79.0)):
        found = judge(make(disks=disk(used_percent=percent), uptime_s=float(uptime_s)), memory=memory)
        levels.append(found[0].level if found else Level.OK)
    assert levels == [Level.OK, Level.OK, Level.OK, Level.WARNING, Level.WARNING, Level.OK]


def test_what_has_to_last_is_told_when_it_has_lasted(make: Any) -> None:
    memory, hot = Memory(), {0: {"temperature_c": 83}}
    judge(make(1, uptime_s=0.0), memory=memory)
    assert judge(make(1, gpus=hot, uptime_s=10.0), memory=memory) == ()
    assert judge(make(1, gpus=hot, uptime_s=129.0), memory=memory) == ()
    assert len(judge(make(1, gpus=hot, uptime_s=130.0), memory=memory)) == 1
    assert judge(make(1, uptime_s=140.0), memory=memory) == ()
    assert judge(make(1, gpus=hot, uptime_s=150.0), memory=memory) == ()
    critical = {0: {"temperature_c": 86}}
    assert judge(make(1, gpus=critical, uptime_s=151.0), memory=memory)[0].level is Level.CRITICAL


def test_a_break_begins_the_wait_anew(make: Any) -> None:
    memory, hot = Memory(), {0: {"temperature_c": 83}}
    judge(make(1, uptime_s=0.0), memory=memory)
    for uptime_s in range(10, 600, 60):
        assert judge(make(1, gpus=hot, uptime_s=uptime_s), memory=memory) == ()
        assert judge(make(1, uptime_s=uptime_s + 30), memory=memory) == ()


def test_the_first_look_takes_things_as_they_are(make: Any) -> None:
    assert len(judge(make(1, gpus={0: {"temperature_c": 83}}), memory=Memory())) == 1
    pressed = Ram(psi_full_avg10=20.0)
    assert judge(make(memory=pressed)) == ()
    assert judge(make(memory=pressed), memory=Memory()) == ()


def test_what_went_away_is_forgotten(make: Any) -> None:
    memory = Memory()
    judge(make(disks=disk(used_percent=86.0)), memory=memory)
    judge(make(disks=()), memory=memory)
    judge(make(disks=()), memory=memory)
    assert judge(make(disks=disk(used_percent=82.0)), memory=memory) == ()


def test_worst_first_and_within_a_level_what_breaks_a_job_first(make: Any) -> None:
    found = judge(
        make(
            gpus={5: {"status": Status.LOST}, 1: {"pcie_width": 8}, 2: {"status": Status.STALE}},
            disks=disk(used_percent=99.0),
        )
    )
    assert [one.check for one in found] == ["gpu.count", "disk.space", "gpu.pcie_width", "gpu.responsive"]


@pytest.mark.parametrize("status", list(Status))
def test_no_state_of_any_group_breaks_the_judgement(make: Any, status: Status) -> None:
    snapshot = make(
        cpu=Cpu(status=status),
        memory=Ram(status=status),
        disks=(Disk(mount="/x", status=status),),
        driver=Driver(status=status),
        gpus={0: {"status": status}},
    )
    bare = make(gpus={0: {"status": status}})
    for one in (snapshot, bare, msgspec.structs.replace(bare, gpus=(Gpu(status=status),))):
        for finding in judge(one, memory=Memory()):
            assert finding.level > Level.OK
            assert finding.summary
            assert finding.target_name
