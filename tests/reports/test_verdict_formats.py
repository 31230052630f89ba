"""Each format of a verdict, read back by a parser that knows nothing of how it was written."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from mltop.model.gpu_facts import GpuFacts
from mltop.model.host_facts import HostFacts, KernelEvent, KernelEvents
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import EXIT_CODES, Counts, Mishap, Result, State, Verdict, worst
from mltop.reports import checkmk, human, nagios, prometheus
from mltop.reports import json as document

RUN = (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL)


def result(check: str = "disk.space", target: str = "/", state: State = State.OK, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "target_name": target,
        "summary": "61 % used, 212.0 GiB free",
        "value": 61.0,
        "unit": "%",
        "warn": "@85:",
        "crit": "@95:",
        "fingerprint": f"{check}{target}",
    }
    return Result(check=check, target=target, state=state, **{**values, **changes})


def verdict(*results: Result, **changes: Any) -> Verdict:
    state = worst(one.state for one in results)
    values: dict[str, Any] = {
        "version": "1.0",
        "host": "gpu-07",
        "time": "2026-01-01T00:00:00.000Z",
        "duration_s": 0.131,
        "state": state,
        "exit_code": EXIT_CODES[state],
        "complete": True,
        "counts": Counts.of(results),
        "results": results,
    }
    return Verdict(**{**values, **changes})


def gpu(index: int, state: State = State.OK, **changes: Any) -> Result:
    values = {
        "target_name": f"GPU {index}",
        "summary": "62 C",
        "value": 62,
        "unit": "C",
        "warn": "@82:",
        "crit": "@85:",
    }
    return result("gpu.temp", f"GPU-{index}", state, **{**values, **changes})


SICK = verdict(
    result("gpu.count", "GPU-3", State.CRITICAL, target_name="GPU 3", summary="lost, Xid 79 fallen off the bus",
           action="drain and reboot the node", reason="lost", value=None, unit=None, warn=None, crit=None),
    result(target="/data|x", state=State.WARNING, summary="91 % used, 640.0 GiB free", value=91.2, action="free space"),
    result("disk.smart", "nvme0", State.UNKNOWN, summary="no permission", value=None, warn=None, crit=None),
    *(gpu(index) for index in range(8)),
    result("mem.available", "", target_name="memory", value=60.5, warn="@~:10", crit="@~:4"),
    result("mem.swap", "", State.SKIP, target_name="swap", summary="no swap", value=None, reason="unsupported"),
)  # fmt: skip


# --- nagios


PERFDATA = re.compile(
    r"(?:'([^'=]+)'|([^\s'=]+))=(-?[0-9.]+|U)(s|%|B|c)?;([^;\s]*);([^;\s]*)(?:;([^;\s]*);?([^;\s]*))?"
)
"""Monitoring Plugins Development Guidelines, "Performance data"."""
RANGE = re.compile(r"@?(?:~|-?[0-9.]+)?:?(?:-?[0-9.]+)?")


def perfdata(text: str) -> list[tuple[str, str]]:
    line = text.partition("\n")[0]
    rest, found = line.partition("|")[2].strip(), []
    while rest:
        match = PERFDATA.match(rest)
        assert match, rest
        assert all(RANGE.fullmatch(limit) for limit in match.groups()[4:6])
        found.append((match[1] or match[2], match[3]))
        rest = rest[match.end() :].lstrip()
    return found


def test_nagios_says_the_worst_first_in_80_characters() -> None:
    line = nagios.text(SICK)
    head, bar, _ = line.partition(" | ")
    assert bar
    assert len(head) <= 80
    assert head == "MLTOP CRITICAL - GPU 3 lost, Xid 79 fallen off the bus (+1 more) (+1 unknown)"
    assert line.count("|") == 1
    assert line.endswith("\n")
    assert line.count("\n") == 1


def test_nagios_says_what_is_wrong_with_what_has_a_long_name() -> None:
    mount = "/mnt/" + "a-very-long-name-of-a-folder/" * 4 + "weights"
    bad = [result(target=f"{mount}{n}", state=State.WARNING, summary="91 % used, 640 GiB free") for n in range(2)]
    head = nagios.text(verdict(*bad)).partition(" | ")[0]
    assert head == "MLTOP WARNING - ..ng-name-of-a-folder/weights0 91 % used, 640 GiB free (+1 more)"
    assert len(head) == 80


def test_nagios_perfdata_is_read_by_another_parser() -> None:
    found = perfdata(nagios.text(SICK))
    assert ("disk_/data_x", "91.2") in found
    assert ("gpu3_temp", "62") in found
    assert ("mem_available", "60.5") in found
    assert found[-1] == ("run", "0.131")
    assert "'mem_available'=60.5%;10:;4:" in nagios.text(SICK)
    assert "'gpu0_temp'=62;82;85" in nagios.text(SICK)


def test_nagios_labels_differ_in_their_first_19_characters() -> None:
    mounts = [f"/mnt/a-very-long-name-{index}/data" for index in range(12)]
    labels = [name for name, _ in perfdata(nagios.text(verdict(*(result(target=mount) for mount in mounts))))]
    assert len({label[:19] for label in labels}) == len(labels) == 13


def test_nagios_perfdata_has_one_order_and_one_label_a_target_whatever_is_ill() -> None:
    """Graphers number their sources by their place; a label that moves to another mount mixes two curves."""
    targets = [f"/mnt/a-very-long-name-{name}" for name in "abc"]
    labels = []
    for ill in ("", *targets):
        results = [result(target=one, state=State.CRITICAL if one == ill else State.OK) for one in targets]
        cards = [gpu(index, State.WARNING if index == 10 and ill else State.OK) for index in range(12)]
        results = sorted([*cards, *results], key=lambda one: -EXIT_CODES.get(one.state, 0))
        labels.append([name for name, _ in perfdata(nagios.text(verdict(*results)))])
    assert labels == [labels[0]] * 4
    assert labels[0][3:-1] == [f"gpu{index}_temp" for index in range(12)]
    fewer = perfdata(nagios.text(verdict(*(result(target=one) for one in targets[1:]))))
    assert [name for name, _ in fewer[:2]] == labels[0][1:3]


@pytest.mark.parametrize("check", ["mem.available", "disk.space", "gpu.temp", "cpu.load"])
def test_nagios_labels_of_one_target_that_is_told_often_differ(check: str) -> None:
    many = [result(check, "t", target_name="GPU 3 and a name longer than any label") for _ in range(120)]
    labels = [name for name, _ in perfdata(nagios.text(verdict(*many)))]
    assert len({label[:19] for label in labels}) == 121


def test_nagios_labels_have_a_name_where_there_is_no_target() -> None:
    none = result("gpu.temp", "", State.UNKNOWN, target_name="", value=None)
    assert perfdata(nagios.text(verdict(none)))[0] == ("gpu_temp", "U")


@pytest.mark.parametrize("count", [0, 1, 3, 9])
@pytest.mark.parametrize("length", [1, 30, 90, 300])
@pytest.mark.parametrize("verbosity", [0, 1])
def test_nagios_never_says_more_than_80_characters(count: int, length: int, verbosity: int) -> None:
    bad = [result(target=f"/{number}", state=State.WARNING, summary="x" * length) for number in range(count)]
    unknown = [result("disk.smart", state=State.UNKNOWN), result()]
    for made in (verdict(*bad, *unknown), verdict(*bad, result())):
        head = nagios.text(made, verbosity).partition(" | ")[0]
        assert len(head) <= 80
        assert head.startswith(f"MLTOP {made.state} - ")


def test_nagios_perfdata_has_a_u_for_what_is_not_known_and_no_exponent() -> None:
    unknown = result("gpu.temp", "GPU-1", State.UNKNOWN, target_name="GPU 1", value=None, warn=None, crit=None)
    large = result("mem.swap", "", value=6.02e23, unit="%", warn="@20000000:", crit=None)
    found = perfdata(nagios.text(verdict(unknown, large)))
    assert ("gpu1_temp", "U") in found
    assert ("swap", "601999999999999995805696") in found
    assert "e+" not in nagios.text(verdict(large))


def test_nagios_keeps_a_range_that_is_no_simple_limit() -> None:
    line = nagios.text(verdict(result(warn="@10:20", crit="~:5"), result(target="/b", warn="10:20", crit="30:")))
    assert "'disk_/'=61%;@10:20;5" in line
    assert "'disk_/b'=61%;10:20;30:" in line


def test_nagios_verbosity_2_has_a_line_a_target_and_3_all_of_them() -> None:
    assert len(nagios.text(SICK, 2).splitlines()) == 1 + 3
    assert len(nagios.text(SICK, 3).splitlines()) == 1 + len(SICK.results)
    assert nagios.text(SICK, 3).count("|") == 1


# --- json


def validate(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:
    """The part of JSON Schema that the shipped one uses."""
    known = {"$ref", "anyOf", "enum", "type", "required", "properties", "items", "additionalProperties"}
    assert set(schema) <= known | {"title", "description", "default", "$defs"}, schema
    if "$ref" in schema:
        validate(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "anyOf" in schema:
        passed = []
        for one in schema["anyOf"]:
            try:
                passed.append(validate(value, one, root))
            except AssertionError:
                continue
        assert passed, (value, schema)
    if "enum" in schema:
        assert value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if schema.get("type") == "number":
        assert isinstance(value, int | float)
    elif "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), (value, schema)
    for name in schema.get("required", ()):
        assert name in value
    for name, one in schema.get("properties", {}).items():
        if name in value:
            validate(value[name], one, root)
    if isinstance(schema.get("items"), dict):
        for one in value:
            validate(one, schema["items"], root)


def conforms(text: str) -> dict[str, Any]:
    schema = json.loads(document.schema())
    made: dict[str, Any] = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    validate(made, schema, schema)
    return made


def test_json_conforms_to_its_schema_and_has_every_key() -> None:
    made = conforms(document.text(SICK))
    assert list(made) == [
        "schema", "version", "host", "boot_id", "time", "duration_s", "profile", "state", "exit_code", "complete",
        "counts", "disabled", "results", "errors",
    ]  # fmt: skip
    assert list(made["results"][0]) == [
        "check", "target", "target_name", "state", "reason", "summary", "action", "value", "unit", "warn", "crit",
        "since", "duration_s", "data", "fingerprint",
    ]  # fmt: skip
    assert (made["schema"], made["counts"]["critical"], made["exit_code"]) == ("mltop.check/1", 1, 2)


def test_json_of_a_failure_conforms_too() -> None:
    made = conforms(document.text(Verdict(errors=(Mishap(message="no"),))))
    assert (made["state"], made["exit_code"], made["complete"]) == ("UNKNOWN", 3, False)


def test_json_has_no_number_that_json_has_not() -> None:
    made = conforms(document.text(verdict(result(value=float("nan"), data={"x": float("inf")}))))
    assert made["results"][0]["value"] is None
    assert made["results"][0]["data"] == {"x": None}


# --- prometheus


def metrics(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The text exposition format 0.0.4; each family has its HELP and TYPE, once and before its samples."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# "):
            _, kind, name, words = line.split(" ", 3)
            assert words
            if kind == "TYPE":
                assert name not in typed
                typed.add(name)
            continue
        match = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)', line)
        assert match, line
        assert match[1] in typed
        labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        found.setdefault(match[1], []).append((labels, float(match[3])))
    return found


def test_prometheus_is_read_by_another_parser() -> None:
    made = metrics(prometheus.text(verdict(*SICK.results, result(target='/a "b"\\\n', duration_s=0.02))))
    assert ({"check": "disk.smart", "target": "nvme0"}, 1.0) in made["mltop_check_unknown"]
    assert not any(labels["check"] == "disk.smart" for labels, _ in made["mltop_check_severity"])
    assert made["mltop_last_run_timestamp_seconds"] == [({}, 1767225600.0)]


@pytest.mark.parametrize("states", list(itertools.product(RUN, repeat=3)))
def test_the_highest_severity_is_that_of_the_worst_known_state(states: tuple[State, ...]) -> None:
    made = metrics(prometheus.text(verdict(*(result(target=f"/{n}", state=state) for n, state in enumerate(states)))))
    known = [state for state in states if state is not State.UNKNOWN]
    severities = [value for _, value in made.get("mltop_check_severity", [])]
    assert len(severities) == len(known)
    assert len(made.get("mltop_check_unknown", [])) == 3 - len(known)
    if known:
        assert max(severities) == EXIT_CODES[worst(known)]


def box(**facts: Any) -> str:
    cards = (
        gpu_of(0, utilization_percent=97),
        gpu_of(1, xid_last=31, xid_last_age_s=60.0),
        gpu_of(2, status=Status.LOST),
    )
    driver = Driver(status=Status.OK, version="550.54", gpu_count=2, pci_count=3)
    snapshot = Snapshot(host="gpu-07", boot_id="b", gpus=cards, driver=driver)
    return prometheus.text(SICK, snapshot, Surroundings(**facts))


def gpu_of(index: int, **changes: Any) -> Gpu:
    values: dict[str, Any] = {
        "index": index, "uuid": f"GPU-{index}", "name": "H100", "pci_bus_id": f"0000:{index:02x}:00.0",
        "temperature_c": 62, "memory_used_bytes": 70 << 30, "power_w": 612.5, "clock_sm_mhz": 1980,
        "ecc_uncorrected_volatile": 0, "remap_pending": False,
    }  # fmt: skip
    return Gpu(**values | changes)


def test_prometheus_has_the_gpus_in_base_units() -> None:
    made = metrics(box())
    who = {"uuid": "GPU-0", "gpu": "0"}
    assert (who, 0.97) in made["mltop_gpu_utilization_ratio"]
    assert (who, float(70 << 30)) in made["mltop_gpu_memory_used_bytes"]
    assert (who, 1.98e9) in made["mltop_gpu_sm_clock_hertz"]
    assert (who, 612.5) in made["mltop_gpu_power_watts"]
    info = {**who, "name": "H100", "driver": "550.54", "pci_bus_id": "0000:00:00.0"}
    assert (info, 1.0) in made["mltop_gpu_info"]
    assert made["mltop_host_info"] == [({"hostname": "gpu-07"}, 1.0)]
    assert len(made["mltop_gpu_info"]) == 3


def test_prometheus_lets_a_lost_gpus_numbers_go_and_not_the_gpu() -> None:
    made = metrics(box())
    assert ({"uuid": "GPU-2", "gpu": "2"}, 0.0) in made["mltop_gpu_up"]
    assert {labels["gpu"] for labels, _ in made["mltop_gpu_temperature_celsius"]} == {"0", "1"}


def test_prometheus_has_what_is_not_known_not_at_all() -> None:
    made = metrics(box())
    assert [labels["gpu"] for labels, _ in made["mltop_gpu_utilization_ratio"]] == ["0"]
    assert "mltop_gpu_fan_speed_ratio" not in made
    assert "mltop_gpu_throttle_seconds_total" not in made
    assert "nan" not in prometheus.text(verdict(result(duration_s=float("nan")))).lower()


def test_prometheus_counts_the_xids_of_each_gpu_also_of_a_lost_one() -> None:
    told: dict[str, Any] = {"check": "gpu.xid", "target": "GPU-0", "data": {"xid": 79, "totals": {"79": 3, "31": 12}}}
    lost: dict[str, Any] = {"check": "gpu.count", "target": "GPU-1", "data": {"totals": {"79": 1}}}
    snapshot = Snapshot(host="gpu-07", gpus=(gpu_of(0),), driver=Driver(status=Status.OK))
    made = metrics(prometheus.text(verdict(result(**told), result(**lost)), snapshot, Surroundings()))
    assert made["mltop_xid_errors_total"] == [
        ({"uuid": "GPU-0", "xid": "79"}, 3.0),
        ({"uuid": "GPU-0", "xid": "31"}, 12.0),
        ({"uuid": "GPU-1", "xid": "79"}, 1.0),
    ]


def test_prometheus_has_when_an_xid_came_and_the_counters_of_the_driver() -> None:
    event = KernelEvent(kind="xid", subject="0000:00:00.0", at_s=1.0, age_s=30.0, text="x", code=79)
    host = HostFacts(kernel_log=KernelEvents(events=(event, event)))
    facts = {"GPU-0": GpuFacts(slowed_down_s={"thermal": 2.5, "sw-thermal": 2.5, "hw-power-brake": 0.0})}
    made = metrics(box(host=host, gpus=facts))
    assert ({"uuid": "GPU-0", "xid": "79"}, 1767225570.0) in made["mltop_xid_last_timestamp_seconds"]
    assert ({"uuid": "GPU-1", "xid": "31"}, 1767225540.0) in made["mltop_xid_last_timestamp_seconds"]
    assert made["mltop_xid_errors_last_day"] == [({"uuid": "GPU-0", "xid": "79"}, 2.0)]
    assert [value for _, value in made["mltop_gpu_throttle_seconds_total"]] == [2.5, 0.0]


def test_prometheus_has_a_series_once() -> None:
    text = prometheus.text(verdict(result(state=State.CRITICAL), result(state=State.OK)))
    assert [value for _, value in metrics(text)["mltop_check_severity"]] == [2.0]


# --- checkmk


def test_checkmk_has_one_line_a_check() -> None:
    lines = checkmk.text(SICK).splitlines()
    assert len(lines) == len([one for one in SICK.results if one.state is not State.SKIP])
    parsed = [re.fullmatch(r'([0-3]) "([^"]+)" (-|[a-z_]+=[0-9.]+(?:;[0-9.]*){0,2}) (.+)', line) for line in lines]
    assert all(parsed)
    assert len({match[2] for match in parsed if match}) == len(lines)
    assert lines[0] == '2 "mltop gpu.count GPU 3" - lost, Xid 79 fallen off the bus'


def test_checkmk_names_each_service_once_and_writes_plain_numbers() -> None:
    twice = [result(target=name, target_name="cache", value=2.5e7, warn="@20000000:") for name in ("a", "b")]
    lines = checkmk.text(verdict(*twice)).splitlines()
    assert lines[0].startswith('0 "mltop disk.space cache" disk_space=25000000;20000000;95 ')
    assert lines[1].startswith('0 "mltop disk.space cache ~2" ')
    assert checkmk.text(Verdict(errors=(Mishap(message="no | verdict"),))) == '3 "mltop" - no / verdict\n'


def test_checkmk_names_a_service_alike_whatever_is_ill() -> None:
    ok, ill = (result(target="a", target_name="x"), result(target="b", target_name="x", state=State.CRITICAL))
    names = [line.split('"')[1] for line in checkmk.text(verdict(ill, ok)).splitlines()]
    assert names == ["mltop disk.space x ~2", "mltop disk.space x"]


# --- human


def test_people_get_what_is_wrong_then_a_line_a_family_then_the_sum() -> None:
    lines = human.text(SICK).splitlines()
    assert (
        lines[0] == "CRITICAL gpu.count           GPU 3: lost, Xid 79 fallen off the bus -> drain and reboot the node"
    )
    assert [line.split()[1] for line in lines[3:-1]] == ["disk", "memory", "gpu"]
    assert lines[-1] == "mltop CRITICAL: 1 critical, 1 warning, 1 unknown, 9 ok, 1 skipped in 0.13 s"


def test_a_family_that_is_well_has_its_worst_value_and_limit() -> None:
    made = verdict(
        result(), result(target="/data", summary="70 % used", value=70.0), gpu(0), gpu(1, value=80, summary="80 C")
    )
    assert human.text(made).splitlines() == [
        "OK       disk     /data 70 % used (limits 85/95 %), 2 mounts",
        "OK       gpu      GPU 1 80 C (limits 82/85 C), 2 GPUs",
        "mltop OK: 4 ok in 0.13 s",
    ]


def test_what_is_disabled_is_listed_as_such() -> None:
    assert "disabled gpu.mem, gpu.xid" in human.text(verdict(result(), disabled=("gpu.mem", "gpu.xid")))


def test_a_hung_driver_is_told_once() -> None:
    hung = result("gpu.responsive", "", State.CRITICAL, target_name="driver", summary="not answering")
    unread = [result(check, "", State.UNKNOWN, target_name="GPUs") for check in ("gpu.temp", "gpu.count", "gpu.xid")]
    text = human.text(verdict(hung, *unread))
    assert "gpu.temp" not in text
    assert text.splitlines()[-1].startswith("mltop CRITICAL: 1 critical, 3 unknown")


def test_colours_are_asked_for() -> None:
    assert "\x1b" not in human.text(SICK, 3)
    assert "\x1b[31mCRITICAL" in human.text(SICK, color=True)
