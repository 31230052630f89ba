"""`kill -9` between any two of mltop's writes: nothing of anybody's is lost, and `undo` takes back what was done."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs_command import CONFIG, MINE, Here
from killed import killed_before
from scheduler_box import Box

from mltop.jobs import scheduler
from mltop.jobs.plan.change import BEGUN

EDIT = ("edit", "hello", "--set", "schedule=5 5 * * *", "--apply")
CASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "apply": (("apply",),),
    "edit": (("apply",), EDIT),
    "adopt": (("apply",), ("adopt", "LINE", "--as", "taken")),
    "undo": (("apply",), EDIT, ("undo",)),
}


def _state(here: Here) -> tuple[str, bytes]:
    return here.config.read_text(), here.box.tab.read_bytes()


def _each_kill(here: Here, case: str, judge: Callable[[tuple[str, bytes], bool], None]) -> int:
    """Kill a case's last step before each of its own, and judge; how many of these left something changed."""
    line = next(job["id"] for job in here.json("list")["jobs"] if job["origin"] == "crontab")
    *first, last = [tuple(line if word == "LINE" else word for word in words) for words in CASES[case]]
    for words in first:
        here(*words)
    before = _state(here)
    saved = here.box.folder.with_name("saved")
    shutil.copytree(here.box.folder, saved)
    changed = 0
    was_killed = True
    for count in itertools.count(1):
        was_killed = killed_before(count, lambda: here(*last))
        lines = [line.rpartition(b":taken ")[2] for line in here.box.tab.read_bytes().splitlines()]
        assert set(MINE.splitlines()) <= set(lines), "no line of anybody's is lost"
        changed += was_killed and _state(here) != before
        judge(before, was_killed)
        if not was_killed:
            break
        shutil.rmtree(here.box.folder)
        shutil.copytree(saved, here.box.folder, symlinks=True)
    return changed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setattr(scheduler, "_BOOTED", tmp_path / "not-booted")
    (tmp_path / "box").mkdir()
    return Here(Box(tmp_path / "box"), monkeypatch, capfd)


@pytest.mark.parametrize("case", CASES)
def test_one_undo_takes_back_what_was_done_and_nothing_else(here: Here, case: str) -> None:
    def judge(before: tuple[str, bytes], was_killed: bool) -> None:
        is_changed = _state(here) != before
        here("plan")
        begun = (here.box.state / BEGUN).exists()
        assert (" was cut short: mltop jobs undo" in here.said) == (begun and is_changed)
        if case == "undo":
            if was_killed:
                here("undo")  # goes on with it, or takes back what was before it
            assert _state(here)[0] == CONFIG
        elif is_changed:
            here("undo")
            assert _state(here) == before
            assert not (here.box.state / BEGUN).exists()

    assert _each_kill(here, case, judge) > 2


def test_or_apply_goes_on_with_it(here: Here) -> None:
    found: set[tuple[str, bytes]] = set()

    def judge(before: tuple[str, bytes], was_killed: bool) -> None:
        if _state(here)[0] != before[0]:
            if was_killed:
                here("apply")
            found.add(_state(here))

    assert _each_kill(here, "edit", judge) > 2
    assert len(found) == 1
