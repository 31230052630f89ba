"""The dashboard: modes, bindings, theme, and the way from a snapshot to the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.screen import Screen

from mltop.model.job import Job
from mltop.model.request import Request
from mltop.model.snapshot import Snapshot
from mltop.sampling.recorder import Recorder
from mltop.ui.ask import Ask
from mltop.ui.command import Command, available, bindings, shown
from mltop.ui.commands import APP, SCREENS, ScreenEntry
from mltop.ui.feed import Feed, Source
from mltop.ui.jobs_line import JobsLine
from mltop.ui.messages import Sampled, SourceLost
from mltop.ui.session import Session
from mltop.ui.terminal.app import TerminalApp
from mltop.ui.theme import DEFAULT, PALETTES

NOTE_S = 8.0
"""How long a note stays in the footer."""


class Dashboard(TerminalApp):
    """Shows one source until the user, a signal or the terminal's end says stop."""

    TITLE = "mltop"
    CSS_PATH = "app.tcss"
    BINDINGS = bindings(APP)
    ENABLE_COMMAND_PALETTE = True
    DEFAULT_MODE: ClassVar[str] = SCREENS[0].name
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        source: Source,
        session: Session,
        *,
        theme: str = DEFAULT,
        reopen: Callable[[], Source] | None = None,
        recorder: Recorder | None = None,
        ask: Ask | None = None,
        state: Path | None = None,
    ) -> None:
        self.MODES = {entry.name: partial(load_screen, entry) for entry in SCREENS}  # type: ignore[misc]
        super().__init__()
        self.session = session
        self.view = session.view
        self.ask = ask or Ask()
        """mltop's own command line."""
        self.state = state
        """Where signals are noted; `None`: nowhere."""
        self.note = ""
        self._source = source
        self._reopen = reopen
        self._recorder = recorder
        self._feed = self._new_feed(source)
        self._jobs_line = JobsLine(self)
        self._note_timer: Any = None
        self._told: str | None = None
        """Why history is not recorded, as it was told."""
        for palette in PALETTES.values():
            self.register_theme(palette.textual)
        self.theme = theme if theme in PALETTES else DEFAULT

    # -- from the source to the screen -------------------------------------------------------------------------

    def _new_feed(self, source: Source) -> Feed:
        return Feed(
            source,
            lambda snapshot: self.post_message(Sampled(snapshot)),
            lambda reason, is_final: self.post_message(SourceLost(reason, is_final=is_final)),
        )

    def on_mount(self) -> None:
        """Begin to listen."""
        self._feed.start()
        self._await_history()
        self.set_interval(1.0, self._look_after)
        if self.has_box:
            self._jobs_line.start()

    def on_sampled(self, message: Sampled) -> None:
        """Show the new snapshot."""
        if self._recorder is not None:
            self._recorder.record(message.snapshot)
        if self.session.take(message.snapshot, time.monotonic()):
            self.redraw()

    def on_source_lost(self, message: SourceLost) -> None:
        """Say what is wrong with the source."""
        reason = message.reason
        if message.is_final and self._reopen is not None:
            reason += " · r starts it again"
        self.session.lose(reason, is_final=message.is_final)
        self.redraw()

    def _await_history(self) -> None:
        """Load what earlier runs recorded as it comes in (M36)."""
        fd = None if self._recorder is None else self._recorder.fileno()
        if fd is not None:
            asyncio.get_running_loop().add_reader(fd, self._take_history, fd)

    def _take_history(self, fd: int) -> None:
        assert self._recorder is not None
        # the recorder may close its descriptor in the poll; a loop must not go on watching its number
        asyncio.get_running_loop().remove_reader(fd)
        records = self._recorder.poll()
        if records:
            self.session.history.load(records)
        self._await_history()

    def _look_after(self) -> None:
        """Once a second: is the sampler silent, is the connection in trouble? Paints only what changed by it."""
        reason = self._recorder.reason if self._recorder is not None else None
        if reason != self._told:
            self._told = reason
            self.tell(reason or "history is recorded again")
        is_changed = self.session.check_silence(time.monotonic())
        if not self.session.is_lost and (trouble := self._source.trouble()) != self.view.trouble:
            self.session.lose(trouble, is_final=False)
            is_changed = True
        if is_changed:
            self.redraw()

    def take_jobs(self, jobs: Iterable[Job], trouble: str) -> None:
        """What the list of jobs says, and what is wrong with it, for the monitor's line."""
        line = self._jobs_line.take(jobs, trouble)
        if line != self.view.jobs_line:
            self.view.jobs_line = line
            self.redraw()

    def redraw(self) -> None:
        """Let every screen that shows the view draw it again; rows that stay the same are not painted."""
        for screen in self.screen_stack:
            draw = getattr(screen, "redraw", None)
            if draw is not None:
                draw()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is shown."""
        return self.view.snapshot

    @property
    def has_hands(self) -> bool:
        """Whether processes may be signalled from here."""
        return not self.view.readonly and self.view.remote is None

    @property
    def has_box(self) -> bool:
        """Whether the box shown is the one that mltop runs on."""
        return self.view.remote is None

    def possible(self, commands: Iterable[Command]) -> list[Command]:
        """Without those that must not act from here."""
        return available(commands, has_hands=self.has_hands, has_box=self.has_box)

    def is_possible(self, action: str, commands: Iterable[Command]) -> bool:
        """Whether an action, by its name, may be taken from here."""
        named = [one for one in commands if one.action.removeprefix("app.").partition("(")[0] == action]
        return not named or bool(self.possible(named))

    @property
    def shows_pcie(self) -> bool:
        """Whether PCIe throughput is on the screen (it costs 20 ms a call, so only then is it asked for)."""
        return any(getattr(screen, "shows_pcie", False) for screen in self.screen_stack)

    def request(self, request: Request) -> None:
        """Ask the sampler for a change."""
        if not self.session.is_lost:
            self._source.send(request)

    def refresh_source(self) -> None:
        """Sample now; where the sampler has ended, start another."""
        if not self.session.is_lost:
            self.request(Request(refresh=True))
            return
        if self._reopen is None:
            return
        self._feed.stop()
        self._source.close()
        self._source = self._reopen()
        self.session.reopen(time.monotonic())
        self._feed = self._new_feed(self._source)
        self._feed.start()
        self.redraw()

    def tell(self, note: str) -> None:
        """Show a note in the footer for a while."""
        self.note = note
        if self._note_timer is not None:
            self._note_timer.stop()
        self._note_timer = self.set_timer(NOTE_S, partial(self.tell, "")) if note else None
        self.redraw()

    def let_go(self) -> None:
        """Let go of the source, of the questions that are out, and of the recorder."""
        self._feed.stop()
        self._source.close()
        self.ask.close()
        if self._recorder is not None:
            self._recorder.close()

    # -- actions -----------------------------------------------------------------------------------------------

    def action_end(self) -> None:
        """End with 0."""
        self.exit(return_code=0)

    async def action_back(self) -> None:
        """Leave the page on top."""
        if len(self.screen_stack) > 1:
            await self.pop_screen()

    def action_help(self) -> None:
        """Show the keys."""
        from mltop.ui.screens.help import HelpScreen

        self._open_page(HelpScreen)

    def action_command_palette(self) -> None:
        """Find a command by its name."""
        from mltop.ui.screens.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_events(self) -> None:
        """Show what happened."""
        from mltop.ui.screens.events import EventsScreen

        self._open_page(EventsScreen)

    def _open_page(self, page: type[Screen[Any]]) -> None:
        """Push a page once: its key pressed again goes back."""
        if isinstance(self.screen, page):
            self.pop_screen()
        elif not self.screen.is_modal:
            self.push_screen(page())

    def action_show_screen(self, name: str) -> None:
        """Switch to a numbered screen."""
        if self.screen.is_modal or name not in (entry.name for entry in SCREENS if self.has_box or not entry.needs_box):
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name != self.current_mode:
            self.switch_mode(name)

    def show_logs(self, job: str) -> None:
        """Switch to the runs and logs of a job."""
        from mltop.ui.screens.logs import LogsScreen

        self.action_show_screen("logs")
        if isinstance(self.screen, LogsScreen):
            self.screen.show_job(job)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every command of the table."""
        own = getattr(screen, "commands", ())
        for command in self.possible((*own, *APP)):
            if command.id in ("app.palette", "app.interrupt"):
                continue
            keys = ", ".join(map(shown, command.keys))
            yield SystemCommand(command.title, f"{command.help} ({keys})", partial(self._run_command, command.action))
        for name in PALETTES:
            yield SystemCommand(f"Theme: {name}", "Change the colours.", partial(setattr, self, "theme", name))

    async def press(self, key: str) -> None:
        """Do what the key does that the footer shows as `key`."""
        for command in self.possible((*getattr(self.screen, "commands", ()), *APP)):
            if key in map(shown, command.keys):
                await self._run_command(command.action)
                return

    async def _run_command(self, action: str) -> None:
        await self.run_action(action, self if action.startswith("app.") else self.screen)


def load_screen(entry: ScreenEntry) -> Screen[Any]:
    """A numbered screen, imported when it is first shown."""
    screen: Screen[Any] = getattr(import_module(entry.module), entry.class_name)()
    return screen
