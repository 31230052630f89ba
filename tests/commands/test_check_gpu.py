"""What `mltop --check` says of GPUs of several models, well and unwell, through the fake driver."""

from __future__ import annotations

import time
from pathlib import Path

import driver
import pytest
from gpu_verdict import gpu_verdict
from patience import assert_within

IDLE = ""
LOAD = """[gpu *]
util = 98
util_mem = 55
pstate = 0
reasons = sw-power-cap
process = @0 9000MiB sm 98 mem 55
memory_used = 9100MiB
"""
MODELS = {
    "h100": "temperature = 66C\ntemperature_memory = 80C\npower = 690W\n",
    "a100": "temperature = 63C\ntemperature_memory = 78C\npower = 395W\n",
    "l40s": "temperature = 71C\ntemperature_margin = 16\npower = 345W\n",
    "t4": "temperature = 74C\npower = 69W\npcie_gen = 3\n",
    "rtx4080": "temperature = 68C\ntemperature_margin = 16\npower = 301W\npcie_gen = 4\nfan = 48%\n",
    "rtx4090": "temperature = 71C\npower = 402W\nfan = 62%\n",
    "gb200": "temperature = 58C\ntemperature_memory = 61C\ntemperature_margin = 27\npower = 1102W\n",
    "gb10": "temperature = 72C\ntemperature_margin = 18\npower = 60W\n",
}
"""What moves under load, on top of `LOAD`."""


@pytest.mark.parametrize("load", [IDLE, LOAD], ids=["idle", "load"])
@pytest.mark.parametrize("model", MODELS)
def test_a_well_gpu_of_any_model_raises_nothing(
    fake_nvml: driver.FakeNvml, tmp_path: Path, model: str, load: str
) -> None:
    used = "memory_used" if model != "gb10" else "util_enc"  # where the host's memory is the GPU's
    fake_nvml.write(f"gpus = 2 {model}\n{load.replace('memory_used', used)}{MODELS[model] if load else ''}")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert (made.exit_code, made.told()) == (0, {})
    assert made.of("gpu.temp") == {"GPU 0": "OK", "GPU 1": "OK"}


WORN = """
[gpu 0]
recovery_action = 3
[gpu 1]
recovery_action = 9
vbios = 96.00.61.00.01
[gpu 2]
power_limit = 500W
[gpu 3]
ecc_pending = no
[gpu 4]
fabric_status = 999
[gpu 5]
temperature_memory = 97C
[gpu 6]
sram_threshold = yes
[gpu 7]
ecc_cor_sram = 20000
remap_unc = 600
"""
SEEN = {
    ("gpu.recovery_action", "GPU 0"): "WARNING",
    ("gpu.recovery_action", "GPU 1"): "CRITICAL",
    ("gpu.vbios", "GPU 1"): "WARNING",
    ("gpu.power_cap", "GPU 2"): "WARNING",
    ("gpu.ecc_mode", "GPU 3"): "WARNING",
    ("gpu.fabric", "GPU 4"): "CRITICAL",
    ("gpu.temp_mem", "GPU 5"): "CRITICAL",
    ("gpu.ecc_uncorrected", "GPU 6"): "CRITICAL",
    ("gpu.ecc_corrected", "GPU 7"): "WARNING",
    ("gpu.row_remap", "GPU 7"): "WARNING",
}


