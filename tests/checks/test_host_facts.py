"""The checks of what is known of the host beside its snapshot: each state of each of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.checks.selection import select
from mltop.checks.verdict import results
from mltop.config.limits import Limits
from mltop.model.finding import Level
from mltop.model.host_facts import (
    Clock,
    Drive,
    Edac,
    Handles,
    HostFacts,
    KernelEvent,
    KernelEvents,
    Link,
    Links,
    MemoryController,
    MemoryGroup,
    MountTable,
    OomKills,
    Pids,
    Pool,
    ReadonlyMount,
    Sensor,
    SharedMemory,
    Smart,
    Stall,
    Swapping,
    TableMount,
    Tasks,
    Thermal,
    Waiting,
)
from mltop.model.service import ServiceAnswer
from mltop.model.snapshot import Disk, Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import State

OK, UNKNOWN, WARNING, CRITICAL, SKIP = Level.OK, Level.UNKNOWN, Level.WARNING, Level.CRITICAL, None
MIB = 1 << 20


class Box:
    """A healthy box that is judged again and again."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.memory = Memory()
        self.limits = Limits()
        self.services: tuple[ServiceAnswer, ...] = ()

    def all(self, **facts: Any) -> list[Judgement]:
        here = Surroundings(mounts=frozenset({"/"}), host=HostFacts(**facts), services=self.services)
        return list(judgements(self.snapshot, self.limits, self.memory, here))

    def look(self, check: str, **facts: Any) -> dict[str, Judgement]:
        return {one.target: one for one in self.all(**facts) if one.check == check}

    def later(self, seconds: float) -> None:
        self.snapshot = msgspec.structs.replace(self.snapshot, uptime_s=(self.snapshot.uptime_s or 0) + seconds)


@pytest.fixture
def box(make: Any) -> Box:
    return Box(make(0, uptime_s=5000.0))


def event(kind: Any, subject: str, age_s: float = 60.0, **more: Any) -> KernelEvent:
    return KernelEvent(kind=kind, subject=subject, at_s=5000.0 - age_s, age_s=age_s, text="said the kernel", **more)


def log(*events: KernelEvent) -> KernelEvents:
    return KernelEvents(age_s=0.0, events=events, last_s=max((one.at_s for one in events), default=1.0))


def test_without_surroundings_there_is_nothing_to_tell(make: Any) -> None:
    found = {one.check for one in judgements(make(0))}
    assert not {check for check in found if check.startswith(("proc.", "time.", "net.", "io.", "mem.oom", "mem.edac"))}
    assert not {"disk.smart", "disk.kernel_errors"} & found


REFUSED: dict[str, Any] = {"status": Status.NO_PERMISSION, "reason": "run as root"}


@pytest.mark.parametrize(
    ("check", "facts"),
    [
        ("disk.kernel_errors", {"kernel_log": KernelEvents(**REFUSED)}),
        ("disk.smart", {"smart": Smart(**REFUSED)}),
        ("proc.dstate", {"tasks": Tasks(**REFUSED)}),
        ("net.link", {"links": Links(**REFUSED)}),
        ("cpu.thermal", {"thermal": Thermal(**REFUSED)}),
    ],
)
def test_what_is_refused_is_skipped_and_unknown_where_it_was_asked_for(
    box: Box, check: str, facts: dict[str, Any]
) -> None:
    found = box.all(**facts)
    plain = [one for one in results(found, select(), box.snapshot) if one.check == check]
    assert [(one.state, one.summary) for one in plain] == [(State.SKIP, "run as root")]
    asked = [one for one in results(found, select([check]), box.snapshot) if one.check == check]
    assert [one.state for one in asked] == [State.UNKNOWN]


# --- the kernel log


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        ("io-error", WARNING),
        ("reset", WARNING),
        ("lost", CRITICAL),
        ("array-failed", CRITICAL),
        ("shut-down", CRITICAL),
    ],
)
def test_kernel_errors(box: Box, kind: str, level: Level) -> None:
    assert box.look("disk.kernel_errors", kernel_log=log())[""].level is OK
    table = MountTable(devices={"sdb1": "/data"})
    found = box.look("disk.kernel_errors", kernel_log=log(event(kind, "sdb1")), mount_table=table)
    assert (found["sdb1"].level, found["sdb1"].target_name) == (level, "sdb1 (/data)")


