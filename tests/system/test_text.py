from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.system.text import clean


@pytest.mark.parametrize(
    ("foreign", "harmless"),
    [
        ("train.py --config a", "train.py --config a"),
        ("größe 模型 🚀", "größe 模型 🚀"),
        ("a\nb\tc\r\nd", "a b c  d"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("a\x9bb", "a?b"),
        ("user\u202etxt.exe", "user?txt.exe"),
        ("\u2066a\u2069\u200b\ufeff", "?a???"),
        ("a\u2028b\u00a0c\u3164", "a b c?"),
        ("bad\udcff", "bad?"),
        (b"caf\xc3\xa9 \xff", "café ?"),
        (b"\x00", "?"),
        ("", ""),
    ],
)
def test_foreign_text_becomes_harmless(foreign: str | bytes, harmless: str) -> None:
    assert clean(foreign) == harmless


def test_long_text_is_cut() -> None:
    assert clean("x" * 1000) == "x" * 512
    assert clean("é".encode() * 1000, limit=3) == "ééé"


@given(st.text() | st.binary())
def test_nothing_that_comes_back_controls_a_terminal(foreign: str | bytes) -> None:
    harmless = clean(foreign)
    assert len(harmless) <= 512
    assert {unicodedata.category(character) for character in harmless}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert clean(harmless) == harmless
    assert msgspec.json.decode(msgspec.json.encode(harmless)) == harmless
