"""Bars and graphs: a fixed scale, gaps that are gaps, zeros that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.ui.graph import ascii_only, bar, graph, heat, points
from mltop.ui.line import Role, text_of, width_of
from mltop.ui.view import Graphs

MODES: tuple[Graphs, ...] = ("braille", "block", "ascii")
VALUES = st.lists(st.none() | st.floats(0, 200), max_size=60)


@given(st.none() | st.floats(-10, 300), st.integers(0, 40), st.sampled_from(MODES))
def test_a_bar_has_its_width(value: float | None, width: int, mode: Graphs) -> None:
    assert width_of(bar(value, width, Role.CPU, mode)) == width


def test_bars_of_lines_go_by_halves() -> None:
    assert text_of(bar(50, 4, Role.CPU, "braille")) == "━━──"
    assert text_of(bar(62.5, 4, Role.CPU, "braille")) == "━━╸─"
    assert text_of(bar(0.1, 4, Role.CPU, "braille")) == "╸───", "a little is not nothing"
    assert text_of(bar(99.9, 4, Role.CPU, "braille")) == "━━━╸", "nearly full is not full"
    assert text_of(bar(100, 4, Role.CPU, "braille")) == "━━━━"
    assert text_of(bar(0, 4, Role.CPU, "braille")) == "────"
    assert text_of(bar(None, 4, Role.CPU, "braille")) == "────"


def test_bars_of_blocks_go_by_eighths() -> None:
    assert text_of(bar(50, 4, Role.CPU, "block")) == "██··"
    assert text_of(bar(53.2, 4, Role.CPU, "block")) == "██▏·"
    assert text_of(bar(0.1, 4, Role.CPU, "block")) == "▏···"
    assert text_of(bar(99.9, 4, Role.CPU, "block")) == "███▉"
    assert text_of(bar(50, 10, Role.CPU, "ascii")) == "[####    ]"


def test_stale_bars_have_another_texture() -> None:
    """M34: seen where the terminal knows no dimming."""
    assert text_of(bar(50, 4, Role.STALE, "block")) == "░░··"
    assert text_of(bar(50, 4, Role.STALE, "braille")) == "╍╍──"
    assert text_of(bar(50, 10, Role.STALE, "ascii")) == "[----    ]"


@given(VALUES, st.integers(1, 8), st.sampled_from(MODES))
def test_a_graph_has_its_size(values: list[float | None], rows: int, mode: Graphs) -> None:
    lines = graph(values, rows, mode)
    assert len(lines) == rows
    width = (len(values) + 1) // 2 if mode == "braille" else len(values)
    assert all(len(line) == width for line in lines)


@pytest.mark.parametrize("mode", MODES)
def test_a_gap_is_empty_and_zero_is_not(mode: Graphs) -> None:
    assert graph([None] * points(3, mode), 1, mode) == ["   "]
    assert " " not in graph([0.0] * points(3, mode), 1, mode)[0]


@pytest.mark.parametrize("mode", MODES)
def test_the_scale_is_fixed(mode: Graphs) -> None:
    """2 to 4 % must not look like 20 to 95 %."""
    low = graph([2.0, 4.0] * 4, 4, mode)
    assert all(not line.strip() for line in low[:-1])
    high = graph([100.0] * 8, 4, mode)
    assert all(line.strip() for line in high)
    assert graph([150.0] * 8, 4, mode) == high


def test_heat_is_a_cell_a_value() -> None:
    assert heat([0, 50, 100], "braille") == "▁▅█"
    assert heat([0, 55, 100], "ascii") == "059"


def test_ascii_keeps_widths() -> None:
    (line,) = ascii_only([[("╭─ a · 訓 ▲ é…", Role.TEXT)]])
    assert text_of(line) == "+- a | ?? ^ ?~"
