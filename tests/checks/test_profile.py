"""Profiles: what each changes of a verdict, beside the limits."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from mltop.checks.case import judgement, skip
from mltop.checks.catalogue import CATALOGUE
from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.profile import PROFILES, changes, limits_of, named, raised
from mltop.checks.selection import select
from mltop.checks.verdict import results, verdict
from mltop.config.limits import TABLE, Limits, parse_limit
from mltop.config.profile import Profile as ProfileName
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.host_facts import Clock, HostFacts, Tasks
from mltop.model.snapshot import Cpu, Snapshot
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import State, Verdict

HERE = Surroundings(mounts=frozenset({"/", "/data"}), driver_s=0.1)


def made(
    snapshot: Snapshot, name: str, limits: Limits | None = None, more: tuple[Judgement, ...] = (), **here: Any
) -> Verdict:
    profile = PROFILES[name]
    selection = select(off_in_profile=profile.off)
    holding = limits_of(profile, limits or Limits())
    found = [*judgements(snapshot, holding, None, Surroundings(mounts=frozenset({"/"}), driver_s=0.1, **here)), *more]
    judged = results(
        raised(profile, found),
        selection,
        snapshot,
        unknown_as=profile.unknown_as,
        needs_facilities=profile.needs_facilities,
    )
    return verdict(judged, selection, snapshot, profile_name=name, profile=profile, duration_s=0.1)


def state(one: Verdict, check: str) -> State:
    return max((result.state for result in one.results if result.check == check), key=lambda state: state != "OK")


def test_every_profile_has_a_name_that_the_config_takes_and_ids_of_the_catalogue() -> None:
    assert tuple(PROFILES) == get_args(ProfileName)
    ids = {check.id for check in CATALOGUE}
    for profile in PROFILES.values():
        assert profile.words
        assert set(profile.limits) <= set(TABLE)
        assert {*profile.off, *(one.check for one in profile.blocking)} <= ids


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_healthy_box_is_ok_in_every_profile(make: Any, name: str) -> None:
    idle = make(cpu=Cpu(count=96, load=(3.0, 3.0, 3.0), psi_some_avg10=0.4, throttled=False, age_s=0.0))
    one = made(idle, name)
    # what a load of 80 % or memory that was preallocated is to the old script is its own affair
    assert one.state is (State.OK if name != "seed" else one.state)
    assert one.exit_code == 0


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"remap_pending": True}, "gpu.row_remap"),
        ({"xid_last": 63, "xid_last_age_s": 60.0}, "gpu.xid"),
        ({"xid_last": 94, "xid_last_age_s": 60.0}, "gpu.xid"),
    ],
)
def test_the_gate_blocks_what_a_reset_would_mend(make: Any, changed: dict[str, Any], check: str) -> None:
    snapshot = make(gpus={2: changed})
    assert made(snapshot, "default").exit_code == 1
    blocked = made(snapshot, "gate")
    assert (blocked.exit_code, state(blocked, check)) == (2, State.CRITICAL)


def test_the_gate_blocks_what_the_driver_asks_to_be_drained(make: Any) -> None:
    facts = {"GPU-2": GpuFacts(recovery_action=3)}
    assert state(made(make(), "default", gpus=facts), "gpu.recovery_action") is State.WARNING
    assert state(made(make(), "gate", gpus=facts), "gpu.recovery_action") is State.CRITICAL


def test_the_gate_leaves_an_xid_that_nobody_knows_a_warning_and_an_applications_own_ok(make: Any) -> None:
    for code, exit_code in ((92, 1), (31, 0), (79, 2)):
        assert made(make(gpus={2: {"xid_last": code, "xid_last_age_s": 60.0}}), "gate").exit_code == exit_code


def test_the_gate_takes_what_is_not_known_for_critical(make: Any) -> None:
    unknown = judgement("mem.swap", Level.UNKNOWN, "not read", reason="error")
    assert made(make(), "default", more=(unknown,)).exit_code == 3
    assert made(make(), "gate", more=(unknown,)).exit_code == 2


@pytest.mark.parametrize("reason", ["permission", "facility"])
def test_the_gate_asks_for_facilities_that_are_missing_or_refused(make: Any, reason: str) -> None:
    missing = skip("svc.unit", "no systemd here", target="ssh", reason=reason)
    assert made(make(), "default", more=(missing,)).exit_code == 0
    assert state(made(make(), "gate", more=(missing,)), "svc.unit") is State.CRITICAL
    refused = made(make(), "gate", kernel_log="no permission to read the kernel log: run as root")
    assert state(refused, "gpu.xid") is State.CRITICAL


def test_the_gate_asks_for_a_time_service_and_the_default_does_not(make: Any) -> None:
    host = HostFacts(clock=Clock(is_synchronised=False), tasks=Tasks())
    late = make(uptime_s=90_000.0)
    assert made(late, "default", host=host).exit_code == 0
    assert state(made(late, "gate", host=host), "time.sync") is State.CRITICAL


def test_the_gate_passes_what_is_just_not_there(make: Any) -> None:
    more = (skip("redis", "none is configured"), skip("svc.unit", "not enabled", target="docker"))
    assert made(make(), "gate", more=more).exit_code == 0


def test_load_and_swap_count_sooner_where_models_are_served_and_not_where_they_are_trained(make: Any) -> None:
    busy = make(cpu=Cpu(count=96, load=(140.0,) * 3, psi_some_avg10=30.0, throttled=False, age_s=0.0))
    assert state(made(busy, "default"), "cpu.load") is State.OK
    assert state(made(busy, "inference"), "cpu.load") is State.WARNING
    assert state(made(busy, "training"), "cpu.load") is State.SKIP


def test_a_profiles_check_that_is_off_is_disabled_and_never_ok(make: Any) -> None:
    one = made(make(gpus={0: {"persistence_mode": False}}), "desktop")
    assert one.disabled == ("gpu.persistence", "gpu.idle_waste", "net.link")
    assert "gpu.persistence" not in {result.check for result in one.results}
    assert "gpu.persistence" in select(["gpu.persistence"], off_in_profile=PROFILES["desktop"].off).checks


def test_the_configs_limits_go_over_a_profiles() -> None:
    limits = Limits({"cpu.load": parse_limit("cpu.load", 150)})
    assert str(limits_of(PROFILES["seed"], limits)["cpu.load"].warn) == "@150:"
    assert str(limits_of(PROFILES["seed"], limits)["disk.space"].warn) == "@85:"


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean inference"):
        named("inferrence")
    with pytest.raises(ValueError, match="default, seed, gate"):
        named("")


def test_what_a_profile_changes_is_said() -> None:
    assert changes(PROFILES["default"], "gpu.xid") is None
    assert changes(PROFILES["gate"], "gpu.row_remap") == "a row remap that is pending: CRITICAL"
    assert changes(PROFILES["desktop"], "gpu.persistence") == "off"
    assert changes(PROFILES["seed"], "svc.unit") == "docker and ssh must be there"
