"""A line of mltop's outside its block is a hand edit: shown, kept, and put in order only when asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs_command import CONFIG, MINE, Here
from scheduler_box import Box

from mltop.jobs import scheduler

BEGIN, END = b"# >>> mltop managed (do not edit) >>>\n", b"# <<< mltop managed <<<\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setattr(scheduler, "_BOOTED", tmp_path / "not-booted")
    made = Here(Box(tmp_path), monkeypatch, capfd)
    made("apply")
    return made


def line(here: Here) -> bytes:
    return next(raw for raw in here.box.tab.read_bytes().splitlines(keepends=True) if b" run hello " in raw)


MOVES = {
    "up": lambda own: own + MINE + BEGIN + END,
    "down": lambda own: MINE + BEGIN + END + own,
    "without the markers": lambda own: MINE + own,
    "a copy": lambda own: own + MINE + BEGIN + own + END,
    "commented": lambda own: b"#" + own + MINE + BEGIN + END,
    "edited": lambda own: own.replace(b"0 2 ", b"7 5 ") + MINE + BEGIN + END,
}


@pytest.mark.parametrize("how", MOVES)
def test_it_is_drift_and_stays_until_mine(here: Here, how: str) -> None:
    proper, own = here.box.tab.read_bytes(), line(here)
    moved = MOVES[how](own)
    here.box.tab.write_bytes(moved)
    found = here.json("list")
    assert [(job["id"].split("-")[0], job["drift"]) for job in found["jobs"]] == [
        ("hello", "drifted"), ("other", "in-sync"), ("crontab", None),
    ], "and it is no foreign line"  # fmt: skip
    assert any("stands outside mltop's block" in note for note in found["notes"])
    here("apply", code=1)
    assert "hello was edited by hand" in here.said
    assert here.box.tab.read_bytes() == moved
    here("apply", "--mine")
    assert here.box.tab.read_bytes() == proper
    here("undo")
    assert here.box.tab.read_bytes() == moved


@pytest.mark.parametrize(
    ("how", "schedule"),
    [("up", '"0 2 * * *"'), ("a copy", '"0 2 * * *"'), ("edited", '"7 5 * * *"')],
)
def test_theirs_takes_what_it_says_and_brings_it_home(here: Here, how: str, schedule: str) -> None:
    here.box.tab.write_bytes(MOVES[how](line(here)))
    here("apply", "--theirs")
    assert here.config.read_text() == CONFIG.replace('"0 2 * * *"', schedule)
    assert here.json("list")["jobs"][0]["drift"] == "in-sync"
    assert here.box.tab.read_bytes().startswith(MINE + BEGIN)


def test_a_second_line_with_another_time_becomes_a_second_schedule(here: Here) -> None:
    own = line(here)
    here.box.tab.write_bytes(here.box.tab.read_bytes() + own.replace(b"0 2 ", b"0 9 "))
    here("apply", "--theirs")
    assert 'schedule = ["0 2 * * *", "0 9 * * *"]' in here.config.read_text()
    assert here.box.tab.read_bytes().count(b" run hello ") == 2
    assert here.json("plan")["changes"] == []


def test_a_line_somebody_wrote_without_the_mark_is_somebodys(here: Here) -> None:
    here.box.tab.write_bytes(b"0 9 * * * /usr/bin/mltop run hello\n" + here.box.tab.read_bytes())
    assert here.json("list")["jobs"][0]["drift"] == "in-sync"
    assert len(here.json("list")["jobs"]) == 4


def test_one_whose_job_is_gone_is_shown_and_taken_when_asked(here: Here) -> None:
    here.box.tab.write_bytes(MOVES["down"](line(here)))
    here.config.write_text("version = 1\n")
    assert [(job["id"], job["drift"]) for job in here.json("list")["jobs"][:1]] == [("hello", "drifted")]
    here("apply", code=1)
    here("apply", "--mine")
    assert b" run hello " not in here.box.tab.read_bytes()
