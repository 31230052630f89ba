"""A thing that the dashboard can be told: its keys, and how it is told to people. Imports no Textual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import BindingType


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to do: its keys, its action, and how it is told to people."""

    id: str
    keys: tuple[str, ...]
    """As Textual names them; the first is the one shown."""
    action: str
    """The action's name on the screen, or `app.NAME`."""
    title: str
    """Two or three words, for the palette and the footer."""
    help: str
    """What it does, in one sentence."""
    group: str
    footer: str = ""
    """The word in the footer; "" keeps it out."""
    needs_hands: bool = False
    """Not there under `--readonly` and `--host`."""
    needs_box: bool = False
    """Not there under `--host`."""
    has_priority: bool = False
    """Works also while text is being typed."""


_SHOWN = {
    "question_mark": "?",
    "slash": "/",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "comma": ",",
    "full_stop": ".",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "space": "Space",
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "shift+tab": "Shift-Tab",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
}


def shown(key: str) -> str:
    """A key as people write it: `Ctrl-L`, `F9`, `?`."""
    if key in _SHOWN:
        return _SHOWN[key]
    if key.startswith("ctrl+"):
        return "Ctrl-" + key[5:].upper()
    return key.upper() if len(key) > 1 else key


def available(commands: Iterable[Command], *, has_hands: bool, has_box: bool = True) -> list[Command]:
    """Without those that act where that is not allowed, or ask a box that is another one."""
    return [
        command for command in commands if (has_hands or not command.needs_hands) and (has_box or not command.needs_box)
    ]


def bindings(commands: Iterable[Command]) -> list[BindingType]:
    """Textual's bindings for commands."""
    from textual.binding import Binding

    return [
        Binding(
            ",".join(command.keys),
            command.action,
            command.title,
            show=bool(command.footer),
            key_display="/".join(map(shown, command.keys)),
            priority=command.has_priority,
            tooltip=command.help,
            id=command.id,
        )
        for command in commands
    ]
