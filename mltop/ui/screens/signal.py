"""The signal dialog: asks which signal for which processes, does nothing by itself, and begins at Cancel (M33)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from mltop.system.target import Target
from mltop.ui.command import bindings
from mltop.ui.commands import DIALOG
from mltop.ui.format import cells, clip, left, plain, size
from mltop.ui.line import Line, Role, cut, width_of
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.screens.rows import Chosen
from mltop.ui.widgets.line_pane import LinePane

if TYPE_CHECKING:
    from mltop.ui.app import Dashboard

WIDTH = 64
MAX_NAMED = 5
"""Processes named one by one; of more, the number."""

CHOICES: tuple[tuple[str, int, str], ...] = (
    ("Cancel", 0, "do nothing"),
    ("SIGTERM", signal.SIGTERM, "end, after cleaning up"),
    ("SIGINT", signal.SIGINT, "as Ctrl-C: many trainers save a checkpoint"),
    ("SIGUSR1", signal.SIGUSR1, "often: save a checkpoint"),
    ("SIGUSR2", signal.SIGUSR2, "up to the program"),
    ("SIGHUP", signal.SIGHUP, "hang up, or read the config again"),
    ("SIGSTOP", signal.SIGSTOP, "stop; GPU memory stays held"),
    ("SIGCONT", signal.SIGCONT, "go on"),
    ("SIGQUIT", signal.SIGQUIT, "end with a core dump"),
    ("SIGKILL", signal.SIGKILL, "end now: nothing is saved"),
)


class SignalScreen(OnDashboard, ModalScreen[int | None]):
    """Gives the number of the signal, or `None`."""

    BINDINGS = bindings(DIALOG)

    def __init__(self, chosen: list[Chosen]) -> None:
        super().__init__()
        self.chosen = chosen
        self.targets = [Target(each.pid, each.started_at) for each in chosen]
        self.index = 0
        self._pane = LinePane("signal")

    def compose(self) -> ComposeResult:
        """One pane."""
        yield self._pane

    def on_mount(self) -> None:
        """First drawing."""
        self.redraw()

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.redraw()

    def redraw(self) -> None:
        """Draw the dialog in as many rows as there are."""
        terminal = self.app.size
        width = min(WIDTH, terminal.width)
        lines = self._lines(width, terminal.height)
        self._pane.styles.width = width
        self._pane.styles.height = max(1, len(lines))
        self._pane.update(lines)

    def _lines(self, width: int, height: int) -> list[Line]:
        inner = max(1, width - 4)
        rows: list[Line] = [*self._who(inner)]
        room = max(1, height - len(rows) - 5)
        first = max(0, min(self.index - room // 2, len(CHOICES) - room))
        rows.append([])
        rows += [self._choice(index, inner) for index in range(first, min(len(CHOICES), first + room))]
        rows += [[], [("Enter", Role.KEY), (" accept   ", Role.DIM), ("Esc", Role.KEY), (" cancel", Role.DIM)]]
        return _boxed(rows, width, "Send a signal", self.dashboard.view.graphs == "ascii")[-max(1, height) :]

    def _who(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for each, target in list(zip(self.chosen, self.targets, strict=True))[:MAX_NAMED]:
            gone = "" if target.is_same else "  (ended)"
            held = f"  GPU {size(each.gpu_memory_bytes)}" if each.gpu_memory_bytes is not None else ""
            head = f"{each.pid}  {each.user or '?'}{held}{gone}  "
            lines.append([(head, Role.TITLE), (clip(plain(each.name), max(0, width - cells(head))), Role.TEXT)])
        more = len(self.chosen) - len(lines)
        if more > 0:
            lines.append([(f"and {more} more", Role.DIM)])
        return lines

    def _choice(self, index: int, width: int) -> Line:
        name, number, what = CHOICES[index]
        text = f" {name:<8} {number or '':>2}  {what}"
        return [(left(clip(text, width), width), Role.CURSOR if index == self.index else Role.TEXT)]

    def action_move(self, step: int) -> None:
        """Another choice."""
        self.index = (self.index + step) % len(CHOICES)
        self.redraw()

    def action_accept(self) -> None:
        """Give the choice back."""
        self.dismiss(CHOICES[self.index][1] or None)

    def action_cancel(self) -> None:
        """Give nothing back."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """A click outside cancels, one on a row chooses it, two accept it."""
        if event.widget is not self._pane:
            self.dismiss(None)
            return
        for index, (name, _, _) in enumerate(CHOICES):
            if event.y < len(self._pane.lines) and f" {name:<8} " in "".join(t for t, _ in self._pane.lines[event.y]):
                self.index = index
                self.redraw()
                if event.chain > 1:
                    self.action_accept()
                return


def ask_signal(dashboard: Dashboard, chosen: list[Chosen], done: Callable[[bool], object]) -> None:
    """Ask which signal, send it, say what came of it; `done` is told whether one was."""
    dialog = SignalScreen(chosen)

    def answered(number: int | None) -> None:
        if number:
            dashboard.tell(send(dialog.targets, number))
            note(dashboard.state, chosen, number)
        for target in dialog.targets:
            target.close()
        done(bool(number))

    dashboard.push_screen(dialog, answered)


def send(targets: list[Target], number: int) -> str:
    """Send the signal to each and say what came of it."""
    name = signal.Signals(number).name
    failures = [(target.pid, why) for target in targets if (why := target.send(number)) is not None]
    if not failures:
        pids = " ".join(str(target.pid) for target in targets[:4])
        return f"{name} sent to {pids}" + (f" and {len(targets) - 4} more" if len(targets) > 4 else "")
    sent = len(targets) - len(failures)
    told = "; ".join(f"{pid}: {why}" for pid, why in failures[:2])
    return f"{name} not sent to {told}" + (f" (sent to {sent})" if sent else "")


def note(state: Path | None, chosen: list[Chosen], number: int) -> None:
    """Note who was sent a signal in `operations.jsonl`; by a thread, for the state may be on a dead mount."""
    if state is None:
        return
    from mltop.jobs.operation_log import note as append

    name = signal.Signals(number).name

    def work() -> None:
        for each in chosen:
            append(state, "signal", str(each.pid), signal=name, name=each.name, user=each.user)

    threading.Thread(target=work, name="mltop-note", daemon=True).start()


def _boxed(rows: list[Line], width: int, title: str, is_ascii: bool) -> list[Line]:
    """Rows in a frame."""
    across, down, corners = ("-", "|", "++++") if is_ascii else ("─", "│", "╭╮╰╯")
    inner = max(0, width - 4)
    head = f"{corners[0]}{across} {title} "
    lines: list[Line] = [[(head, Role.TITLE), (across * max(0, width - len(head) - 1) + corners[1], Role.FRAME)]]
    for row in rows:
        row = cut(row, inner)
        pad = " " * (inner - width_of(row))
        lines.append([(f"{down} ", Role.FRAME), *row, (pad, Role.TEXT), (f" {down}", Role.FRAME)])
    lines.append([(corners[2] + across * max(0, width - 2) + corners[3], Role.FRAME)])
    return lines