def test_the_worst_of_a_device_is_told_and_what_is_new_is_counted(box: Box) -> None:
    old = event("io-error", "nvme0n1", 600)
    box.look("disk.kernel_errors", kernel_log=log(old))
    box.later(60)
    found = box.look("disk.kernel_errors", kernel_log=log(old, event("lost", "nvme0n1", 30), event("oom", "x (1)", 20)))
    assert set(found) == {"nvme0n1"}
    assert found["nvme0n1"].level is CRITICAL
    assert found["nvme0n1"].data is not None
    assert (found["nvme0n1"].data["events"], found["nvme0n1"].data["new"]) == (2, 1)


# --- mounts


def table(*mounts: TableMount, readonly: tuple[ReadonlyMount, ...] = ()) -> MountTable:
    return MountTable(age_s=0.0, expected=mounts, readonly=readonly)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"is_mounted": True}, OK),
        ({"is_mounted": False}, CRITICAL),
        ({"is_mounted": False, "is_optional": True}, WARNING),
        ({"is_mounted": False, "is_optional": True, "may_be_absent": True}, SKIP),
    ],
)
def test_a_mount_of_fstab(box: Box, changes: dict[str, Any], level: Level | None) -> None:
    found = box.look("disk.mount_missing", mount_table=table(TableMount(path="/a", is_readonly=False, **changes)))
    assert {target: one.level for target, one in found.items()} == {"/a": level}


@pytest.mark.parametrize(
    ("fstab", "level"), [(None, SKIP), (True, SKIP), (False, CRITICAL)], ids=["not in it", "ro in it", "rw in it"]
)
def test_a_network_mount_that_is_to_be_written(box: Box, fstab: bool | None, level: Level | None) -> None:
    nfs = msgspec.structs.replace(box.snapshot.disks[0], mount="/home", is_network=True, is_readonly=True)
    box.snapshot = msgspec.structs.replace(box.snapshot, disks=(nfs,))
    lines = [] if fstab is None else [TableMount(path="/home", is_mounted=True, is_readonly=fstab)]
    readonly = (ReadonlyMount(path="/home", device="", is_by_kernel=False),)
    assert box.look("disk.readonly", mount_table=table(*lines, readonly=readonly))["/home"].level is level


@pytest.mark.parametrize(
    ("mounts", "optional", "level"),
    [((), None, WARNING), ((), True, WARNING), ((), False, CRITICAL), (("/data",), None, CRITICAL)],
)
def test_a_mount_with_nothing_behind_it(box: Box, mounts: tuple[str, ...], optional: bool | None, level: Level) -> None:
    """A FUSE program that died, a stale handle of NFS: mounted, says the kernel's table, and every look fails."""
    box.limits = Limits(mounts=mounts)
    dead = Disk(mount="/data", status=Status.LOST, reason="Transport endpoint is not connected", age_s=None)
    box.snapshot = msgspec.structs.replace(box.snapshot, disks=(box.snapshot.disks[0], dead))
    lines = (
        [] if optional is None else [TableMount(path="/data", is_mounted=True, is_readonly=False, is_optional=optional)]
    )
    found = [one for one in box.all(mount_table=table(*lines)) if one.target == "/data"]
    assert [(one.check, one.level) for one in found] == [("disk.mount_missing", level)]
    assert "Transport endpoint" in found[0].summary


@pytest.mark.parametrize(
    ("status", "level"),
    [(Status.STALE, UNKNOWN), (Status.ERROR, UNKNOWN), (Status.NO_PERMISSION, SKIP), (Status.OK, OK)],
)
def test_a_mount_that_was_not_asked_did_not_answer(box: Box, status: Status, level: Level | None) -> None:
    root = msgspec.structs.replace(box.snapshot.disks[0], status=status, reason="why", age_s=None)
    box.snapshot = msgspec.structs.replace(box.snapshot, disks=(root,))
    assert box.look("disk.mount_stuck")["/"].level is level


