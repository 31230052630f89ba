from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mltop.checks.catalogue import CATALOGUE
from mltop.checks.judge import judgements
from mltop.checks.override import overridden
from mltop.checks.profile import PROFILES, limits_of
from mltop.checks.selection import NoSuchCheckError, select
from mltop.checks.verdict import results, verdict
from mltop.config.limits import TABLE, Limits, parse_limit
from mltop.model.snapshot import Cpu, Disk, Driver, Snapshot, Status
from mltop.model.snapshot import Memory as Ram
from mltop.model.surroundings import Gap, Surroundings
from mltop.model.verdict import Result, State, Verdict

GIB = 1 << 30
HERE = Surroundings(mounts=frozenset({"/", "/data"}), driver_s=0.1)


def judged(
    snapshot: Snapshot, limits: Limits | None = None, here: Surroundings = HERE, only: Sequence[str] = (), **more: Any
) -> tuple[Result, ...]:
    return results(judgements(snapshot, limits, None, here), select(only), snapshot, **more)


def states(found: tuple[Result, ...], check: str) -> dict[str, State]:
    return {one.target_name: one.state for one in found if one.check == check}


def of(snapshot: Snapshot, profile: str = "default", limits: Limits | None = None) -> Verdict:
    chosen, selection = PROFILES[profile], select()
    found = results(judgements(snapshot, limits_of(chosen, limits or Limits()), None, HERE), selection, snapshot)
    return verdict(found, selection, snapshot, profile_name=profile, profile=chosen, duration_s=0.1)


# --- every check and every target


def test_a_healthy_box_has_an_ok_for_every_check_of_every_target(make: Any) -> None:
    found = judged(make())
    assert {one.check for one in found} == {check.id for check in CATALOGUE}
    assert {one.state for one in found} == {State.OK, State.SKIP}
    assert len(states(found, "gpu.temp")) == 8
    assert states(found, "disk.space") == {"/": State.OK, "/data": State.OK}
    assert len({(one.check, one.target) for one in found}) == len(found)
    assert len({one.fingerprint for one in found}) == len(found)
    assert all(one.reason is None and one.action is None for one in found if one.state is State.OK)
    assert all(one.reason for one in found if one.state is State.SKIP)


def test_a_result_has_its_value_and_its_limits_as_ranges(make: Any) -> None:
    found = {(one.check, one.target): one for one in judged(make())}
    space = found["disk.space", "/"]
    assert (space.value, space.unit, space.warn, space.crit) == (61.0, "%", "@85:", "@95:")
    ram = found["mem.available", ""]
    assert (ram.value, ram.unit, ram.warn, ram.crit) == (60.0, "%", "@~:10", "@~:4")
    heat = found["gpu.temp", "GPU-0"]
    assert (heat.value, heat.unit, heat.warn, heat.crit) == (62, "C", "@82:", "@85:")


def test_load_is_of_the_cpus(make: Any) -> None:
    (load,) = [one for one in judged(make()) if one.check == "cpu.load"]
    assert load.value == 80.0  # 76.8 on 96
    assert load.state is State.OK


def test_no_gpu_is_skipped_for_each_gpu_check(make: Any) -> None:
    found = judged(make(0, driver=Driver()))
    assert {one.state for one in found if one.check.startswith("gpu.")} == {State.SKIP}


def test_a_lost_gpu_is_critical_and_the_seven_others_are_told_in_full(make: Any) -> None:
    made = of(make(gpus={3: {"status": Status.LOST, "xid_last": 79, "xid_last_age_s": 60.0}}))
    assert (made.state, made.exit_code) == (State.CRITICAL, 2)
    assert states(made.results, "gpu.count") == {"GPU 3": State.CRITICAL}
    assert len(states(made.results, "gpu.temp")) == 7
    assert [one.data["pci_bus_id"] for one in made.results if one.check == "gpu.count"] == ["0000:1e:00.0"]


