"""`[log] events`: read on its own, and judged with the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.config.event_path import event_path
from mltop.config.fault import Fault
from mltop.config.load import load


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[log]\nevents = "/var/log/e.jsonl"', "/var/log/e.jsonl"),
        ('[log]\nevents = "~/e.jsonl"', "HOME/e.jsonl"),
        ('[log]\nevents = "e.jsonl"', None),
        ("[log]\nevents = 3", None),
        ("log = 3", None),
        ("", None),
        ('[jobs.a]\nkind = "no such"\n[log]\nevents = "/e"', "/e"),
    ],
)
def test_where_events_go(tmp_path: Path, text: str, expected: str | None) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"version = 1\n{text}\n")
    found = event_path(str(config), {"HOME": str(tmp_path)})
    assert found == (None if expected is None else Path(expected.replace("HOME", str(tmp_path))))


def test_a_config_that_cannot_be_read_sends_events_nowhere(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("no toml at all")
    assert event_path(str(tmp_path / "config.toml"), {}) is None
    assert event_path(str(tmp_path / "gone.toml"), {}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('events = "e.jsonl"', '2: log.events: expected an absolute path, or one from ~/, got "e.jsonl"'),
        ('event = "/e"', "2: log.event: unknown key; did you mean events?"),
    ],
)
def test_a_wrong_one_is_told_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[log]\n{text}\n")
    with pytest.raises(Fault) as caught:
        load(str(config), {}, tmp_path / "none")
    assert caught.value.lines == (f"{config}:{words}",)