def test_no_fstab_that_can_be_read_is_not_ok(box: Box) -> None:
    broken = MountTable(status=Status.ERROR, reason="why")
    assert box.look("disk.mount_missing", mount_table=broken)[""].level is UNKNOWN
    assert box.look("disk.mount_missing", mount_table=table())[""].level is SKIP
    refused = MountTable(status=Status.NO_PERMISSION, reason="no permission: run as root")
    told = box.look("disk.mount_missing", mount_table=refused)[""]
    assert (told.level, told.summary, told.reason) == (SKIP, "no permission: run as root", "permission")


@pytest.mark.parametrize(
    ("is_by_kernel", "wanted", "remounted", "level"),
    [
        (False, None, False, OK),  # somebody mounted it so
        (False, True, False, OK),
        (False, False, False, CRITICAL),  # fstab wants it writable
        (True, None, False, CRITICAL),
        (True, True, False, CRITICAL),
        (False, None, True, CRITICAL),
    ],
)
def test_who_made_a_mount_readonly(
    box: Box, is_by_kernel: bool, wanted: bool | None, remounted: bool, level: Level
) -> None:
    first, *rest = box.snapshot.disks
    box.snapshot = msgspec.structs.replace(
        box.snapshot, disks=(msgspec.structs.replace(first, is_readonly=True), *rest)
    )
    expected = () if wanted is None else (TableMount(path="/", is_mounted=True, is_readonly=wanted),)
    mounts = table(*expected, readonly=(ReadonlyMount(path="/", device="sda1", is_by_kernel=is_by_kernel),))
    events = log(*([event("readonly", "sda1")] if remounted else []))
    found = box.look("disk.readonly", mount_table=mounts, kernel_log=events)
    assert (found["/"].level, found["/data"].level) == (level, OK)


# --- drives and pressure


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"is_passed": True, "used_percent": 80.0, "temperature_c": 60.0}, OK),
        ({"is_passed": True}, OK),
        ({"used_percent": 81.0}, WARNING),
        ({"used_percent": 101.0}, CRITICAL),
        ({"temperature_c": 61.0}, WARNING),
        ({"temperature_c": 71.0}, CRITICAL),
        ({"is_passed": False}, CRITICAL),
        ({"critical_warning": 4}, CRITICAL),
        ({"critical_warning": 0, "spare_percent": 100.0, "spare_least_percent": 10.0}, OK),
        ({"spare_percent": 9.0, "spare_least_percent": 10.0}, CRITICAL),
        ({"pending_sectors": 8}, WARNING),
        ({"failing_attributes": ("Reallocated_Sector_Ct",)}, CRITICAL),
        ({"status": Status.TIMEOUT}, UNKNOWN),
        ({"status": Status.UNSUPPORTED, "reason": "asleep"}, SKIP),
    ],
)
def test_a_drive(box: Box, changes: dict[str, Any], level: Level | None) -> None:
    drives = (Drive(name="nvme0", **changes), Drive(name="sda", is_passed=True))
    found = box.look("disk.smart", smart=Smart(drives=drives))
    assert (found["nvme0"].level, found["sda"].level) == (level, OK)


@pytest.mark.parametrize(("percent", "level"), [(19.9, OK), (20.0, WARNING), (60.0, CRITICAL)])
def test_io_pressure(box: Box, percent: float, level: Level) -> None:
    assert box.look("io.psi", io_stall=Stall(full_avg60=percent))[""].level is level


def test_pressure_goes_by_its_windows_with_no_earlier_run(box: Box) -> None:
    assert box.look("cpu.psi", cpu_stall=Stall(some_avg10=99.0, some_avg300=59.0))[""].level is OK
    assert box.look("cpu.psi", cpu_stall=Stall(some_avg10=0.0, some_avg300=60.0))[""].level is WARNING
    assert box.look("cpu.psi", cpu_stall=Stall(status=Status.ERROR))[""].level is UNKNOWN
    unsupported = Stall(status=Status.UNSUPPORTED, reason="no pressure in this kernel")
    assert box.look("cpu.psi", cpu_stall=unsupported)[""].level is SKIP


