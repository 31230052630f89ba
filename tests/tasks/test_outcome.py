from __future__ import annotations

import msgspec
import pytest

from mltop.tasks.outcome import is_text, problem


@pytest.mark.parametrize("odd", ["bad\udcff", "two\nlines", "\x1b[31m", "a\u202eb"])
def test_all_of_a_problem_is_harmless(odd: str) -> None:
    found = problem("unreadable", odd, f"said of {odd}", f"setfacl -R -m u:USER:rX {odd}")
    for text in (found.path, found.message, found.hint or ""):
        assert text.isprintable()
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
    assert problem("kind", "path", "message").hint is None


def test_what_is_text() -> None:
    assert is_text("größe")
    assert not is_text("bad\udcff")
