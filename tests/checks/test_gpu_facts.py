"""What only a verdict asks a GPU for: OK, WARNING, CRITICAL, SKIP, UNKNOWN of each check, without a driver."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mltop.checks.judge import Memory, judge, judgements
from mltop.checks.judgement import Judgement
from mltop.config.limits import Limits, parse_limit
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.snapshot import Snapshot, Status
from mltop.model.surroundings import Gap, Surroundings

NEW = ("gpu.recovery_action", "gpu.pcie_replay", "gpu.fabric", "gpu.power_cap", "gpu.ecc_mode", "gpu.vbios")
WELL = GpuFacts(
    recovery_action=0,
    vbios="96.00.74.00.01",
    power_default_w=700.0,
    temperature_memory_max_c=95,
    ecc_mode=True,
    ecc_pending=True,
    ecc_corrected_dram=12,
    ecc_corrected_sram=0,
    sram_above_threshold=False,
    remap_uncorrectable=2,
    pcie_replays=9000,
    fabric_state=3,
    fabric_status=0,
    fabric_health=0x1AA,
    slowed_down_s={"thermal": 900.0, "sw-thermal": 800.0, "hw-thermal": 50.0, "hw-power-brake": 20.0},
    nvlink_errors={"crc": 123456, "replay": 7, "recovery": 2},
)


class Run:
    """Runs of `--check` on one box: each hands its memory to the next."""

    def __init__(self, make: Any, limits: Limits | None = None) -> None:
        self.make = make
        self.limits = limits or Limits()
        self.memory = Memory()
        self.facts = {f"GPU-{index}": WELL for index in range(8)}
        self.gaps: dict[str, dict[str, Gap]] = {}

    def gpu_is(self, index: int, **changes: Any) -> None:
        """Change what a GPU tells from now on."""
        name = f"GPU-{index}"
        self.facts[name] = msgspec.structs.replace(self.facts[name], **changes)

    def all(self, at: float = 1000.0, **gpus: Any) -> list[Judgement]:
        """Every judgement; `gpus` changes GPU 3 of the snapshot."""
        snapshot: Snapshot = self.make(gpus={3: gpus}, uptime_s=at)
        here = Surroundings(driver_s=0.1, gpus=self.facts, gaps=self.gaps)
        return list(judgements(snapshot, self.limits, self.memory, here, ("gpu",)))

    def of(self, check: str, index: int = 3, at: float = 1000.0, **gpus: Any) -> Judgement:
        """What a check says of one GPU."""
        (one,) = [one for one in self.all(at, **gpus) if (one.check, one.target) == (check, f"GPU-{index}")]
        return one


@pytest.fixture
def run(make: Any) -> Run:
    return Run(make)


def told(one: Judgement) -> tuple[Level | None, str]:
    return one.level, one.summary


def test_eight_well_gpus_are_ok_in_every_check_and_again_an_hour_later(run: Run) -> None:
    for at in (1000.0, 4600.0):
        found = run.all(at)
        assert [one for one in found if one.level] == []
        assert {check: sum(one.check == check for one in found) for check in NEW} == dict.fromkeys(NEW, 8)


def test_where_nobody_asked_nothing_is_said(make: Any) -> None:
    """The dashboard judges the snapshot alone."""
    found = list(judgements(make(), None, Memory()))
    assert not {one.check for one in found} & {*NEW, "gpu.idle_waste"}
    assert judge(make()) == ()


def test_what_a_card_does_not_have_is_skipped_in_silence(run: Run) -> None:
    run.facts["GPU-3"] = GpuFacts()
    for one in run.all():
        if one.target == "GPU-3" and one.check in NEW:
            assert (one.level, one.reason, one.is_quiet) == (None, "unsupported", True), one


@pytest.mark.parametrize(
    ("fact", "check"),
    [
        ("recovery", "gpu.recovery_action"),
        ("pcie_replay", "gpu.pcie_replay"),
        ("fabric", "gpu.fabric"),
        ("power_default", "gpu.power_cap"),
        ("power_limit", "gpu.power_cap"),
        ("ecc_mode", "gpu.ecc_mode"),
        ("vbios", "gpu.vbios"),
        ("memory", "gpu.idle_waste"),
    ],
)
@pytest.mark.parametrize(
    ("gap", "level", "reason"),
    [
        (Gap(Status.ERROR, "unknown error"), Level.UNKNOWN, "error"),
        (Gap(Status.TIMEOUT, "not read in time"), Level.UNKNOWN, "timeout"),
        (Gap(Status.OK, "out of range (4294967295)"), Level.UNKNOWN, "parse"),
        (Gap(Status.NO_PERMISSION, "no permission"), None, "permission"),
    ],
)
def test_what_did_not_come_is_unknown_and_takes_no_other_with_it(
    run: Run, fact: str, check: str, gap: Gap, level: Level | None, reason: str
) -> None:
    run.facts["GPU-3"] = GpuFacts()
    run.gaps = {"GPU-3": {fact: gap}}
    changes = {"memory_used_bytes": None} if fact == "memory" else {}
    one = run.of(check, **changes)
    assert (one.level, one.reason) == (level, reason)
    assert run.of(check, index=4).level is Level.OK


@pytest.mark.parametrize(
    ("value", "level", "words"),
    [
        (0, Level.OK, "the driver asks for nothing"),
        (1, Level.CRITICAL, "the driver asks for recovery action 1: reset the GPU"),
        (2, Level.CRITICAL, "the driver asks for recovery action 2: reboot the node"),
        (3, Level.WARNING, "the driver asks for recovery action 3: drain its peer-to-peer traffic"),
        (7, Level.CRITICAL, "the driver asks for recovery action 7: reboot the node"),
        (42, Level.CRITICAL, "the driver asks for recovery action 42, not known to mltop"),
    ],
)
def test_the_drivers_own_recovery_action(run: Run, value: int, level: Level, words: str) -> None:
    run.gpu_is(3, recovery_action=value)
    one = run.of("gpu.recovery_action")
    assert told(one) == (level, words)
    assert one.value == value


@pytest.mark.parametrize(
    ("generation", "width", "bearable"), [(3, 16, 8), (4, 16, 16), (5, 16, 31), (4, 8, 8), (1, 16, 3)]
)
def test_pcie_replays_by_the_speed_of_the_link(run: Run, generation: int, width: int, bearable: int) -> None:
    link = {"pcie_generation_max": generation, "pcie_width": width}
    run.gpu_is(3, pcie_replays=5000)
    first = run.of("gpu.pcie_replay", at=1000.0, **link)
    assert told(first) == (Level.OK, "5000 PCIe replays so far")  # of which time, nobody knows
    run.gpu_is(3, pcie_replays=5000 + 60 * bearable)
    assert told(run.of("gpu.pcie_replay", at=4600.0, **link)) == (Level.OK, f"{bearable} PCIe replays a minute")
    run.gpu_is(3, pcie_replays=5000 + 60 * bearable + 60 * (bearable + 1))
    assert told(run.of("gpu.pcie_replay", at=8200.0, **link)) == (
        Level.WARNING,
        f"{bearable + 1} PCIe replays a minute",
    )


def test_two_runs_in_a_second_do_not_make_a_rate_of_a_few_replays(run: Run) -> None:
    run.of("gpu.pcie_replay", at=1000.0)
    run.gpu_is(3, pcie_replays=9010)
    assert run.of("gpu.pcie_replay", at=1001.0).level is Level.OK


def test_a_limit_for_replays_in_the_config_wins(make: Any) -> None:
    run = Run(make, Limits(configured={"gpu.pcie_replay": parse_limit("gpu.pcie_replay", 5)}))
    run.of("gpu.pcie_replay")
    run.gpu_is(3, pcie_replays=9006)
    assert run.of("gpu.pcie_replay", at=1060.0).level is Level.WARNING


def test_a_registration_under_way_is_a_warning_after_two_minutes(run: Run) -> None:
    run.gpu_is(3, fabric_state=2, fabric_status=0)
    assert told(run.of("gpu.fabric", at=100.0)) == (Level.OK, "registering with the fabric")
    assert run.of("gpu.fabric", at=160.0).level is Level.OK
    assert run.of("gpu.fabric", at=221.0).level is Level.WARNING
    run.gpu_is(3, fabric_state=3)
    assert told(run.of("gpu.fabric", at=230.0)) == (Level.OK, "registered with the fabric")


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"fabric_status": 999}, Level.CRITICAL, "registration with the fabric failed (NVML error 999)"),
        ({"fabric_health": 0b01}, Level.WARNING, "fabric: bandwidth degraded"),
        ({"fabric_health": 0b100110}, Level.WARNING, "fabric: routes being recovered"),
        ({"fabric_health": 0b011010}, Level.CRITICAL, "fabric: routes unhealthy"),
        ({"fabric_health": 0x4AA}, Level.WARNING, "fabric: configured wrongly"),
        ({"fabric_health": 0}, Level.OK, "registered with the fabric"),
        ({"fabric_health": None}, Level.OK, "registered with the fabric"),
    ],
)
def test_a_registration_that_failed_or_is_unwell(run: Run, changes: dict[str, Any], level: Level, words: str) -> None:
    run.gpu_is(3, **changes)
    assert told(run.of("gpu.fabric")) == (level, words)


@pytest.mark.parametrize(("watts", "level"), [(700.0, Level.OK), (699.9, Level.OK), (500.0, Level.WARNING)])
def test_a_power_limit_below_the_default(run: Run, watts: float, level: Level) -> None:
    one = run.of("gpu.power_cap", power_limit_w=watts)
    assert told(one) == (level, f"power limit {watts:.0f} W of 700 W")


@pytest.mark.parametrize(
    ("changes", "card", "level", "words"),
    [
        ({}, {}, Level.OK, "ECC on"),
        ({"ecc_pending": False}, {}, Level.WARNING, "ECC on, off after the next reset"),
        ({"ecc_mode": False, "ecc_pending": True}, {}, Level.WARNING, "ECC off, on after the next reset"),
        ({"ecc_mode": False, "ecc_pending": False}, {}, Level.WARNING, "ECC off on a server card"),
        ({"ecc_mode": False, "ecc_pending": False}, {"fan_percent": 30}, Level.OK, "ECC off"),
        ({"ecc_mode": False, "ecc_pending": False}, {"name": "NVIDIA RTX A5000 Laptop GPU"}, Level.OK, "ECC off"),
        ({"ecc_pending": None}, {}, Level.OK, "ECC on"),
    ],
)
def test_the_mode_of_ecc(run: Run, changes: dict[str, Any], card: dict[str, Any], level: Level, words: str) -> None:
    run.gpu_is(3, **changes)
    off = {} if changes.get("ecc_mode", True) else {"ecc_uncorrected_volatile": None, "ecc_uncorrected_aggregate": None}
    assert told(run.of("gpu.ecc_mode", **off, **card)) == (level, words)


def test_the_card_whose_firmware_differs_is_named_and_only_it(run: Run) -> None:
    run.gpu_is(3, vbios="96.00.61.00.01")
    levels = {one.target: one.level for one in run.all() if one.check == "gpu.vbios"}
    assert levels == {f"GPU-{n}": Level.WARNING if n == 3 else Level.OK for n in range(8)}
    assert run.of("gpu.vbios").summary == "VBIOS 96.00.61.00.01, 96.00.74.00.01 on 7 of this model"
    assert run.of("gpu.vbios", name="NVIDIA L40S").level is Level.OK  # another model has another firmware


def test_two_halves_with_two_firmwares_are_all_told(run: Run) -> None:
    for index in range(4):
        run.gpu_is(index, vbios="96.00.61.00.01")
    assert {one.level for one in run.all() if one.check == "gpu.vbios"} == {Level.WARNING}


@pytest.mark.parametrize(
    ("celsius", "level"), [(84, Level.OK), (90, Level.WARNING), (95, Level.WARNING), (96, Level.CRITICAL)]
)
def test_memory_heat_by_the_cards_own_maximum(run: Run, celsius: int, level: Level) -> None:
    one = run.of("gpu.temp_mem", temperature_memory_c=celsius)
    assert one.level is level
    assert one.summary.endswith("its maximum 95 C")
    assert one.limit is not None
    assert (str(one.limit.warn), str(one.limit.crit)) == ("@90:", "@96:")


@pytest.mark.parametrize("most", [None, 0, 1, 255])
def test_a_maximum_that_cannot_be_one_limits_nothing(run: Run, most: int | None) -> None:
    run.gpu_is(3, temperature_memory_max_c=most)
    one = run.of("gpu.temp_mem", temperature_memory_c=93)
    assert (one.level, one.reason) == (None, "no-limit")


def test_a_limit_for_memory_heat_in_the_config_wins(make: Any) -> None:
    run = Run(make, Limits(configured={"gpu.temp_mem": parse_limit("gpu.temp_mem", {"warn": 70, "crit": 75})}))
    assert run.of("gpu.temp_mem", temperature_memory_c=76).level is Level.CRITICAL


# --- memory errors


@pytest.mark.parametrize(
    ("changes", "check", "level", "words"),
    [
        (
            {"sram_above_threshold": True},
            "gpu.ecc_uncorrected",
            Level.CRITICAL,
            "more uncorrected SRAM errors than its maker allows",
        ),
        ({"ecc_corrected_dram": 20_000_000}, "gpu.ecc_corrected", Level.WARNING, "20000000 corrected ECC errors"),
        ({"ecc_corrected_sram": 10_000}, "gpu.ecc_corrected", Level.WARNING, "10000 corrected ECC errors in SRAM"),
        ({"ecc_corrected_sram": 9_999}, "gpu.ecc_corrected", Level.OK, "12 corrected ECC errors"),
        ({"remap_uncorrectable": 511}, "gpu.row_remap", Level.OK, "no row remap pending or failed"),
        ({"remap_uncorrectable": 512}, "gpu.row_remap", Level.WARNING, "512 rows remapped for uncorrectable errors"),
    ],
)
def test_memory_errors_that_only_a_verdict_sees(
    run: Run, changes: dict[str, Any], check: str, level: Level, words: str
) -> None:
    run.gpu_is(3, **changes)
    assert told(run.of(check)) == (level, words)


def test_pages_that_were_retired_long_ago_do_no_harm_and_new_ones_are_told_for_a_week(run: Run) -> None:
    check, day = "gpu.retired_pages", 86400.0
    run.gpu_is(3, retired_double_bit=20, retired_pending=False)
    assert told(run.of(check, at=day, retired_pages=25)) == (Level.OK, "25 retired pages")
    assert run.of(check, at=2 * day, retired_pages=25).level is Level.OK
    run.gpu_is(3, retired_double_bit=21)
    for later in (3, 5, 8):
        one = run.of(check, at=later * day, retired_pages=26)
        assert told(one) == (Level.WARNING, "21 pages retired for double-bit errors, 1 of them lately")
    assert run.of(check, at=11 * day, retired_pages=26).level is Level.OK


def test_few_new_pages_many_pages_and_a_retirement_that_is_pending(run: Run) -> None:
    check = "gpu.retired_pages"
    run.gpu_is(3, retired_double_bit=2)
    run.of(check, retired_pages=2)
    run.gpu_is(3, retired_double_bit=4)
    assert run.of(check, at=2000.0, retired_pages=4).level is Level.OK
    assert run.of(check, at=3000.0, retired_pages=63).level is Level.CRITICAL
    run.gpu_is(3, retired_pending=True)
    one = run.of(check, at=4000.0, retired_pages=4)
    assert (*told(one), one.reason) == (Level.WARNING, "4 retired pages, retirement pending", "pending")


# --- what grew since the last run


@pytest.mark.parametrize(
    ("slowed", "level", "words"),
    [
        ({"sw-thermal": 30.0}, Level.OK, "not slowed down"),
        ({"sw-thermal": 108.0}, Level.WARNING, "slowed down by heat 3 % of the time"),
        ({"sw-thermal": 1800.0}, Level.WARNING, "slowed down by heat 50 % of the time"),  # the driver's own care
        ({"thermal": 1800.0}, Level.WARNING, "slowed down by heat 50 % of the time"),
        ({"hw-thermal": 108.0}, Level.WARNING, "slowed down by heat 3 % of the time"),
        ({"hw-thermal": 720.0}, Level.CRITICAL, "slowed down by heat 20 % of the time"),
        ({"hw-power-brake": 720.0}, Level.CRITICAL, "held by the power brake 20 % of the time"),
    ],
)
def test_the_share_of_the_time_that_a_gpu_was_slowed_down(
    run: Run, slowed: dict[str, float], level: Level, words: str
) -> None:
    run.of("gpu.throttle", at=1000.0)
    before = dict(WELL.slowed_down_s or {})
    run.gpu_is(3, slowed_down_s={name: s + slowed.get(name, 0.0) for name, s in before.items()})
    one = run.of("gpu.throttle", at=4600.0)
    assert told(one) == (level, words)
    assert one.value == pytest.approx(max(slowed.values()) / 36)


def test_what_was_before_the_first_run_or_before_the_driver_was_loaded_again_is_no_share(run: Run) -> None:
    assert run.of("gpu.throttle", at=1000.0).level is Level.OK
    run.gpu_is(3, slowed_down_s={"thermal": 0.5})
    assert run.of("gpu.throttle", at=2000.0).level is Level.OK


@pytest.mark.parametrize(
    ("grown", "level", "words"),
    [
        ({"crc": 99 * 3600}, Level.OK, "NVLink 18 of 18 links"),
        ({"crc": 101 * 3600}, Level.WARNING, "NVLink 18 of 18 links, 101 CRC errors/s"),
        ({"replay": 1}, Level.CRITICAL, "NVLink 18 of 18 links, 1 replay errors"),
        ({"recovery": 3}, Level.CRITICAL, "NVLink 18 of 18 links, 3 recovery errors"),
    ],
)
def test_nvlink_errors_since_the_last_run(run: Run, grown: dict[str, int], level: Level, words: str) -> None:
    run.of("gpu.nvlink", at=1000.0)
    before = dict(WELL.nvlink_errors or {})
    run.gpu_is(3, nvlink_errors={name: count + grown.get(name, 0) for name, count in before.items()})
    assert told(run.of("gpu.nvlink", at=4600.0)) == (level, words)


# --- never a fault


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({}, "no memory held without work"),
        ({"idle_held_s": 0.0}, "74.0 GiB held without work just now"),
        ({"idle_held_s": 1200.0}, "74.0 GiB held without work for 20 min"),
    ],
)
def test_memory_held_without_work_is_told_and_is_ok(run: Run, card: dict[str, Any], words: str) -> None:
    assert told(run.of("gpu.idle_waste", **card)) == (Level.OK, words)