@pytest.mark.parametrize(
    ("now", "minute", "level"),
    [
        (0.0, 4.9, OK),
        (0.0, 5.0, WARNING),
        (70.0, 4.0, OK),  # a second or two
        (70.0, 20.0, WARNING),
        (70.0, 28.0, CRITICAL),  # for half a minute
        (10.0, 61.0, CRITICAL),
    ],
)
def test_memory_pressure(box: Box, now: float, minute: float, level: Level) -> None:
    found = box.look("mem.psi", memory_stall=Stall(full_avg10=now, full_avg60=minute))
    assert found[""].level is level


@pytest.mark.parametrize(("percent", "level"), [(10.0, OK), (80.0, WARNING), (96.0, CRITICAL)])
def test_shared_memory_of_a_container(box: Box, percent: float, level: Level) -> None:
    one = SharedMemory(container="c0ffee", pid=7, used_percent=percent, total_bytes=64 * MIB, available_bytes=MIB)
    found = box.look("disk.shm", shared_memory=(one,))
    assert (found["c0ffee:/dev/shm"].level, found["/dev/shm"].level) == (level, OK)
    assert "of 64 MiB" in found["c0ffee:/dev/shm"].summary


# --- memory


def test_memory_of_the_control_group_counts_where_it_is_less(box: Box) -> None:
    def level(used: int, limit: int) -> Level | None:
        return box.look("mem.available", memory_group=MemoryGroup(limit_bytes=limit, used_bytes=used))[""].level

    assert level(50 * MIB, 100 * MIB) is OK
    assert level(92 * MIB, 100 * MIB) is OK  # for less than 5 minutes
    box.later(300)
    assert level(92 * MIB, 100 * MIB) is WARNING
    assert level(200 * MIB, 100 * MIB) is WARNING  # and nothing waits for it


@pytest.mark.parametrize(
    ("status", "level"),
    [(Status.ERROR, UNKNOWN), (Status.TIMEOUT, UNKNOWN), (Status.NO_PERMISSION, SKIP), (Status.UNSUPPORTED, OK)],
)
def test_a_control_group_that_cannot_be_read_may_be_full(box: Box, status: Status, level: Level | None) -> None:
    group = MemoryGroup(status=status, reason="why")
    assert box.look("mem.available", memory_group=group)[""].level is level
    memory = msgspec.structs.replace(box.snapshot.memory, available_bytes=1, psi_some_avg10=5.0)
    box.snapshot = msgspec.structs.replace(box.snapshot, memory=memory)
    assert box.look("mem.available", memory_group=group)[""].level is CRITICAL  # bad enough without it


@pytest.mark.parametrize(("psi", "first"), [(0.0, WARNING), (3.0, CRITICAL), (None, WARNING)])
def test_swap_that_is_full_and_taken_back(box: Box, psi: float | None, first: Level) -> None:
    memory = msgspec.structs.replace(box.snapshot.memory, swap_total_bytes=100, swap_used_bytes=97, psi_some_avg10=psi)
    box.snapshot = msgspec.structs.replace(box.snapshot, memory=memory)

    def level(pages: int) -> Level | None:
        box.later(60)
        return box.look("mem.swap", swapping=Swapping(pages_in=pages))[""].level

    assert level(100) is first  # with no earlier run, by what waits for memory
    assert level(100) is WARNING
    assert level(101) is CRITICAL
    assert level(101) is WARNING


def test_the_last_kill_is_named(box: Box) -> None:
    killed = [event("oom", f"python3 ({pid})", 900.0 - pid) for pid in (1, 2, 3)]
    found = box.look("mem.oom", oom=OomKills(kills=3), kernel_log=log(*killed))[""]
    assert "last python3 (3) 15 min ago" in found.summary


def test_a_kill_is_told_for_half_an_hour(box: Box) -> None:
    def level(kills: int) -> Level | None:
        return box.look("mem.oom", oom=OomKills(kills=kills))[""].level

    assert level(3) is OK  # before there was a run
    box.later(60)
    assert level(4) is WARNING
    box.later(1000)
    assert level(4) is WARNING
    box.later(2000)
    assert level(4) is OK


