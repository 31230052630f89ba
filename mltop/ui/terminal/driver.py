"""The terminal (D9): no threads, output that never blocks, and an end when the terminal is gone.

Textual's own driver writes through a bounded queue whose `put` blocks the event loop once the terminal stops reading,
and its input thread spins on end of input. Here both sides are plain callbacks of the loop: a frame that the terminal
does not take is dropped, and when the terminal takes bytes again the app is asked for a full repaint.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any, NoReturn

from textual import events
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size

from mltop.ui.messages import Drained
from mltop.ui.terminal.output import Output
from mltop.ui.terminal.splash import ENTER

if TYPE_CHECKING:
    from textual.app import App

RESTORE_S = 0.25
"""How long the end waits for the terminal to take the bytes that restore it."""
ESCAPE_TICK_S = 0.12
"""After this a lone ESC is the key, not the start of a sequence (Textual's default delay is 0.1 s)."""

HANGUP, TERMINATED = 128 + signal.SIGHUP, 128 + signal.SIGTERM

_MODES = "\x1b[?2004h\x1b[?7l"
_LEAVE = "\x1b[0m\x1b[?1002l\x1b[?1000l\x1b[?1006l\x1b[?2004l\x1b[?7h\x1b[?1049l\x1b[?25h"
_MOUSE = "\x1b[?1000h\x1b[?1002h\x1b[?1006h"
"""Clicks, wheel and drags; not every motion: a moved mouse over ssh costs nothing."""
_POINTER_SHAPE = "\x1b]22;"
"""Textual names a shape for the mouse's pointer; the kernel's console prints that."""


class TerminalDriver(LinuxDriver):
    """Reads keys and writes frames in the event loop itself."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        Driver.__init__(self, app, debug=debug, mouse=mouse, size=size)
        self.fileno = 0
        self.input_tty = os.isatty(0)
        self.attrs_before: list[Any] | None = None
        self._must_signal_resume = False
        self._output: Output | None = None
        self._is_entered: bool = getattr(app, "has_splash", False)
        """The alternate screen is entered already, and shows the first frame."""
        self._parser: XTermParser | None = None
        self._encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        self._decode = getincrementaldecoder(self._encoding)(errors="replace").decode

    # -- output ------------------------------------------------------------------------------------------------

    @property
    def is_stalled(self) -> bool:
        """Whether frames are being dropped because the terminal does not read."""
        return self._output is not None and self._output.is_stalled

    def write(self, data: str) -> None:
        """Send `data`, or drop it where the terminal does not read. Never blocks."""
        if self._output is not None and not data.startswith(_POINTER_SHAPE):
            self._output.write(data.encode(self._encoding, "replace"))

    def flush(self) -> None:
        """Nothing is held back."""

    # -- input -------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = os.read(self.fileno, 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self.fileno)
            self._end(HANGUP)
            return
        self._feed(self._decode(data))

    def _feed(self, text: str) -> None:
        if self._parser is None or not text:
            return
        for message in self._parser.feed(text):
            self.process_message(message)
        self._loop.call_later(ESCAPE_TICK_S, self._tick)

    def _tick(self) -> None:
        if self._parser is not None:
            for message in self._parser.tick():
                self.process_message(message)

    # -- the mode ----------------------------------------------------------------------------------------------

    def _get_terminal_size(self) -> tuple[int, int]:
        """Columns and rows as the terminal says them; `COLUMNS` in the environment is of another moment."""
        try:
            width, height = os.get_terminal_size(1)
        except OSError:
            width, height = 0, 0
        return width or 80, height or 24

    def _post_size(self) -> None:
        size = Size(*self._get_terminal_size())
        self._app.post_message(events.Resize(size, size))

    def start_application_mode(self) -> None:
        """Take the terminal over: raw input, the alternate screen, mouse, and the signals that end or resize us."""
        self._output = Output(self._loop, lambda: self._app.post_message(Drained()), lambda: self._end(HANGUP))
        self._parser = XTermParser(self._debug)
        self._catch_signals()
        self._set_raw()
        is_entered, self._is_entered = self._is_entered, False
        self.write(("" if is_entered else ENTER) + _MODES + (_MOUSE if self._mouse else ""))
        self._request_terminal_sync_mode_support()
        self._loop.add_reader(self.fileno, self._readable)
        self._post_size()
        if self._must_signal_resume:
            self._must_signal_resume = False
            self._app.post_message(self.SignalResume())
            self._app.post_message(Drained())

    def _request_terminal_sync_mode_support(self) -> None:
        # The kernel's console and Apple's terminal print part of a query that they do not know.
        if os.environ.get("TERM") != "linux" and os.environ.get("TERM_PROGRAM") != "Apple_Terminal":
            self.write("\x1b[?2026$p")

    def _set_raw(self) -> None:
        try:
            self.attrs_before = termios.tcgetattr(self.fileno)
            attrs = termios.tcgetattr(self.fileno)
            attrs[0] = self._patch_iflag(attrs[0])
            attrs[3] = self._patch_lflag(attrs[3])
            attrs[6][termios.VMIN] = 1
            termios.tcsetattr(self.fileno, termios.TCSANOW, attrs)
        except termios.error:
            self.attrs_before = None

    def _catch_signals(self) -> None:
        add = self._loop.add_signal_handler
        add(signal.SIGWINCH, self._post_size)
        add(signal.SIGTERM, self._end, TERMINATED)
        add(signal.SIGINT, self._end, 0)
        add(signal.SIGTSTP, self.suspend)
        add(signal.SIGCONT, self._continue)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: the end of input ends us instead
            add(signal.SIGHUP, self._end, HANGUP)

    def _end(self, code: int) -> None:
        """End the app with `code`; the app is told at once and has a deadline of its own."""
        self._app.exit(return_code=code)

    def suspend(self) -> None:
        """Give the terminal back, stop, and take it again when continued in the foreground.

        Stops by SIGTSTP's own default: the kernel does not stop a process that no shell could continue (`ssh -t`).
        """
        self.suspend_application_mode()
        self._must_signal_resume = True
        self._loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)
        self._loop.add_signal_handler(signal.SIGTSTP, self.suspend)
        if self._output is None:
            self._continue()

    def _continue(self) -> None:
        if self._output is not None:  # stopped from outside with SIGSTOP: somebody may have written on our screen
            self._set_raw_again()
            self._app.post_message(Drained())
            return
        if not self._is_foreground():  # `bg`: wait for `fg`
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        if self._auto_restart:
            self.resume_application_mode()

    def _set_raw_again(self) -> None:
        before = self.attrs_before
        self._set_raw()
        if before is not None:
            self.attrs_before = before
        self.write(ENTER + _MODES + (_MOUSE if self._mouse else ""))

    def _is_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True

    def disable_input(self) -> None:
        """Stop reading keys; what was typed and not read is thrown away."""
        if self._parser is None:
            return
        self._parser = None
        self._loop.remove_reader(self.fileno)

    def stop_application_mode(self) -> None:
        """Restore the terminal, waiting at most `RESTORE_S` for one that does not read. Safe to call twice."""
        output, self._output = self._output, None
        if output is None:
            return
        self.disable_input()
        output.close(_LEAVE.encode(), RESTORE_S)
        if self.attrs_before is not None:
            try:
                termios.tcflush(self.fileno, termios.TCIFLUSH)
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            except termios.error:
                pass  # the terminal is gone; there is nothing to restore

    def close(self) -> None:
        """Nothing is left to join: there are no threads."""
        self.stop_application_mode()


def fatal(driver: Driver | None, code: int) -> NoReturn:
    """End the process now, with the terminal restored as far as it lets us: for what must not wait any longer."""
    if isinstance(driver, TerminalDriver):
        driver.stop_application_mode()
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # the reader is gone
                stream.flush()
    os._exit(code)
