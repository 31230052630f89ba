"""This box's sampler as a child of the dashboard: forked before anything heavy is imported, spoken to by pipes."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import tempfile
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import msgspec

from mltop.model.request import Request
from mltop.system.process import set_name

if TYPE_CHECKING:
    from mltop.sampling.stream import Paced

_PIPE_BYTES = 1 << 20
"""Room for many snapshots, so that the sampler's write never waits for a busy dashboard."""
_F_SETPIPE_SZ = 1031


class LocalSource:
    """The dashboard's end of a sampler of its own.

    Forked rather than started afresh: it shares the parent's pages and is sampling while the parent still imports
    Textual. It is in a session of its own (a Ctrl-C or Ctrl-Z is the dashboard's alone) and ends when its pipes do.
    """

    def __init__(self, interval_s: float, make: Callable[[], Paced]) -> None:
        """`make` makes the sampler, in the child; what it imports is not loaded here."""
        self._encoder = msgspec.json.Encoder()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read after the child's death
        out_read, out_write = os.pipe()
        control_read, control_write = os.pipe()
        gc.collect()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(out_read)
            os.close(control_write)
            _be_sampler(control_read, out_write, self._errors.fileno(), interval_s, make)
        gc.unfreeze()
        os.close(out_write)
        os.close(control_read)
        os.set_blocking(out_read, False)
        os.set_blocking(control_write, False)
        _widen(out_read)
        self._out = out_read
        self._control = control_write

    def fileno(self) -> int:
        """Where snapshots come from, as JSON lines; end of file means that the sampler is gone."""
        return self._out

    def send(self, request: Request) -> None:
        """Ask the sampler for something else. A sampler that is stuck or gone gets nothing, and nobody waits."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._control, self._encoder.encode(request) + b"\n")

    def trouble(self) -> str | None:
        """Why the sampler ended, in a line; `None` while it lives or where it left no word."""
        ended, status = _reap(self.pid)
        if not ended:
            return None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        return f"the sampler ended ({how})" + (f": {lines[-1]}" if lines else "")

    def close(self) -> None:
        """End the sampler without waiting for it: the closed pipes end it, SIGTERM hurries it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        for fd in (self._out, self._control):
            os.close(fd)
        self._errors.close()
        _reap(self.pid)


def _reap(pid: int) -> tuple[bool, int]:
    """Whether the child has ended, and its exit code (negative: the signal), without waiting."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True, 0
    return ended != 0, os.waitstatus_to_exitcode(status) if ended else 0


def _widen(fd: int) -> None:
    import fcntl

    with contextlib.suppress(OSError):  # beyond /proc/sys/fs/pipe-max-size for a plain user
        fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)


def this_box(expected_gpus: int | None) -> Paced:
    """The sampler of this box."""
    from mltop.sampling.root import Roots
    from mltop.sampling.sampler import Sampler

    return Sampler(Roots.from_environment(), expected_gpus=expected_gpus)


def _be_sampler(control: int, out: int, errors: int, interval_s: float, make: Callable[[], Paced]) -> NoReturn:
    """The child: `mltop --stream --control` without the exec. Never returns."""
    code = 1
    try:
        os.setsid()
        for target, fd in ((0, control), (1, out), (2, errors)):
            os.dup2(fd, target)
        os.closerange(3, 256)
        set_name("mltop-sampler")
        signal.set_wakeup_fd(-1)  # that of the dashboard's loop, where it starts a second sampler
        for number in (signal.SIGINT, signal.SIGTSTP, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        from mltop.sampling.stream import Stream

        sampler = make()
        signal.signal(signal.SIGTERM, lambda *_: _leave(sampler))
        signal.signal(signal.SIGHUP, lambda *_: _leave(sampler))
        try:
            Stream(sampler, out=1, interval_s=interval_s, control=0).run()
        finally:
            sampler.close()
        code = 0
    except BaseException:  # noqa: BLE001 - the last frame of a forked child: nothing may escape into the parent's code
        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(code)


def _leave(sampler: Paced) -> NoReturn:
    sampler.close()
    os._exit(0)