def test_the_log_tells_who_was_killed_and_a_watched_unit_is_critical(box: Box) -> None:
    killed = event("oom", "redis-server (812)", unit="redis.service")
    found = box.look("mem.oom", oom=OomKills(kills=1), kernel_log=log(killed))[""]
    assert (found.level, "redis-server (812)" in found.summary) == (WARNING, True)
    box.services = (ServiceAnswer(check="svc.unit", name="redis", level=OK, summary="active"),)
    assert box.look("mem.oom", oom=OomKills(kills=1), kernel_log=log(killed))[""].level is CRITICAL
    old = event("oom", "a (1)", 1801)
    assert box.look("mem.oom", oom=OomKills(kills=1), kernel_log=log(old))[""].level is OK


def test_a_container_does_not_answer_for_its_hosts_kills(box: Box) -> None:
    own = OomKills(kills=0, is_of_group=True)
    assert box.look("mem.oom", oom=own, kernel_log=log(event("oom", "a (1)")))[""].level is OK


def test_memory_controllers(box: Box) -> None:
    def level(corrected: int, uncorrected: int = 0) -> Level | None:
        controller = MemoryController(name="mc0", corrected=corrected, uncorrected=uncorrected)
        return box.look("mem.edac", edac=Edac(controllers=(controller,)))["mc0"].level

    assert level(5) is OK
    box.later(60)
    assert level(6) is WARNING
    box.later(7200)
    assert level(6) is OK
    assert level(6, 1) is CRITICAL
    broken = MemoryController(name="mc1", corrected=None, uncorrected=0)
    whole = MemoryController(name="mc0", corrected=6, uncorrected=0)
    found = box.look("mem.edac", edac=Edac(controllers=(broken, whole)))
    assert {target: one.level for target, one in found.items()} == {"mc0": OK, "mc1": UNKNOWN}


def test_machine_checks_count_where_no_controller_does(box: Box) -> None:
    none = Edac(status=Status.UNSUPPORTED, reason="none")
    assert box.look("mem.edac", edac=none)[""].level is SKIP
    assert box.look("mem.edac", edac=none, kernel_log=log(event("memory-corrected", "mce")))[""].level is WARNING
    assert box.look("mem.edac", edac=none, kernel_log=log(event("memory-uncorrected", "mce")))[""].level is CRITICAL


# --- heat


def test_heat_by_the_chips_own_limits(box: Box) -> None:
    def level(celsius: float) -> Level | None:
        sensor = Sensor(name="coretemp Package id 0", celsius=celsius, high=82.0, critical=92.0)
        return box.look("cpu.thermal", thermal=Thermal(sensors=(sensor,)))[""].level

    assert level(82.0) is OK
    assert level(93.0) is CRITICAL
    assert level(80.0) is OK
    assert level(85.0) is OK  # for a moment
    box.later(301)
    assert level(85.0) is WARNING


def test_heat_by_the_time_that_was_lost(box: Box) -> None:
    def level(**changes: Any) -> Level | None:
        return box.look("cpu.thermal", thermal=Thermal(**changes))[""].level

    assert level(throttle_ms=90_000, throttle_count=9) is OK
    box.later(100)
    assert level(throttle_ms=91_000, throttle_count=99) is OK
    box.later(100)
    assert level(throttle_ms=95_000, throttle_count=99) is WARNING


# --- processes


def waiting(ticks: int = 5, **changes: Any) -> Tasks:
    values: dict[str, Any] = {"pid": 7, "name": "dd", "start_ticks": 3, "cpu_ticks": ticks, "is_of_gpu": False}
    return Tasks(total=10, waiting=(Waiting(**{**values, **changes}),))


def test_a_process_that_stands_still(box: Box) -> None:
    def levels(tasks: Tasks) -> list[Level | None]:
        return [one.level for one in box.look("proc.dstate", tasks=tasks).values()]

    assert levels(waiting()) == [OK]
    box.later(200)
    assert levels(waiting()) == [OK]
    box.later(200)
    assert levels(waiting()) == [WARNING]
    assert levels(waiting(is_of_gpu=True)) == [CRITICAL]
    box.later(200)
    assert levels(waiting(ticks=6)) == [OK]  # it has been at work