@pytest.mark.parametrize(
    ("status", "state", "check"),
    [
        (Status.ERROR, State.CRITICAL, "gpu.driver"),
        (Status.TIMEOUT, State.CRITICAL, "gpu.responsive"),
        (Status.NO_PERMISSION, State.UNKNOWN, "gpu.driver"),
    ],
)
def test_what_a_broken_driver_keeps_from_being_read_is_unknown_never_ok(
    make: Any, status: Status, state: State, check: str
) -> None:
    found = judged(make(0, driver=Driver(status=status, reason="why", version="1")))
    assert states(found, check) == {"driver": state}
    assert set(states(found, "gpu.temp").values()) == {State.UNKNOWN}
    assert set(states(found, "gpu.ecc_uncorrected").values()) == {State.UNKNOWN}


def test_gpus_of_the_host_that_a_container_was_not_given_are_no_fault(make: Any) -> None:
    snapshot = make(0, driver=Driver(status=Status.ERROR, reason="libnvidia-ml.so.1 not found", pci_count=8))
    bare = Surroundings(mounts=frozenset(), is_container=True, has_device_nodes=False)
    found = judged(snapshot, here=bare)
    assert {one.state for one in found if one.check.startswith("gpu.")} == {State.SKIP}
    assert states(judged(snapshot, here=bare, only=["gpu.driver"]), "gpu.driver") == {"driver": State.UNKNOWN}
    assert states(judged(snapshot), "gpu.driver") == {"driver": State.CRITICAL}


def test_a_driver_that_is_slow_warns_and_one_that_is_not_done_is_not_ok(make: Any) -> None:
    def responsive(**changes: Any) -> State:
        here = Surroundings(**{"mounts": frozenset(), **changes})
        return states(judged(make(), here=here), "gpu.responsive")["driver"]

    assert responsive(driver_s=0.2) is State.OK
    assert responsive(driver_s=6.0) is State.WARNING
    assert responsive(driver_s=None, waited_s=1.7) is State.UNKNOWN
    assert responsive(driver_s=None, waited_s=8.0) is State.CRITICAL


@pytest.mark.parametrize(
    ("gap", "state"),
    [
        (Gap(Status.TIMEOUT, "not read in time"), State.UNKNOWN),
        (Gap(Status.ERROR, "unknown error"), State.UNKNOWN),
        (Gap(Status.OK, "out of range"), State.UNKNOWN),
        (Gap(Status.NO_PERMISSION, "run as root"), State.SKIP),
    ],
)
def test_a_number_that_a_card_has_and_did_not_tell_is_unknown(make: Any, gap: Gap, state: State) -> None:
    here = Surroundings(mounts=frozenset(), driver_s=0.1, gaps={"GPU-1": {"temperature": gap, "event_reasons": gap}})
    found = judged(make(gpus={1: {"temperature_c": None, "clock_event_reasons": ()}}), here=here)
    assert states(found, "gpu.temp")["GPU 1"] is state
    assert states(found, "gpu.throttle")["GPU 1"] is state
    assert states(found, "gpu.temp")["GPU 0"] is State.OK


def test_a_card_without_ecc_is_skipped_and_the_box_is_ok(make: Any) -> None:
    none = dict.fromkeys(("ecc_uncorrected_volatile", "ecc_uncorrected_aggregate", "ecc_corrected_volatile"))
    made = of(make(1, gpus={0: none}))
    assert (made.state, made.exit_code) == (State.OK, 0)
    assert states(made.results, "gpu.ecc_uncorrected") == {"GPU 0": State.SKIP}


def test_expected_mounts_are_looked_for_among_all_mounts(make: Any) -> None:
    found = judged(make(), Limits({}, ("/data", "/scratch")))
    assert states(found, "disk.mount_missing") == {"/data": State.OK, "/scratch": State.CRITICAL}
    unread = judged(make(), Limits({}, ("/data",)), Surroundings())
    assert states(unread, "disk.mount_missing") == {"/data": State.UNKNOWN}


