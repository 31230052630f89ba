"""The footer: the keys of the moment, most needed first."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mltop.ui.command import available, shown
from mltop.ui.commands import APP, MONITOR
from mltop.ui.format import cells, clip
from mltop.ui.line import Line, Pen, Role
from mltop.ui.view import View


class Hint(NamedTuple):
    """A key on the footer and the columns it takes there, for the mouse."""

    key: str
    label: str
    x: int
    width: int


_ORDER = (
    "app.quit", "app.help", "process.filter", "pane.open", "process.signal", "app.screen.health", "app.screen.jobs",
    "app.screen.logs", "view.full", "process.by_user", "process.tree", "view.pause", "app.events",
)  # fmt: skip
"""Most needed first: what is on the right is cut first. What is not named here comes last."""


@lru_cache(maxsize=4)
def _keys(has_hands: bool, has_box: bool) -> tuple[tuple[str, str], ...]:
    """The keys of the commands that have a word for the footer."""
    possible = available((*APP, *MONITOR), has_hands=has_hands, has_box=has_box)
    commands = [one for one in possible if one.footer and one.id != "app.screen.monitor"]
    commands.sort(key=lambda one: _ORDER.index(one.id) if one.id in _ORDER else len(_ORDER))
    return tuple((shown(one.keys[0]), one.footer) for one in commands)


def hints(view: View, width: int) -> list[Hint]:
    """The keys that fit, from left to right."""
    shown: list[Hint] = []
    x = 1
    for key, label in _entries(view):
        size = len(key) + 1 + cells(label)
        if x + size > width:
            break
        shown.append(Hint(key, label, x, size))
        x += size + 2
    return shown


def _entries(view: View) -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    if view.processes.filter:
        entries.append(("Esc", f"Clear {clip(view.processes.filter, 20)}"))
    elif view.full:
        entries.append(("Esc", "Back"))
    return [*entries, *_keys(not view.readonly and view.remote is None, view.remote is None)]


def draw(view: View, width: int, height: int) -> list[Line]:
    """One line of keys."""
    pen = Pen()
    for hint in hints(view, width):
        pen.to(hint.x).put(hint.key, Role.KEY).put(" ").put(hint.label, Role.DIM)
    return [pen.line][:height]
