"""The footer: the keys of the moment, most needed first."""

from __future__ import annotations

from typing import NamedTuple

from mltop.ui.format import cells, clip
from mltop.ui.line import Line, Pen, Role
from mltop.ui.view import View


class Hint(NamedTuple):
    """A key on the footer and the columns it takes there, for the mouse."""

    key: str
    label: str
    x: int
    width: int


_KEYS = (
    ("q", "Quit"), ("?", "Help"), ("/", "Filter"), ("Enter", "Open"), ("K", "Signal"), ("f", "Full"),
    ("u", "Users"), ("t", "Tree"), ("<>", "Sort"), ("Z", "Pause"), ("e", "Events"), ("I", "Invert"),
    ("Space", "Tag"), ("+-", "Zoom"), ("Tab", "Focus"), ("r", "Refresh"),
)  # fmt: skip


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
    frozen = view.readonly or view.remote is not None
    return entries + [(key, label) for key, label in _KEYS if not (frozen and key in ("K", "Space"))]


def draw(view: View, width: int, height: int) -> list[Line]:
    """One line of keys."""
    pen = Pen()
    for hint in hints(view, width):
        pen.to(hint.x).put(hint.key, Role.KEY).put(" ").put(hint.label, Role.DIM)
    return [pen.line][:height]
