"""Each format of a verdict, read back by a parser that knows nothing of how it was written."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

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
        match = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)', line)
        assert match, line
        assert match[1] in typed
        labels = dict(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
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


# --- checkmk


def test_checkmk_has_one_line_a_check() -> None:
    lines = checkmk.text(SICK).splitlines()
    assert len(lines) == len([one for one in SICK.results if one.state is not State.SKIP])
    parsed = [re.fullmatch(r'([0-3]) "([^"]+)" (-|[a-z_]+=[0-9.]+(?:;[0-9.]*){0,2}) (.+)', line) for line in lines]
    assert all(parsed)
    assert len({match[2] for match in parsed if match}) == len(lines)
    assert lines[0] == '2 "mltop gpu.count GPU 3" - lost, Xid 79 fallen off the bus'


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
