"""Numbers and text to columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mltop.ui.format import (
    cells,
    clip,
    clip_left,
    clock,
    clock_before,
    duration,
    indices,
    left,
    pair,
    plain,
    rate,
    right,
    size,
    span_of,
    watts,
    wrap,
)

G = 1 << 30
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co")), max_size=30)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0"),
        (1, "1B"),
        (812 << 20, "812M"),
        (70 * G, "70.0G"),
        (1007 * G, "1007G"),
        (1023.9 * G, "1.0T"),
        (99.96 * G, "100G"),
        (2**60, "1.0E"),
    ],
)
def test_size(count: float | None, text: str) -> None:
    assert size(count) == text


@given(st.floats(0, 2**69))
def test_size_fits_its_column(count: float) -> None:
    assert len(size(count)) <= 5
    assert len(rate(count)) <= 7


@pytest.mark.parametrize(
    ("used", "total", "text"),
    [
        (70 * G, int(79.6 * G), "70.0/79.6G"),
        (412 * G, 1007 * G, "412/1007G"),
        (None, 80 * G, "-/80.0G"),
        (0, 8 * G, "0/8.0G"),
        (5 * G, None, "5.0G"),
        (None, None, "-"),
    ],
)
def test_pair(used: float | None, total: float | None, text: str) -> None:
    assert pair(used, total) == text


@given(TEXT, st.integers(1, 20), st.integers(1, 4))
def test_wrapped_text_fits(text: str, width: int, most: int) -> None:
    lines = wrap(text, width, most)
    assert len(lines) <= most
    assert all(cells(line) <= width for line in lines)


def test_wrap_breaks_at_spaces() -> None:
    assert wrap("reboot the node or reload", 10, 2) == ["reboot the", "node or r…"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0s"), (59.6, "1m"), (61, "1m"), (3599, "59m"), (7200, "2h"), (86400 * 12.4, "12d")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_spans_are_exact() -> None:
    assert [span_of(s) for s in (90.0, 300.0, 21600.0)] == ["90s", "5m", "6h"]


def test_clock_is_local_and_in_minutes() -> None:
    assert clock("2026-03-02T14:02:11Z") == "14:02"
    assert clock("") == ""
    assert clock("garbage") == ""
    assert clock_before("2026-03-02T14:02:11Z", 75.0) == "14:00"
    assert clock_before("2026-03-02T14:02:11Z", 86400.0) == "Mar 01 14:02"
    assert clock_before("2026-03-02T14:02:11Z", None) == ""


def test_indices_are_ranges() -> None:
    assert indices((0, 1, 2, 3, 5)) == "0-3,5"
    assert indices((1, 0)) == "0,1"
    assert indices(()) == ""


def test_watts() -> None:
    assert watts(684.2, 700.0) == "684/700W"
    assert watts(684.2) == "684W"
    assert watts(None, 700.0) == "-"


@given(TEXT, st.integers(0, 20))
def test_columns_are_exact(text: str, width: int) -> None:
    text = plain(text)
    assert cells(clip(text, width)) <= width
    assert cells(clip_left(text, width)) <= width
    assert cells(left(text, width)) == width
    assert cells(right(text, width)) == width


@pytest.mark.parametrize("text", ["abc", "訓練", "한국어", "🚀", "e\u0301", "ｆｕｌｌ", "Привет", "…·│╭⣿█▏", "ภาษาไทย"])
def test_cells_are_those_of_the_terminal_library(text: str) -> None:
    assert cells(text) == cell_len(text)


def test_characters_of_no_agreed_width_go() -> None:
    assert plain("a\u200db\ufe0fc") == "abc"