def test_two_runs_far_apart_say_enough_and_another_process_of_that_pid_is_another(box: Box) -> None:
    box.look("proc.dstate", tasks=waiting())
    box.later(3600)
    (found,) = box.look("proc.dstate", tasks=waiting()).values()
    assert (found.level, found.value, found.target_name) == (WARNING, 3600.0, "dd (7)")
    (found,) = box.look("proc.dstate", tasks=waiting(start_ticks=9)).values()
    assert found.level is OK


@pytest.mark.parametrize(
    ("zombies", "most", "level"),
    [(999, 1 << 22, OK), (1000, 1 << 22, WARNING), (2000, 1 << 22, CRITICAL), (70, 300, WARNING), (250, 300, CRITICAL)],
)
def test_zombies(box: Box, zombies: int, most: int, level: Level) -> None:
    found = box.look("proc.zombie", tasks=Tasks(total=5000, most=most, zombies=zombies, worst_parent="sh (4)"))
    assert found[""].level is level
    assert "sh (4)" in found[""].summary


@pytest.mark.parametrize(("used", "level"), [(69, OK), (90, CRITICAL)])
def test_open_files(box: Box, used: int, level: Level) -> None:
    assert box.look("proc.fds", handles=Handles(files=Pool(name="system", used=used, most=100)))[""].level is level


def test_threads_of_the_system_and_of_the_fullest_group(box: Box) -> None:
    def pools(*used: int) -> Pids:
        system, *groups = used
        inner = tuple(Pool(name="control group", used=one, most=100) for one in groups)
        return Pids(pools=(Pool(name="system", used=system, most=100), *inner))

    found = box.look("proc.pids", pids=pools(10, 20, 85))
    assert {target: one.level for target, one in found.items()} == {"": OK, "control group": WARNING}
    assert box.look("proc.pids", pids=pools(95))[""].level is CRITICAL
    assert box.look("proc.pids", pids=Pids(status=Status.ERROR))[""].level is UNKNOWN


# --- the clock


def test_the_clock(box: Box) -> None:
    def level(is_kept: bool, offset_s: float = 0.0, service: str | None = None) -> Level | None:
        # an error of 16 s is what the kernel has reached when it takes its word back
        clock = Clock(is_synchronised=is_kept, offset_s=offset_s, max_error_s=0.1 if is_kept else 16.0)
        return box.look("time.sync", clock=clock, tasks=Tasks(total=9, time_service=service))[""].level

    assert level(False) is SKIP  # nothing keeps it, and nobody said that something should
    assert level(False, service="chronyd") is WARNING
    assert level(True, 0.01) is OK
    assert level(True, 0.2) is OK  # for a moment
    box.later(601)
    assert level(True, -0.2) is WARNING
    assert level(True, 500.0) is WARNING  # never worse
    assert level(False) is WARNING  # it was kept before
    box.later(60)
    assert level(False) is WARNING


@pytest.mark.parametrize(
    ("error_s", "service", "level"),
    [
        (0.4, "chronyd", OK),
        (15.9, "chronyd", OK),
        (16.0, "chronyd", WARNING),
        (None, "chronyd", WARNING),
        (0.4, None, SKIP),
    ],
)
def test_a_clock_that_is_steered_by_who_does_not_tell_the_kernel(
    box: Box, error_s: float | None, service: str | None, level: Level | None
) -> None:
    """chrony without `rtcsync` (chrony.conf(5)): unsynchronised, says the kernel, and the error stays small."""
    clock = Clock(is_synchronised=False, offset_s=0.0, max_error_s=error_s)
    assert box.look("time.sync", clock=clock, tasks=Tasks(total=9, time_service=service))[""].level is level


