"""A job's output on the terminal of who runs it by hand; a terminal that stalls drops output, and delays nothing."""

from __future__ import annotations

import contextlib
import os


class Screen:
    """The terminal behind a descriptor, opened anew so that its not waiting is ours alone; else nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = -1
        if descriptor >= 0 and os.isatty(descriptor):
            with contextlib.suppress(OSError):
                self._descriptor = os.open(
                    os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                )
        self._at_line_start = True

    @property
    def is_open(self) -> bool:
        """Whether somebody looks."""
        return self._descriptor >= 0

    def write(self, data: bytes) -> None:
        """Show a piece, as far as the terminal takes it."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(BlockingIOError):
            view = memoryview(data)
            while view:
                try:
                    view = view[os.write(self._descriptor, view) :]
                except BlockingIOError:
                    raise
                except OSError:  # hung up
                    self.close()
                    return
        self._at_line_start = data.endswith(b"\n")

    def line(self, text: str) -> None:
        """Show a line of mltop's own."""
        self.write((("" if self._at_line_start else "\n") + f"{text}\n").encode("utf-8", "replace"))

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