def test_a_refused_kernel_log_is_skipped_and_unknown_where_it_was_asked_for(make: Any) -> None:
    here = Surroundings(mounts=frozenset(), driver_s=0.1, kernel_log="no permission to read the kernel log")
    assert set(states(judged(make(), here=here), "gpu.xid").values()) == {State.SKIP}
    assert set(states(judged(make(), here=here, only=["gpu.xid"]), "gpu.xid").values()) == {State.UNKNOWN}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"cpu": Cpu(status=Status.ERROR)}, "cpu.load"),
        ({"cpu": Cpu(count=4, load=(0.0, 0.0, float("nan")))}, "cpu.load"),
        ({"memory": Ram(status=Status.ERROR)}, "mem.available"),
        ({"memory": Ram(total_bytes=100, available_bytes=float("nan"))}, "mem.available"),
        ({"disks": (Disk(mount="/", status=Status.ERROR, reason="I/O error"),)}, "disk.space"),
        ({"disks": (Disk(mount="/", used_percent=float("nan")),)}, "disk.space"),
        ({"disks": (Disk(mount="/", status=Status.STALE),)}, "disk.space"),
    ],
)
def test_what_could_not_be_read_is_unknown(make: Any, changes: Any, check: str) -> None:
    assert set(states(judged(make(**changes)), check).values()) == {State.UNKNOWN}


def test_unknown_can_be_told_as_something_worse(make: Any) -> None:
    found = judged(make(cpu=Cpu(status=Status.ERROR)), unknown_as=State.CRITICAL)
    assert states(found, "cpu.load") == {"CPU": State.CRITICAL}


@pytest.mark.parametrize("status", list(Status))
def test_no_state_of_any_group_breaks_a_verdict(make: Any, status: Status) -> None:
    snapshot = make(
        cpu=Cpu(status=status),
        memory=Ram(status=status),
        disks=(Disk(mount="/x", status=status),),
        driver=Driver(status=status),
        gpus={0: {"status": status}},
    )
    made = of(snapshot)
    assert {one.check for one in made.results} == {check.id for check in CATALOGUE}
    assert all(one.summary for one in made.results)


# --- what runs


def test_globs_choose_checks() -> None:
    assert select(["disk.*"]).families == {"disk"}
    assert select(["mem.swap", "cpu.*"], ["cpu.psi"]).checks == {"mem.swap", "cpu.load", "cpu.thermal"}
    assert "gpu.mem" not in select(disabled=["gpu.mem"]).checks
    assert select(disabled=["gpu.mem"]).disabled == ("gpu.mem",)
    assert select(["gpu.mem"], disabled=["gpu.mem"]).checks == {"gpu.mem"}
    for wrong in ("nope", "gpu", "GPU.temp"):
        with pytest.raises(NoSuchCheckError, match=wrong):
            select([wrong])


def test_what_is_disabled_has_no_result(make: Any) -> None:
    snapshot, selection = make(), select(skip=["gpu.*"])
    made = verdict(
        results(judgements(snapshot, None, None, HERE), selection, snapshot),
        selection,
        snapshot,
        profile_name="default",
        profile=PROFILES["default"],
        duration_s=0.0,
    )
    assert not any(one.check.startswith("gpu.") for one in made.results)
    assert set(made.disabled) == {check.id for check in CATALOGUE if check.family == "gpu"}


def test_nothing_that_ran_is_no_verdict(make: Any) -> None:
    snapshot, selection = make(), select(["gpu.temp_mem"])
    found = results(judgements(snapshot, None, None, HERE), selection, snapshot)
    for name, profile in PROFILES.items():
        made = verdict(found, selection, snapshot, profile_name=name, profile=profile, duration_s=0.0)
        assert (made.state, made.exit_code) == (State.UNKNOWN, 3)


# --- profiles and limits


