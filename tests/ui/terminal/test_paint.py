"""What the painter sends brings a terminal to what was drawn, with no more than what differs."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from mltop.ui.terminal.paint import Painter, cells

WIDTH, HEIGHT = 20, 4
RED, PLAIN = Style.parse("red"), Style.null()


def frame(rows: list[str], style: Style = PLAIN) -> LayoutUpdate:
    strips = [Strip([Segment(row, style)]).adjust_cell_length(WIDTH, PLAIN) for row in rows]
    return LayoutUpdate([[strip] for strip in strips], Region(0, 0, WIDTH, HEIGHT))


def painter() -> Painter:
    made = Painter(ColorSystem.STANDARD)
    made.resize(WIDTH, HEIGHT)
    return made


def shown(*frames: str) -> list[str]:
    screen = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(screen)
    for each in frames:
        stream.feed(each)
    return [row.rstrip() for row in screen.display]


ROW = st.text(st.sampled_from("ab ▁█⣿漢字é0"), max_size=WIDTH // 2)


@given(st.lists(st.lists(ROW, min_size=HEIGHT, max_size=HEIGHT), min_size=1, max_size=5))
def test_the_terminal_shows_the_last_frame(frames: list[list[str]]) -> None:
    one = painter()
    sent = [one.paint(frame(rows)) for rows in frames]
    last = [row.rstrip() for row in frames[-1]]
    assert [row.replace(" ", "") for row in shown(*sent)] == [row.replace(" ", "") for row in last]
    assert [row.rstrip() for row in shown(*sent)] == shown(painter().paint(frame(frames[-1])))


def test_the_same_frame_sends_nothing() -> None:
    one = painter()
    one.paint(frame(["one", "two", "三", ""]))
    assert one.paint(frame(["one", "two", "三", ""])) == ""


def test_only_the_changed_cells_are_sent() -> None:
    one = painter()
    one.paint(frame(["load 0.41 of 2", "", "", ""]))
    assert one.paint(frame(["load 0.42 of 2", "", "", ""])) == "\x1b[1;9H2"


def test_another_style_is_another_cell() -> None:
    one = painter()
    one.paint(frame(["x", "", "", ""]))
    assert one.paint(frame(["x", "", "", ""], RED)) == "\x1b[1;1H\x1b[0m\x1b[31mx\x1b[0m"


def test_half_of_a_wide_character_is_never_left() -> None:
    one = painter()
    first = one.paint(frame(["漢字", "", "", ""]))
    assert (
        shown(first, one.paint(frame(["a字", "", "", ""])))[0]
        == "a"[:1] + shown(painter().paint(frame(["a字", "", "", ""])))[0][1:]
    )


def test_what_is_forgotten_is_sent_whole() -> None:
    one = painter()
    first = one.paint(frame(["one", "", "", ""]))
    one.forget()
    assert one.paint(frame(["one", "", "", ""])) == first


def test_a_part_of_the_screen_touches_no_other() -> None:
    one = painter()
    sent = [one.paint(frame(["aaaa bbbb", "", "", ""]))]
    strip = Strip([Segment("cccc", PLAIN)])
    update = ChopsUpdate([{0: None, 5: strip}, {}, {}, {}], [(0, 5, 9)], [[5, 9], [], [], []])
    sent.append(one.paint(update))
    assert shown(*sent)[0] == "aaaa cccc"


def test_rows_beyond_the_screen_are_left_out() -> None:
    one = painter()
    one.resize(WIDTH, 1)
    assert "two" not in one.paint(frame(["one", "two", "", ""]))


def test_zero_width_characters_take_no_cell() -> None:
    assert [text for text, _ in cells([("é1", None)])] == ["é", "1"]
