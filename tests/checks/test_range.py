"""Ranges as the Monitoring Plugins Development Guidelines have them: their five examples and their command lines."""

from __future__ import annotations

import pytest

from mltop.checks.override import overridden
from mltop.config.limit import Range
from mltop.config.limits import Limits
from mltop.model.finding import Level

OK, WARNING, CRITICAL = Level.OK, Level.WARNING, Level.CRITICAL


@pytest.mark.parametrize(
    ("text", "alerts", "is_well"),
    [
        ("10", (-0.1, 10.1, -5.0), (0.0, 10.0, 5.0)),
        ("10:", (9.9, -1.0), (10.0, 1e9)),
        ("~:10", (10.1,), (10.0, -1e9)),
        ("10:20", (9.9, 20.1), (10.0, 20.0)),
        ("@10:20", (10.0, 20.0, 15.0), (9.9, 20.1)),
    ],
)
def test_the_five_examples(text: str, alerts: tuple[float, ...], is_well: tuple[float, ...]) -> None:
    limit = Range.parse(text)
    assert all(limit.alerts(value) for value in alerts)
    assert not any(limit.alerts(value) for value in is_well)
    assert Range.parse(str(limit)) == limit


@pytest.mark.parametrize(
    ("warn", "crit", "levels"),
    [
        ("10", "20", {5: OK, 10: OK, 15: WARNING, 20: WARNING, 21: CRITICAL, -1: CRITICAL}),
        ("~:10", "~:20", {-100: OK, 10: OK, 15: WARNING, 21: CRITICAL}),
        ("10:", "20", {10: OK, 20: OK, 9: WARNING, 0: WARNING, 21: CRITICAL, -1: CRITICAL}),
        (None, "1:", {1: OK, 50: OK, 0: CRITICAL}),
        ("~:0", "10", {0: OK, 5: WARNING, 11: CRITICAL, -1: CRITICAL}),
        (None, "5:6", {5: OK, 6: OK, 4: CRITICAL, 7: CRITICAL}),
        (None, "10:20", {10: OK, 20: OK, 9: CRITICAL, 21: CRITICAL}),
    ],
)
def test_the_command_lines(warn: str | None, crit: str, levels: dict[float, Level]) -> None:
    given = ([] if warn is None else [f"gpu.mem={warn}"]), [f"gpu.mem={crit}"]
    limit = overridden(Limits(), *given)["gpu.mem"]
    assert {value: limit.level(value) for value in levels} == levels


@pytest.mark.parametrize("text", ["", "x", "9:1", "@", "1:2:3", "inf", "nan", "@~", "~", "1e999"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match=r"-w gpu.mem="):
        overridden(Limits(), [f"gpu.mem={text}"], [])