@pytest.mark.parametrize(
    ("changes", "state", "code"),
    [
        ({}, State.OK, 0),
        ({"cpu": Cpu(count=96, load=(0, 0, 77.0))}, State.WARNING, 0),
        ({"memory": Ram(total_bytes=100, available_bytes=9)}, State.WARNING, 0),
        ({"disks": (Disk(mount="/", used_percent=99.0, available_bytes=1),)}, State.WARNING, 0),
        ({"disks": (Disk(mount="/data", used_percent=90.0, available_bytes=3000 * GIB),)}, State.WARNING, 0),
        ({"gpus": {0: {"temperature_c": 86, "temperature_slowdown_c": 95}}}, State.WARNING, 0),
        ({"gpus": {0: {"memory_used_bytes": 79 * GIB}}}, State.WARNING, 0),
        ({"gpus": {0: {"status": Status.LOST}}}, State.CRITICAL, 1),
    ],
)
def test_the_seed_profile_has_the_scripts_limits_and_exit_rule(
    make: Any, changes: Any, state: State, code: int
) -> None:
    changes = {"cpu": Cpu(count=96, load=(1.0, 1.0, 1.0)), **changes}
    made = of(make(**changes), "seed")
    assert (made.state, made.exit_code, made.profile) == (state, code, "seed")


def test_the_configs_limits_go_over_a_profiles(make: Any) -> None:
    limits = Limits({"disk.space": parse_limit("disk.space", {"warn": 50, "crit": 60})})
    made = of(make(), "seed", limits)
    assert states(made.results, "disk.space")["/"] is State.CRITICAL
    assert made.exit_code == 1


def test_flags_go_over_everything_as_nagios_ranges(make: Any) -> None:
    limits = overridden(Limits(), ["disk.space=60", "mem.available=70:"], ["cpu.load=@10:90"])
    assert limits["disk.space"].warn is not None
    assert not limits["disk.space"].warn.alerts(60)  # a bare number alerts above it
    found = judged(make(), limits)
    assert states(found, "disk.space") == {"/": State.WARNING, "/data": State.WARNING}
    assert states(found, "mem.available") == {"memory": State.WARNING}
    assert states(found, "cpu.load") == {"CPU": State.CRITICAL}
    for wrong in ("disk.space", "nope=3", "disk.space=x", "disk.space=9:1"):
        with pytest.raises(ValueError, match="-w"):
            overridden(Limits(), [wrong], [])


def test_every_limit_is_told_as_a_range_that_reads_back() -> None:
    from mltop.config.limit import Range

    for row in TABLE.values():
        for limit in (row.limit.warn, row.limit.crit):
            assert limit is None or Range.parse(str(limit)) == limit


# --- what was asked for, and cannot be told for a cause that was not asked for


@pytest.mark.parametrize(
    ("status", "cause"), [(Status.TIMEOUT, "disk.mount_stuck"), (Status.LOST, "disk.mount_missing")]
)
def test_a_mount_that_cannot_be_read_is_unknown_where_its_space_alone_was_asked_for(
    make: Any, status: Status, cause: str
) -> None:
    disks = list(make(0).disks)
    disks[1] = Disk(mount="/data", status=status, reason="why", age_s=None)
    snapshot = make(0, disks=tuple(disks))
    found = judged(snapshot, only=["disk.space"])
    assert states(found, "disk.space") == {"/": State.OK, "/data": State.UNKNOWN}
    assert next(one for one in found if one.target == "/data").summary.startswith("not read: ")
    both = judged(snapshot, only=["disk.space", cause])
    assert states(both, "disk.space") == {"/": State.OK}  # the cause says it
    assert "/data" in states(both, cause)
    assert "/data" not in states(judged(snapshot, only=["disk.shm"]), "disk.shm")


def test_a_lost_gpu_is_unknown_where_its_temperature_alone_was_asked_for(make: Any) -> None:
    snapshot = make(gpus={3: {"status": Status.LOST}})
    found = states(judged(snapshot, only=["gpu.temp"]), "gpu.temp")
    assert {target: state for target, state in found.items() if state is not State.OK} == {"GPU 3": State.UNKNOWN}
    assert len(found) == 8
    assert len(states(judged(snapshot, only=["gpu.temp", "gpu.count"]), "gpu.temp")) == 7
