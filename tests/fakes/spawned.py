"""A program on a pty of its own with an environment of its own, its screen kept by pyte: for whole boxes and ssh."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pexpect
import pyte
from patience import GRANTED_S, assert_within


class Spawned:
    """The program and its screen."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(
            command[0], list(command[1:]), env=dict(environment), dimensions=(rows, columns), timeout=20
        )

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(self.screen.display)

    def read(self) -> bool:
        """Take what the program wrote; False at its end."""
        try:
            data = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait_for(self, sign: str | Callable[[str], Any], timeout_s: float = 15.0) -> None:
        """Read until the screen shows it."""
        started = time.monotonic()
        accepts = sign if callable(sign) else lambda text: sign in text
        while not accepts(self.text):
            assert self.read(), f"ended before {sign!r}:\n{self.text}\n{self.raw[-500:]!r}"
            assert time.monotonic() < started + timeout_s + GRANTED_S, f"no {sign!r} on\n{self.text}"
        assert_within(timeout_s, started)

    def exit_code(self, timeout_s: float = 5.0) -> int | None:
        """The code that it ends with, read to its end."""
        started = time.monotonic()
        while self.read():
            assert time.monotonic() < started + timeout_s + GRANTED_S, f"still there:\n{self.text}"
        self.child.wait()
        assert_within(timeout_s, started)
        code = self.child.exitstatus
        return code if code is None else int(code)
