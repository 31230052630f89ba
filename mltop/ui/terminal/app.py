"""The app under the dashboard: paints only cells that differ, and ends whatever hangs or fails (M30, D9)."""

from __future__ import annotations

import os
import tempfile
import traceback
from typing import Any

from rich.console import COLOR_SYSTEMS
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.screen import Screen

from mltop.ui.messages import Drained
from mltop.ui.terminal.driver import TerminalDriver, fatal
from mltop.ui.terminal.paint import Painter

END_S = 0.6
"""After this the end no longer waits for Textual to close its screens."""


class TerminalApp(App[int]):
    """Textual's app on mltop's own driver."""

    def __init__(self) -> None:
        super().__init__(driver_class=TerminalDriver)
        self.animation_level = "none"
        self.report: str | None = None
        """The file with the report of a fault that ended the app."""
        self.has_splash = False
        """The first frame is on the screen already."""
        self._painter = Painter(COLOR_SYSTEMS.get(self.console.color_system or ""))
        self._is_leaving = False

    # -- painting ----------------------------------------------------------------------------------------------

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Send only the cells that differ (Textual sends whole spans)."""
        driver = self._driver
        if not isinstance(renderable, CompositorUpdate) or not isinstance(driver, TerminalDriver):
            super()._display(screen, renderable)
            return
        if self._running and not self._batch_count and not driver.is_stalled:
            self._painter.resize(*self.size)
            try:
                frame = self._painter.paint(renderable)
            except Exception as error:  # noqa: BLE001 - as Textual does here: any fault of a widget ends the app
                self._handle_exception(error)
                return
            if frame:
                driver.write(SYNC_START + frame + SYNC_END if self._sync_available else frame)
        self.post_display_hook()

    def on_drained(self, _: Drained) -> None:
        """The terminal takes output again: bring it up to date."""
        self._repaint_all()

    def _repaint_all(self) -> None:
        if self._is_leaving:
            return
        self._painter.forget()
        self.screen.refresh()

    def action_repaint(self) -> None:
        """Paint everything again, whatever the terminal shows."""
        self._repaint_all()

    def action_suspend(self) -> None:
        """Stop, as Ctrl-Z does elsewhere."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.suspend()

    # -- the end -----------------------------------------------------------------------------------------------

    def exit(self, result: int | None = None, return_code: int = 0, message: Any = None) -> None:
        """End; what Textual has not closed in `END_S` is left behind."""
        super().exit(result, return_code, message)
        self._leave(return_code)

    def let_go(self) -> None:
        """Let go of what the app holds: the first act of any end; waits for nothing."""

    def _leave(self, code: int) -> None:
        """Be gone in `END_S` whatever happens."""
        if self._is_leaving:
            return
        self._is_leaving = True
        self.let_go()
        if self._loop is not None and isinstance(self._driver, TerminalDriver):
            self._loop.call_later(END_S, fatal, self._driver, code)

    def _fatal_error(self) -> None:
        """After an exception: the report goes to a file, one line says where."""
        if self.report is None:  # the first fault explains, the ones it causes do not
            self.report = write_report(traceback.format_exc()) or "nowhere: no file can be written"
        self._close_messages_no_wait()
        self._leave(1)


def write_report(text: str) -> str | None:
    """Write the report of a crash to a file of ours alone; `None` where no file can be written."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="mltop-crash-", suffix=".txt")  # 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return path