def test_what_only_a_verdict_asks_is_told_of_the_gpu_that_has_it(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100", extra=WORN)
    made = gpu_verdict(fake_nvml, tmp_path)
    assert (made.exit_code, made.told()) == (2, SEEN)


def test_seven_gpus_beside_a_lost_one_are_judged_in_full(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100-lost-at-start")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {("gpu.count", "GPU 3"): "CRITICAL"}
    others = {f"GPU {index}": "OK" for index in range(8) if index != 3}
    for check in {check for check, _ in SEEN} | {"gpu.pcie_replay", "gpu.nvlink", "gpu.throttle"}:
        assert made.of(check) == others, check


def test_pages_about_to_be_retired_on_a_card_before_ampere(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.write("gpus = 3 t4\n[gpu 1]\nretired_pending = yes\nretired_dbe = 1\n[gpu 2]\nretired_dbe = 64\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {
        ("gpu.retired_pages", "GPU 1"): "WARNING",
        ("gpu.retired_pages", "GPU 2"): "CRITICAL",
    }


def test_counters_that_grew_since_the_last_run(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    """Old totals raise nothing; what came since the last run does, on drivers that tell totals or each link."""
    for model, slowed in (("h100", "slow_hw_thermal"), ("a100", "violation_thermal")):
        counters = (
            f"gpus = 1 {model}\n[gpu 0]\nnvlink_crc = 5000\npcie_replay = {{}}\nnvlink_replay = {{}}\n{slowed} = {{}}\n"
        )
        fake_nvml.write(counters.format(9000, 40, 5 * 10**12))
        made = gpu_verdict(fake_nvml, tmp_path)
        assert (made.exit_code, made.told()) == (0, {}), model
        fake_nvml.write(counters.format(9100, 41, 5 * 10**12 + 20 * 10**9))
        made = gpu_verdict(fake_nvml, tmp_path)
        assert made.told() == {
            ("gpu.pcie_replay", "GPU 0"): "WARNING",
            ("gpu.throttle", "GPU 0"): "CRITICAL" if model == "h100" else "WARNING",
            ("gpu.nvlink", "GPU 0"): "CRITICAL",
        }
        tmp_path = tmp_path / "again"


def test_without_state_nothing_grows(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    for replays in (0, 10**6):
        fake_nvml.write(f"gpus = 1 h100\n[gpu 0]\npcie_replay = {replays}\n")
        assert gpu_verdict(fake_nvml, tmp_path, "--no-state").exit_code == 0
    assert not (tmp_path / "state").exists()


# --- calls that fail

CALLS = {
    "nvmlDeviceGetFieldValues": ("gpu.recovery_action",),
    "nvmlDeviceGetVbiosVersion": ("gpu.vbios",),
    "nvmlDeviceGetPowerManagementDefaultLimit": ("gpu.power_cap",),
    "nvmlDeviceGetEccMode": ("gpu.ecc_mode",),
    "nvmlDeviceGetPcieReplayCounter": ("gpu.pcie_replay",),
    "nvmlDeviceGetGpuFabricInfoV": ("gpu.fabric",),
}
QUIET = ("nvmlDeviceGetSramEccErrorStatus", "nvmlDeviceGetViolationStatus", "nvmlDeviceGetMemoryErrorCounter")
"""Only a part of a check rests on these."""


def test_calls_that_fail_are_unknown_each_in_its_own_check(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    faults = [f"fault = {call} {index} unknown" for index, call in enumerate(CALLS)]
    fake_nvml.scenario("8xh100", extra="\n".join([*faults, ""]))
    made = gpu_verdict(fake_nvml, tmp_path)
    told = {(check, f"GPU {index}"): "UNKNOWN" for index, checks in enumerate(CALLS.values()) for check in checks}
    assert made.told() == told | {("gpu.temp_mem", "GPU 0"): "UNKNOWN"}
    assert made.exit_code == 3


def test_calls_that_are_refused_are_skipped_where_nobody_asked(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    faults = [f"fault = {call} * no_permission" for call in (*CALLS, *QUIET)]
    fake_nvml.scenario("8xh100", extra="\n".join([*faults, ""]))
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {}


@pytest.mark.parametrize("value", ["na", "0x7ffffff0"])
def test_sentinels_are_never_values(fake_nvml: driver.FakeNvml, tmp_path: Path, value: str) -> None:
    keys = ("recovery_action", "power_default", "ecc_mode", "pcie_replay", "temperature_mem_max", "remap_unc")
    keys += ("remap_pending", "remap_failed", "persistence", "mig_mode", "nvlinks_active", "retired_pending")
    fake_nvml.scenario("8xh100", extra="\n".join(["[gpu 3]", *(f"{key} = {value}" for key in keys), ""]))
    made = gpu_verdict(fake_nvml, tmp_path)
    assert {state for (_, name), state in made.told().items() if name == "GPU 3"} <= {"UNKNOWN"}
    assert {name for _, name in made.told()} == {"GPU 3"}
    for one in made.results:
        assert one["value"] is None or abs(one["value"]) < 2e9, one


def test_a_yes_that_is_all_ones_is_not_known(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    keys = ("remap_pending", "remap_failed", "persistence", "retired_sbe", "retired_dbe", "sram_threshold")
    fake_nvml.write("\n".join(["gpus = 1 h100", "[gpu 0]", *(f"{key} = na" for key in keys), ""]))
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {
        (f"gpu.{check}", "GPU 0"): "UNKNOWN" for check in ("row_remap", "persistence", "retired_pages")
    }


def test_a_slow_driver_is_slow_and_its_first_answers_are_not_old(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetUUID 5-7 delay 1800ms\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {("gpu.responsive", "driver"): "WARNING"}


NEW_SYMBOLS = (
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetGpuFabricInfoV",
    "nvmlDeviceGetSramEccErrorStatus",
    "nvmlDeviceGetViolationStatus",
    "nvmlDeviceGetMarginTemperature",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetRemappedRows",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetRetiredPagesPendingStatus",
    "nvmlDeviceGetPcieReplayCounter",
    "nvmlDeviceGetPowerManagementDefaultLimit",
    "nvmlDeviceGetEccMode",
    "nvmlDeviceGetVbiosVersion",
    "nvmlDeviceGetMemoryErrorCounter",
    "nvmlInit_v2",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
)


def test_an_old_library_without_these_symbols_is_skipped_in_silence(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    try:
        library = driver.build(tmp_path / "old", hide=NEW_SYMBOLS)
    except driver.NoCompilerError as error:
        pytest.skip(str(error))
    old = driver.FakeNvml(library, tmp_path / "old")
    made = gpu_verdict(old, tmp_path)
    assert (made.exit_code, made.told()) == (0, {})
    for check in ("gpu.recovery_action", "gpu.fabric", "gpu.power_cap", "gpu.ecc_mode", "gpu.pcie_replay", "gpu.vbios"):
        assert made.of(check) == {f"GPU {index}": "SKIP" for index in range(8)}, check
    assert made.of("gpu.throttle") == {f"GPU {index}": "OK" for index in range(8)}


OF_ALL = ("gpu.temp", "gpu.ecc_uncorrected", "gpu.nvlink", "gpu.fabric", "gpu.throttle", "gpu.mem_orphan")


@pytest.mark.parametrize("action", ["crash", "abort", "exit", "hang 60s", "hang_hard 60s"])
@pytest.mark.parametrize(
    "call", ["nvmlDeviceGetHandleByIndex*", "nvmlDeviceGetTemperature", "nvmlDeviceGetGpuFabricInfoV"]
)
def test_a_call_that_dies_or_hangs_in_one_gpu_leaves_the_others_complete(
    fake_nvml: driver.FakeNvml, tmp_path: Path, call: str, action: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {call} 3 {action}\n")
    started = time.monotonic()
    made = gpu_verdict(fake_nvml, tmp_path, "-t", "2")
    assert_within(2.5, started)
    others = {f"GPU {index}": "OK" for index in range(8) if index != 3}
    assert made.exit_code == 2
    for check in OF_ALL:
        assert made.of(check).items() >= others.items(), check
    told = [one for one in made.results if one["state"] == "CRITICAL"]
    assert {one["check"] for one in told} == {"gpu.responsive" if "hang" in action else "gpu.driver"}
    assert all(f"(GPU 3: {call.rstrip('*V')})" in one["summary"] for one in told)


def test_two_gpus_that_hang_leave_the_others_complete(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100", extra="fault = * 2,5 hang\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    others = {f"GPU {index}": "OK" for index in range(8) if index not in (2, 5)}
    for check in OF_ALL:
        assert made.of(check).items() >= others.items(), check
    hung = {"GPU 2": "CRITICAL", "GPU 5": "CRITICAL", "driver": "CRITICAL"}
    assert made.of("gpu.responsive") == {**others, **hung}
    assert made.of("gpu.count") == {"driver": "OK"}


def test_a_single_gpu_that_is_slow_to_start_is_waited_for(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.write("gpus = 1 h100\nfault = nvmlDeviceGetHandleByIndex* 0 delay 3.6s\n")
    assert gpu_verdict(fake_nvml, tmp_path).exit_code == 0


def test_a_call_of_the_verdict_that_hangs_ends_in_time_and_leaves_the_rest(
    fake_nvml: driver.FakeNvml, tmp_path: Path
) -> None:
    fake_nvml.scenario("8xh100", extra="fault = nvmlDeviceGetGpuFabricInfoV 3 hang 60s\n")
    made = gpu_verdict(fake_nvml, tmp_path, "-t", "1.5")
    assert made.exit_code == 2
    assert made.of("gpu.responsive")["driver"] == "CRITICAL"


@pytest.mark.parametrize("calls", ["nvmlDeviceGetHandleByIndex*", "nvmlDeviceGet[!H]*", "nvmlDeviceGetEccMode"])
@pytest.mark.parametrize("code", ["reset_required", "corrupted_inforom"])
def test_a_gpu_on_which_no_work_can_be_placed_is_critical(
    fake_nvml: driver.FakeNvml, tmp_path: Path, calls: str, code: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {calls} 3 {code}\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.exit_code == 2
    assert made.of("gpu.driver") == {"driver": "OK", "GPU 3": "CRITICAL"}
    assert {name for _, name in made.told()} == {"GPU 3"}


@pytest.mark.parametrize("code", ["lost", "not_supported", "unknown", "gpu_not_found", "driver_not_loaded", "999"])
@pytest.mark.parametrize("call", ["nvmlInit*", "nvmlDeviceGetCount*"])
def test_a_driver_that_does_not_start_is_critical_whatever_it_says(
    fake_nvml: driver.FakeNvml, tmp_path: Path, call: str, code: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = {call} - {code}\n")
    driver.make_sysfs(tmp_path / "sys", driver.DGX_BUS_IDS)
    made = gpu_verdict(fake_nvml, tmp_path)
    assert (made.exit_code, made.of("gpu.driver")["driver"]) == (2, "CRITICAL")
    assert made.of("gpu.responsive")["driver"] == "UNKNOWN"


@pytest.mark.parametrize("code", ["uninitialized", "driver_not_loaded", "lib_rm_version_mismatch"])
def test_one_call_that_says_the_driver_is_gone_is_that_calls_own_trouble(
    fake_nvml: driver.FakeNvml, tmp_path: Path, code: str
) -> None:
    fake_nvml.scenario("8xh100", extra=f"fault = nvmlDeviceGetTemperature 3 {code}\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {("gpu.temp", "GPU 3"): "UNKNOWN"}


def test_a_driver_that_is_unloaded_while_it_is_asked_is_told_at_once(
    fake_nvml: driver.FakeNvml, tmp_path: Path
) -> None:
    driver.make_sysfs(tmp_path / "sys", driver.DGX_BUS_IDS)
    going = "fault = nvmlSystemGetDriverVersion - delay 1500ms\nfault = nvmlDeviceGetCount* - 9 from 1.4s\n"
    fake_nvml.scenario("8xh100", extra=f"{going}fault = nvmlDeviceGet[!CH]* 3-7 9\n")
    started = time.monotonic()
    made = gpu_verdict(fake_nvml, tmp_path)
    assert_within(4.0, started)
    assert (made.exit_code, made.of("gpu.driver")["driver"]) == (2, "CRITICAL")


def test_one_that_the_driver_counts_and_does_not_have_is_unknown(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100", extra="count = 9\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert (made.exit_code, {name for _, name in made.told()}) == (3, {"GPU 8"})


def test_two_gpus_of_one_uuid_are_judged_both(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100", extra="[gpu 3-4]\nuuid = GPU-twin\n")
    made = gpu_verdict(fake_nvml, tmp_path)
    assert made.told() == {}
    assert made.of("gpu.temp") == {f"GPU {index}": "OK" for index in range(8)}


def test_a_verdict_asks_each_gpu_once(fake_nvml: driver.FakeNvml, tmp_path: Path) -> None:
    fake_nvml.scenario("8xh100")
    gpu_verdict(fake_nvml, tmp_path)
    calls = fake_nvml.calls()
    once = {*CALLS, *QUIET} - {"nvmlDeviceGetFieldValues", "nvmlDeviceGetMemoryErrorCounter"}
    assert {call: calls[call] for call in once} == dict.fromkeys(once, 8)
    assert calls["nvmlDeviceGetMemoryErrorCounter"] == 2 * 8  # of two places
