"""The owner's end of one GPU probe: messages out of a pipe, the call under way out of a shared page."""

from __future__ import annotations

import contextlib
import os
import signal

import msgspec

from mltop.sampling.gpu.answer import Refresh, Said
from mltop.sampling.gpu.progress import Call, Progress
from mltop.sampling.root import Roots
from mltop.system.process import fork_child

_CHUNK_BYTES = 65536


class ProbeChild:
    """One probe. Never waited for; `receive` and `send` never block."""

    def __init__(self, roots: Roots) -> None:
        self._progress = Progress()
        progress = self._progress

        def serve(read_fd: int, write_fd: int) -> None:
            from mltop.sampling.gpu.probe import serve as serve_requests  # the owner never loads NVML's module

            serve_requests(read_fd, write_fd, progress, roots)

        self._child = fork_child(serve)
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Said)
        self._pending = b""
        self.is_at_end = False
        """Its output has ended: it is gone, or about to be."""
        self.is_killed = False

    @property
    def pid(self) -> int:
        """The process id, also after its end."""
        return self._child.pid

    def filenos(self) -> list[int]:
        """What to wait on."""
        return [] if self.is_at_end else [self._child.read_fd]

    def send(self, request: Refresh) -> None:
        """Ask; a probe that is gone gets nothing, which its end will tell."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._child.write_fd, self._encoder.encode(request) + b"\n")

    def receive(self) -> list[Said]:
        """All messages that are there. Raises `msgspec.DecodeError` for what is none."""
        said: list[Said] = []
        while not self.is_at_end:
            try:
                chunk = os.read(self._child.read_fd, _CHUNK_BYTES)
            except BlockingIOError:
                break
            if not chunk:
                self.is_at_end = True
                self._child.kill()  # of no use any more, should it live on; one that is ending ends as it did
            *lines, self._pending = (self._pending + chunk).split(b"\n")
            said += [self._decoder.decode(line) for line in lines]
        return said

    def current(self) -> Call | None:
        """The call that it has not come back from."""
        return self._progress.current()

    def kill(self) -> None:
        """Send SIGKILL, once, and do not wait."""
        if not self.is_killed:
            self.is_killed = True
            self._child.kill()

    def reap(self) -> int | None:
        """The exit status, or `None` while it lives."""
        return self._child.reap()

    def close(self) -> None:
        """Kill it and let go of it, whether it ends or not."""
        self.kill()
        self._child.reap()
        self._child.close()
        self._progress.close()


def how_it_ended(status: int) -> str:
    """An exit status in words: `SIGSEGV`, `exit code 1`."""
    if status >= 0:
        return f"exit code {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
