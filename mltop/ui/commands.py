"""Everything the dashboard can be told: one table from which bindings, help, footer and palette derive (M32).

Nothing here imports Textual, so that a pane may ask for the footer's keys.
"""

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
    has_priority: bool = False
    """Works also while text is being typed."""


@dataclass(frozen=True, slots=True)
class ScreenEntry:
    """A screen with a number: a mode of the app."""

    number: int
    name: str
    title: str
    module: str
    """Where its class is, imported when it is first shown."""
    class_name: str


SCREENS: tuple[ScreenEntry, ...] = (ScreenEntry(1, "monitor", "Monitor", "mltop.ui.screens.monitor", "MonitorScreen"),)
"""The numbered screens. One more is one more line here."""

PANES: dict[str, str] = {"c": "cpu", "m": "memory", "v": "gpu", "d": "disk", "n": "network", "p": "process"}
"""The letter that hides and shows a pane."""

_PANE_TITLES = {
    "cpu": "CPU",
    "memory": "memory",
    "gpu": "GPUs",
    "disk": "disks",
    "network": "network",
    "process": "processes",
}


def _app() -> Iterable[Command]:
    yield Command("app.quit", ("q",), "app.end", "Quit", "End mltop.", "mltop", footer="Quit")
    yield Command("app.interrupt", ("ctrl+c",), "app.end", "Quit", "End mltop.", "mltop", has_priority=True)
    yield Command("app.help", ("question_mark", "f1"), "app.help", "Help", "Show every key.", "mltop", footer="Help")
    yield Command("app.events", ("e",), "app.events", "Events", "What happened, with time.", "mltop", footer="Events")
    yield Command(
        "app.palette", ("ctrl+p",), "app.command_palette", "Command palette", "Find a command by its name.", "mltop"
    )
    yield Command(
        "app.repaint",
        ("ctrl+l",),
        "app.repaint",
        "Repaint",
        "Paint the whole screen again.",
        "mltop",
        has_priority=True,
    )
    yield Command(
        "app.suspend",
        ("ctrl+z",),
        "app.suspend",
        "Suspend",
        "Give the shell back; `fg` returns.",
        "mltop",
        has_priority=True,
    )
    for screen in SCREENS:
        yield Command(
            f"app.screen.{screen.name}",
            (str(screen.number),),
            f"app.show_screen('{screen.name}')",
            screen.title,
            f"Show the {screen.title} screen.",
            "screens",
            footer=screen.title if len(SCREENS) > 1 else "",
        )


def _moving() -> Iterable[Command]:
    group = "moving"
    yield Command("move.up", ("up", "k"), "move(-1)", "Up", "One row up.", group)
    yield Command("move.down", ("down", "j"), "move(1)", "Down", "One row down.", group)
    yield Command("move.page_up", ("pageup",), "page(-1)", "Page up", "One page up.", group)
    yield Command("move.page_down", ("pagedown",), "page(1)", "Page down", "One page down.", group)
    yield Command("move.first", ("home", "g"), "edge(-1)", "First row", "To the first row.", group)
    yield Command("move.last", ("end", "G"), "edge(1)", "Last row", "To the last row.", group)
    yield Command("pane.next", ("tab", "right"), "focus_pane(1)", "Next pane", "Move to the next pane.", group)
    yield Command(
        "pane.previous", ("shift+tab", "left"), "focus_pane(-1)", "Previous pane", "Move to the pane before.", group
    )
    yield Command(
        "pane.open",
        ("enter",),
        "open",
        "Open",
        "Show all about the GPU or the process under the cursor.",
        group,
        "Open",
    )
    yield Command(
        "view.back", ("escape",), "back", "Back", "One level back: the filter line, full screen, the filter.", group
    )


def _processes() -> Iterable[Command]:
    group = "processes"
    yield Command(
        "process.filter",
        ("slash",),
        "filter",
        "Filter",
        "Show processes that hold a text (`!` inverts).",
        group,
        "Filter",
    )
    yield Command(
        "process.sort_left", ("less_than_sign", "comma"), "sort(-1)", "Sort left", "Sort by the column before.", group
    )
    yield Command(
        "process.sort_right",
        ("greater_than_sign", "full_stop"),
        "sort(1)",
        "Sort right",
        "Sort by the next column.",
        group,
    )
    yield Command("process.invert", ("I",), "invert", "Invert order", "Turn the order round.", group)
    yield Command("process.tree", ("t",), "tree", "Tree", "Children under their parents.", group, "Tree")
    yield Command("process.by_user", ("u",), "by_user", "By user", "Sum GPU memory by user.", group, "User")
    yield Command("process.tag", ("space",), "tag", "Tag", "Tag the process, for one signal to several.", group)
    yield Command(
        "process.signal",
        ("K", "f9"),
        "signal",
        "Signal",
        "Send a signal to the process, or to the tagged ones.",
        group,
        footer="Signal",
        needs_hands=True,
    )


def _view() -> Iterable[Command]:
    group = "view"
    yield Command("view.full", ("f",), "full", "Full screen", "The pane alone, or all of them again.", group, "Full")
    yield Command("view.pause", ("Z",), "pause", "Pause", "Freeze what is shown, or go on.", group, "Pause")
    yield Command(
        "view.refresh", ("r",), "refresh_now", "Refresh", "Read everything now; starts a lost sampler again.", group
    )
    yield Command(
        "view.zoom_in", ("plus", "equals_sign"), "zoom(-1)", "Zoom in", "A shorter time in the graphs.", group
    )
    yield Command("view.zoom_out", ("minus",), "zoom(1)", "Zoom out", "A longer time in the graphs, up to 6 h.", group)
    for key, pane in PANES.items():
        title = _PANE_TITLES[pane]
        yield Command(
            f"pane.{pane}", (key,), f"toggle_pane('{pane}')", f"Show or hide {title}", f"Show or hide {title}.", group
        )


APP: tuple[Command, ...] = tuple(_app())
MONITOR: tuple[Command, ...] = (*_processes(), *_moving(), *_view())
PAGE: tuple[Command, ...] = (
    Command("page.up", ("up", "k"), "scroll(-1)", "Up", "One line up.", "this page"),
    Command("page.down", ("down", "j"), "scroll(1)", "Down", "One line down.", "this page"),
    Command("page.page_up", ("pageup", "b"), "scroll_page(-1)", "Page up", "One page up.", "this page"),
    Command("page.page_down", ("pagedown", "space"), "scroll_page(1)", "Page down", "One page down.", "this page"),
    Command("page.first", ("home", "g"), "scroll_edge(-1)", "First line", "To the first line.", "this page"),
    Command("page.last", ("end", "G"), "scroll_edge(1)", "Last line", "To the last line.", "this page"),
    Command("page.back", ("escape", "enter"), "app.back", "Back", "Back to where you were.", "this page", "Back"),
)
"""Keys of the pages that lie over the monitor: help, events, details."""

DIALOG: tuple[Command, ...] = (
    Command("dialog.up", ("up", "k"), "move(-1)", "Up", "The choice above.", "this dialog"),
    Command("dialog.down", ("down", "j"), "move(1)", "Down", "The choice below.", "this dialog"),
    Command("dialog.accept", ("enter",), "accept", "Accept", "Do what is chosen.", "this dialog"),
    Command("dialog.cancel", ("escape", "q"), "cancel", "Cancel", "Do nothing.", "this dialog"),
)

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


def available(commands: Iterable[Command], *, has_hands: bool) -> list[Command]:
    """Without those that act on processes where that is not allowed."""
    return [command for command in commands if has_hands or not command.needs_hands]


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
