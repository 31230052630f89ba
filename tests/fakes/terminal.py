"""Programs on pseudo-terminals of their own, and what their screens show."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte
from patience import assert_within

ROOT = str(Path(__file__).parents[2])
PATIENCE_S = 20.0
RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?2004l")
"""How a terminal is left: main screen, cursor, no mouse reports, no bracketed paste."""
_QUERY = b"\x1b[?2026$p"
"""Textual asks for synchronised output; pyte would draw the question."""


class Terminal:
    """A child on a pseudo-terminal, and what it has written."""

    def __init__(
        self,
        argv: list[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        pass_fd: int | None = None,
    ) -> None:
        self.output = bytearray()
        self.started = time.monotonic()
        self.used_s = 0.0
        """CPU seconds, once it has ended."""
        self._status: int | None = None
        self._held = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            if pass_fd is not None:
                os.set_inheritable(pass_fd, True)
            os.execve(argv[0], argv, {**os.environ, "PYTHONPATH": ROOT, "TERM": "xterm-256color", **(env or {})})
        self.resize(*size)

    def resize(self, width: int, height: int) -> None:
        """Give it another size, and a screen on which nothing is drawn yet."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.size = (width, height)
        self.forget()

    def forget(self) -> None:
        """Begin with an empty screen and no output."""
        self.output.clear()
        self._held = b""
        self._screen = pyte.Screen(*self.size)
        self._stream = pyte.ByteStream(self._screen)

    def read(self, timeout_s: float) -> bool:
        """Read what is there; `False` when nothing came in time or nothing will come."""
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += data
        self._draw(data)
        return bool(data)

    def _draw(self, data: bytes) -> None:
        data = (self._held + data).replace(_QUERY, b"")
        cut = max((n for n in range(1, len(_QUERY)) if data.endswith(_QUERY[:n])), default=0)
        data, self._held = data[: len(data) - cut], data[len(data) - cut :]
        self._stream.feed(data)

    def until(self, is_true: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Read until something holds."""
        deadline = time.monotonic() + within_s
        while not is_true():
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.text()}"
            self.read(0.05)

    def shows(self, text: str, within_s: float = PATIENCE_S) -> None:
        """Read until `text` is on the screen."""
        self.until(lambda: text in self.text(), text, within_s)

    def lines(self) -> list[str]:
        """The screen's lines, without the blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self._screen.display)

    def key(self, keys: bytes) -> None:
        """Type."""
        os.write(self.fd, keys)

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, within_s: float = PATIENCE_S, *, reading: bool = True) -> int:
        """The exit code, negative for a signal; fails where it ends later than within so many seconds."""
        began = time.monotonic()
        while self._status is None:
            assert time.monotonic() < began + within_s + PATIENCE_S, f"still there\n{self.text()}"
            if reading:
                self.read(0.02)
            else:
                select.select([], [], [], 0.02)
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.used_s = usage.ru_utime + usage.ru_stime
                self._status = os.waitstatus_to_exitcode(status)
                assert_within(within_s, began)
        while reading and self.read(0.1):
            pass
        return self._status

    def close(self) -> None:
        """End it, whatever it does."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.fd >= 0:
            os.close(self.fd)

    def cpu_s(self) -> float:
        """CPU seconds by now."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_raw(self) -> bool:
        """Whether keys come without a line end."""
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def is_restored(self) -> bool:
        """Whether its last words set the terminal as it was."""
        return all(sequence in bytes(self.output[-400:]) for sequence in RESTORED)


def read_all(terminals: list[Terminal], until: Callable[[], bool], within_s: float) -> None:
    """Read from several at once, so that none stalls, until something holds or the time is over."""
    deadline = time.monotonic() + within_s
    while not until() and (left := deadline - time.monotonic()) > 0:
        ready = select.select([each.fd for each in terminals], [], [], min(left, 0.1))[0]
        for each in terminals:
            if each.fd in ready:
                each.read(0)