def test_a_clock_may_take_its_time_after_the_boot(make: Any) -> None:
    box = Box(make(0, uptime_s=1000.0))
    tasks = Tasks(total=9, time_service="chronyd")
    assert box.look("time.sync", clock=Clock(is_synchronised=False), tasks=tasks)[""].level is SKIP
    host = Clock(status=Status.UNSUPPORTED, reason="a container has its host's clock")
    assert box.look("time.sync", clock=host)[""].level is SKIP


# --- the network


def port(**changes: Any) -> Links:
    values: dict[str, Any] = {
        "name": "eth0",
        "is_enabled": True,
        "is_up": True,
        "losses": 0,
        "packets": 10**6,
        "errors": 0,
    }
    return Links(links=(Link(**{**values, **changes}),))


def test_a_port_that_loses_its_link(box: Box) -> None:
    assert box.look("net.link", links=port(losses=40))["eth0"].level is OK
    box.later(60)
    assert box.look("net.link", links=port(losses=44))["eth0"].level is OK
    box.later(3600)
    assert box.look("net.link", links=port(losses=45))["eth0"].level is WARNING


def test_a_port_with_errors(box: Box) -> None:
    box.look("net.link", links=port(errors=900))
    box.later(60)
    assert box.look("net.link", links=port(errors=901, packets=10**6 + 5))["eth0"].level is OK  # too few to say
    box.later(60)
    assert box.look("net.link", links=port(errors=1900, packets=10**6 + 10**4))["eth0"].level is WARNING


def test_a_port_that_is_down_is_a_fault_where_it_is_expected(box: Box) -> None:
    down = port(is_up=False, state="down")
    assert box.look("net.link", links=down)["eth0"].level is SKIP
    box.limits = Limits(links=("eth0", "ib0"))
    found = box.look("net.link", links=down)
    assert {target: one.level for target, one in found.items()} == {"eth0": CRITICAL, "ib0": CRITICAL}


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"rate_mbit": 25_000}, OK, "up, 25 Gbit/s"),
        ({"rate_mbit": 100_000}, OK, "up, 100 Gbit/s"),
        ({"rate_mbit": 10_000}, WARNING, "10 Gbit/s, 25 expected"),
        ({"rate_mbit": None}, UNKNOWN, "not told"),
        ({"rate_mbit": None, "is_up": False, "state": "down"}, CRITICAL, "down"),
    ],
)
def test_a_port_with_the_rate_that_is_expected(box: Box, changes: dict[str, Any], level: Level, words: str) -> None:
    box.limits = Limits(rates={"eth0": 25.0})
    found = box.look("net.link", links=port(**changes))["eth0"]
    assert (found.level, words in found.summary) == (level, True), found.summary
    assert box.look("net.link", links=port(name="eth1"))["eth0"].level is CRITICAL  # it is not there at all


def test_a_port_whose_state_makes_no_sense_is_unknown(box: Box) -> None:
    assert box.look("net.link", links=port(is_up=None))["eth0"].level is UNKNOWN
    assert box.look("net.link", links=port(is_up=None, is_enabled=False))["eth0"].level is SKIP


def test_a_port_without_a_subnet_manager(box: Box) -> None:
    links = port(name="mlx5_0/1", is_up=False, state="INIT")
    assert box.look("net.link", links=links)["mlx5_0/1"].level is WARNING


# --- Xids


def test_a_harmless_xid_does_not_hide_a_bad_one(make: Any) -> None:
    box = Box(make(1))
    bus = box.snapshot.gpus[0].pci_bus_id or ""
    events = log(event("xid", bus, 600, code=79), event("xid", bus, 60, code=45), event("xid", "0000:ff:00.0", code=48))
    found = box.look("gpu.xid", kernel_log=events)["GPU-0"]
    known = {"xid": 79, "age_s": 600, "count": 1, "codes": [45, 79], "totals": {"45": 1, "79": 1}}
    assert (found.level, found.data) == (CRITICAL, known)
    assert box.look("gpu.xid", kernel_log=log())["GPU-0"].level is OK
    assert box.look("gpu.xid", kernel_log=KernelEvents(**REFUSED))["GPU-0"].level is SKIP
    assert box.look("gpu.xid", kernel_log=KernelEvents(status=Status.TIMEOUT))["GPU-0"].level is UNKNOWN
