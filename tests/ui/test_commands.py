"""The table of commands: everything documented, nothing bound twice in a scope (M32)."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from mltop.ui.command import available, bindings, shown
from mltop.ui.commands import (
    APP,
    DIALOG,
    FORM,
    HEALTH,
    JOBS,
    LOGS,
    MONITOR,
    PAGE,
    PANES,
    PROCESS_PAGE,
    REVIEW,
    SCREENS,
)  # fmt: skip
from mltop.ui.panes import DRAW

SCOPES = {
    "monitor": (*MONITOR, *APP),
    "health": (*HEALTH, *APP),
    "jobs": (*JOBS, *APP),
    "logs": (*LOGS, *APP),
    "page": (*PAGE, *APP),
    "process": (*PAGE, *PROCESS_PAGE, *APP),
    "review": (*REVIEW, *APP),
    "form": (*FORM, *APP),
    "dialog": DIALOG,
}
ALL = tuple(dict.fromkeys((*APP, *MONITOR, *HEALTH, *JOBS, *LOGS, *PAGE, *REVIEW, *FORM, *DIALOG)))


@pytest.mark.parametrize("scope", SCOPES)
def test_no_key_has_two_meanings(scope: str) -> None:
    keys = Counter(key for command in SCOPES[scope] for key in command.keys)
    assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.id)
def test_every_command_is_told_to_people(command) -> None:
    assert command.keys
    assert command.title
    assert command.help.endswith(".")
    assert command.group


@pytest.mark.parametrize("scope", SCOPES)
def test_ids_are_unique(scope: str) -> None:
    assert len({command.id for command in SCOPES[scope]}) == len(SCOPES[scope])


def test_bindings_say_what_the_table_says() -> None:
    for command, binding in zip(ALL, bindings(ALL), strict=True):
        assert (binding.id, binding.description, binding.tooltip) == (command.id, command.title, command.help)
        assert binding.key_display == "/".join(map(shown, command.keys))


HANDS = (
    "q ctrl+c question_mark escape slash less_than_sign greater_than_sign I t space Z u K f9 tab shift+tab enter f r "
    "ctrl+l plus minus up down left right j k g G pageup pagedown home end ctrl+p e 1"
)


@pytest.mark.parametrize("key", HANDS.split(" "))
def test_the_keys_that_hands_know(key: str) -> None:
    assert any(key in command.keys for command in SCOPES["monitor"])


def test_letters_are_panes_and_digits_are_screens() -> None:
    assert set(PANES.values()) <= set(DRAW)
    assert all(len(key) == 1 and key.isalpha() for key in PANES)
    assert [entry.number for entry in SCREENS] == sorted({entry.number for entry in SCREENS})
    assert all(1 <= entry.number <= 7 for entry in SCREENS)


def test_no_signals_without_hands() -> None:
    assert {command.id for command in available(MONITOR, has_hands=False)} == {
        command.id for command in MONITOR if command.id != "process.signal"
    }


def test_nothing_of_the_box_under_host() -> None:
    keys = {key for command in available(APP, has_hands=False, has_box=False) for key in command.keys}
    assert keys & set("1234567") == {"1"}


def test_jobs_are_not_changed_without_hands() -> None:
    left = {command.id for command in available(JOBS, has_hands=False)}
    assert left.isdisjoint(f"job.{name}" for name in ("run", "suspend", "edit", "new", "delete", "plan", "init"))
    assert {"job.dry_run", "list.open", "list.filter"} <= left


def test_the_sampler_starts_before_textual_is_there() -> None:
    code = (
        "import sys, mltop.cli, mltop.commands.dashboard, mltop.sampling.local, mltop.ui.terminal.splash;"
        "print([name for name in ('textual', 'rich', 'asyncio', 'psutil') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_themes_of_the_config_are_the_ones_there_are() -> None:
    from mltop.config.settings import Theme
    from mltop.ui.theme import NAMES

    assert get_args(get_args(Theme)[0]) == NAMES
