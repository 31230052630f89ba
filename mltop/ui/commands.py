"""Everything the dashboard can be told: one table from which bindings, help, footer and palette derive (M32).

Nothing here imports Textual, so that a pane may ask for the footer's keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mltop.ui.command import Command


@dataclass(frozen=True, slots=True)
class ScreenEntry:
    """A screen with a number: a mode of the app."""

    number: int
    name: str
    title: str
    module: str
    """Where its class is, imported when it is first shown."""
    class_name: str
    needs_box: bool = True
    """Shows what only the box itself tells: not there under `--host` (D17)."""


SCREENS: tuple[ScreenEntry, ...] = (
    ScreenEntry(1, "monitor", "Monitor", "mltop.ui.screens.monitor", "MonitorScreen", needs_box=False),
    ScreenEntry(2, "health", "Health", "mltop.ui.screens.health", "HealthScreen"),
    ScreenEntry(3, "jobs", "Jobs", "mltop.ui.screens.jobs", "JobsScreen"),
    ScreenEntry(4, "logs", "Logs", "mltop.ui.screens.logs", "LogsScreen"),
)
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
            needs_box=screen.needs_box,
        )


EVENTS = Command("app.events", ("e",), "app.events", "Events", "What happened, with time.", "mltop", footer="Events")
"""Wherever the letter is not taken."""


def _rows() -> Iterable[Command]:
    group = "moving"
    yield Command("move.up", ("up", "k"), "move(-1)", "Up", "One row up.", group)
    yield Command("move.down", ("down", "j"), "move(1)", "Down", "One row down.", group)
    yield Command("move.page_up", ("pageup",), "page(-1)", "Page up", "One page up.", group)
    yield Command("move.page_down", ("pagedown",), "page(1)", "Page down", "One page down.", group)
    yield Command("move.first", ("home", "g"), "edge(-1)", "First row", "To the first row.", group)
    yield Command("move.last", ("end", "G"), "edge(1)", "Last row", "To the last row.", group)


def _moving() -> Iterable[Command]:
    group = "moving"
    yield from _rows()
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


SIGNAL = Command(
    "process.signal",
    ("K", "f9"),
    "signal",
    "Signal",
    "Send a signal to the process, or to the tagged ones.",
    "processes",
    footer="Signal",
    needs_hands=True,
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
    for key, column, what in (("P", "cpu", "CPU"), ("M", "memory", "memory"), ("T", "time", "age")):
        yield Command(
            f"process.by_{column}", (key,), f"sort_by('{column}')", f"Sort by {what}", f"Sort by {what}.", group
        )
    yield Command("process.tree", ("t", "f5"), "tree", "Tree", "Children under their parents.", group, "Tree")
    yield Command("process.by_user", ("u",), "by_user", "By user", "Sum GPU memory by user.", group, "User")
    yield Command("process.tag", ("space",), "tag", "Tag", "Tag the process, for one signal to several.", group)
    yield SIGNAL


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
MONITOR: tuple[Command, ...] = (*_processes(), *_moving(), *_view(), EVENTS)
PAGE: tuple[Command, ...] = (
    Command("page.up", ("up", "k"), "scroll(-1)", "Up", "One line up.", "this page"),
    Command("page.down", ("down", "j"), "scroll(1)", "Down", "One line down.", "this page"),
    Command("page.page_up", ("pageup", "b"), "scroll_page(-1)", "Page up", "One page up.", "this page"),
    Command("page.page_down", ("pagedown", "space"), "scroll_page(1)", "Page down", "One page down.", "this page"),
    Command("page.first", ("home", "g"), "scroll_edge(-1)", "First line", "To the first line.", "this page"),
    Command("page.last", ("end", "G"), "scroll_edge(1)", "Last line", "To the last line.", "this page"),
    Command("page.back", ("escape", "enter"), "app.back", "Back", "Back to where you were.", "this page", "Back"),
    EVENTS,
)
"""Keys of the pages that lie over the monitor: help, events, details."""

PROCESS_PAGE: tuple[Command, ...] = (SIGNAL,)
"""What the page of a process has beside."""

DIALOG: tuple[Command, ...] = (
    Command("dialog.up", ("up", "k"), "move(-1)", "Up", "The choice above.", "this dialog"),
    Command("dialog.down", ("down", "j"), "move(1)", "Down", "The choice below.", "this dialog"),
    Command("dialog.accept", ("enter",), "accept", "Accept", "Do what is chosen.", "this dialog"),
    Command("dialog.cancel", ("escape", "q"), "cancel", "Cancel", "Do nothing.", "this dialog"),
)


def _list(what: str, open_title: str, open_help: str, keys: tuple[str, ...] = ("enter",)) -> Iterable[Command]:
    """What every list that is browsed can do."""
    yield from _rows()
    yield Command("list.open", keys, "open", open_title, open_help, "moving", footer=open_title)
    yield Command("list.filter", ("slash",), "filter", "Filter", f"Show {what} that hold a text.", "view", "Filter")
    yield Command("list.back", ("escape",), "back", "Back", "One level back: a note, the filter.", "view")


def _health() -> Iterable[Command]:
    yield from _list("checks", "Open", "All about the check under the cursor.")
    yield Command("health.check", ("r",), "check", "Check now", "Run all checks now.", "health", footer="Check now")
    yield EVENTS


def _jobs() -> Iterable[Command]:
    group = "jobs"
    yield from _list("jobs", "Logs", "The runs of the job under the cursor, and what they wrote.", ("enter", "l"))
    yield Command("job.run", ("t",), "trigger", "Run now", "Run the job now, on its own.", group, "Run", True)
    yield Command(
        "job.suspend", ("s",), "suspend", "Suspend or resume", "Take the job off its schedule, or put it back.", group,
        "Suspend", True,
    )  # fmt: skip
    yield Command("job.edit", ("e",), "edit", "Edit", "Change schedule and command.", group, "Edit", True)
    yield Command("job.new", ("n",), "new", "New job", "Add a job that runs a command.", group, "New", True)
    yield Command("job.delete", ("ctrl+d",), "delete", "Delete", "Take the job out of the config.", group, "", True)
    yield Command(
        "job.plan", ("p",), "plan", "Plan", "What the scheduler would be told: see it, then apply it.", group, "Plan",
        True,
    )  # fmt: skip
    yield Command("job.describe", ("d",), "describe", "Describe", "Its limits, its next runs, its line.", group)
    yield Command("job.adopt", ("A",), "adopt", "Adopt", "Make a job of mltop's of a foreign one.", group, "", True)
    yield Command("job.undo", ("u",), "undo", "Undo", "Take the last change back.", group, "", True)
    yield Command("job.dry_run", ("D",), "dry_run", "Dry run", "What a run would do, doing nothing.", group, "Dry run")
    yield Command(
        "job.init", ("i",), "init", "Set up", "Write a config with the standard jobs.", group, needs_hands=True
    )
    yield Command("job.all", ("a",), "all", "Show all", "With the system's own timers and cron jobs, or not.", group)
    yield Command("job.refresh", ("r",), "look", "Refresh", "Look at the schedulers now.", "view")


def _logs() -> Iterable[Command]:
    group = "log"
    yield from _rows()
    yield Command("log.pane", ("tab", "shift+tab"), "other_pane", "Other side", "Runs, or the log.", "moving")
    yield Command("log.open", ("enter",), "open", "Open", "Into the log of the run.", "moving")
    yield Command(
        "log.back", ("escape",), "back", "Back", "Back: the search, the runs, the runs of all jobs.", "moving",
        footer="Back",
    )  # fmt: skip
    yield Command("log.search", ("slash",), "search", "Search", "Find a text in the log.", group, footer="Search")
    yield Command("log.next", ("n",), "find(1)", "Next", "The next line that holds it.", group)
    yield Command("log.previous", ("N",), "find(-1)", "Previous", "The line before that holds it.", group)
    yield Command(
        "log.error",
        ("E",),
        "first_error",
        "First error",
        "To the first line that speaks of an error.",
        group,
        "1st error",
    )
    yield Command(
        "log.follow", ("f",), "follow", "Follow", "Stay at the end as it grows, or stay here.", group, "Follow"
    )
    yield Command("log.wrap", ("w",), "wrap", "Wrap", "Long lines on several rows, or cut.", group, footer="Wrap")
    yield Command("log.right", ("right",), "sideways(1)", "Right", "What is right of the edge.", group)
    yield Command("log.left", ("left",), "sideways(-1)", "Left", "Back to the left.", group)
    yield Command("log.refresh", ("r",), "look", "Refresh", "Read runs and log now.", "view")
    yield EVENTS


HEALTH: tuple[Command, ...] = tuple(_health())
JOBS: tuple[Command, ...] = tuple(_jobs())
LOGS: tuple[Command, ...] = tuple(_logs())

FORM: tuple[Command, ...] = (
    Command(
        "form.save", ("ctrl+s",), "save", "Save", "See what would change, then save it.", "this form", "See changes",
        has_priority=True,
    ),
    Command("form.cancel", ("escape",), "cancel", "Cancel", "Leave everything as it was.", "this form", "Cancel"),
)  # fmt: skip
"""Keys of a form in which text is typed."""

REVIEW: tuple[Command, ...] = (
    Command("review.up", ("up", "k"), "scroll(-1)", "Up", "One line up.", "this page"),
    Command("review.down", ("down", "j"), "scroll(1)", "Down", "One line down.", "this page"),
    Command("review.page_up", ("pageup", "b"), "scroll_page(-1)", "Page up", "One page up.", "this page"),
    Command("review.page_down", ("pagedown", "space"), "scroll_page(1)", "Page down", "One page down.", "this page"),
    Command("review.accept", ("enter", "y"), "accept", "Accept", "Do it.", "this page", "Do it"),
    Command("review.cancel", ("escape", "n"), "cancel", "Cancel", "Change nothing.", "this page", "Cancel"),
)
"""Keys of a page that shows what would be changed, before it is."""
