"""The dashboard in a real terminal multiplexer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from patience import assert_within

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


class Multiplexer(Protocol):
    """What these tests use of the `tmux` fixture."""

    def run(
        self, command: Sequence[str], columns: int = 80, rows: int = 24, environment: Mapping[str, str] | None = None
    ) -> None: ...
    def size(self, columns: int, rows: int) -> None: ...
    def send(self, *keys: str) -> None: ...
    def capture(self, *, escapes: bool = False) -> str: ...
    def wait_for(self, sign: str | Callable[[str], object], timeout_s: float = 10.0) -> str: ...
    def exit_code(self) -> int | None: ...


def is_painted(screen: str) -> bool:
    return "Quit" in screen and "%" in screen and os.uname().nodename in screen


def test_80x24_shows_all_and_q_returns_at_once(tmux: Multiplexer) -> None:
    tmux.run([sys.executable, "-m", "mltop"], 80, 24, ENVIRONMENT)
    lines = tmux.wait_for(is_painted).splitlines()
    assert len(lines) == 24
    assert "Quit" in lines[-1]
    screen = "\n".join(lines)
    assert all(word in screen for word in ("CPU", "Mem", "GPU", "COMMAND")), screen
    tmux.send("?")
    tmux.wait_for(lambda screen: "Invert" in screen or "invert" in screen)
    tmux.send("Escape")
    tmux.wait_for(is_painted)
    started = time.monotonic()
    tmux.send("q")
    tmux.wait_for(lambda _: tmux.exit_code() is not None, 3.0)
    assert_within(1.5, started)
    assert tmux.exit_code() == 0
    assert "Quit" not in tmux.capture(), "the alternate screen is left"


def test_it_follows_the_size(tmux: Multiplexer) -> None:
    tmux.run([sys.executable, "-m", "mltop"], 80, 24, ENVIRONMENT)
    tmux.wait_for(is_painted)
    for columns, rows in ((200, 60), (40, 12), (20, 4), (1, 1), (120, 40)):
        tmux.size(columns, rows)
    screen = tmux.wait_for(lambda screen: len(screen.splitlines()) == 40 and "Quit" in screen.splitlines()[-1])
    assert "COMMAND" in screen
    tmux.send("q")
    tmux.wait_for(lambda _: tmux.exit_code() is not None, 3.0)
    assert tmux.exit_code() == 0
