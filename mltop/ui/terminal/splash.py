"""The first frame, drawn before Textual is imported: frames, titles and keys stand there while the rest loads (M28).

Importing Textual takes about 0.2 s; drawing the empty panes takes 2 ms and needs nothing of it.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType
from typing import NoReturn

from mltop.ui.layout import arrange
from mltop.ui.line import Line, Role
from mltop.ui.panes import DRAW
from mltop.ui.view import View

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
LEAVE = "\x1b[0m\x1b[?1049l\x1b[?25h"
_CODES = {Role.DIM: "2", Role.FRAME: "2", Role.TITLE: "1", Role.LABEL: "36", Role.KEY: "1;36", Role.TRACK: "2"}
"""The few roles of a screen without numbers, as the default theme has them."""
_ENDS = (signal.SIGTERM, signal.SIGHUP)


def show(view: View, *, no_color: bool) -> bool:
    """Enter the alternate screen and draw the view there; `False` when the terminal does not take output now."""
    try:
        width, height = os.get_terminal_size(1)
    except OSError:
        return False
    poller = select.poll()
    poller.register(1, select.POLLOUT)
    if not width or not height or not poller.poll(0):
        return False
    for number in _ENDS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    os.write(1, (ENTER + frame(view, width, height, no_color=no_color)).encode("utf-8", "replace"))
    return True


def hide() -> None:
    """Give the screen back, where the dashboard does not come to take it over."""
    os.write(1, LEAVE.encode())


def frame(view: View, width: int, height: int, *, no_color: bool) -> str:
    """The escape sequences of all panes at a size."""
    parts: list[str] = []
    for place in arrange(view, width, height):
        for row, line in enumerate(DRAW[place.pane](view, place.width, place.height)):
            parts.append(f"\x1b[{place.y + row + 1};{place.x + 1}H{_painted(line, no_color)}")
    return "".join(parts)


def _painted(line: Line, no_color: bool) -> str:
    painted: list[str] = []
    for text, role in line:
        code = _CODES.get(role, "")
        if no_color:
            code = code.replace("1;36", "1").replace("36", "")
        painted.append(f"\x1b[{code}m{text}\x1b[0m" if code else text)
    return "".join(painted)


def _end(number: int, _: FrameType | None) -> NoReturn:
    """A signal before the dashboard is there to catch it."""
    hide()
    os._exit(128 + number)
