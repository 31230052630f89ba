"""Children that can be abandoned: forked, detached from everything, killed but never waited for (D1).

A driver call or a dead mount can hold a process in a state that no signal ends. So whoever asks such a thing does it in
a child that shares nothing with its parent but two pipes, and the parent goes on, whatever the child does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import select
import signal
import time
from collections.abc import Callable
from functools import cache
from typing import NoReturn

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

STUCK_AT = "mltop-m-"
"""How the name of such a child begins."""
ChildMain = Callable[[int, int], object]
"""What a child runs: called with the fd to read requests from and the fd to write answers to (both blocking)."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, argument: object) -> bool:
    """Call prctl(2); False where the C library or the kernel does not have it."""
    try:
        return bool(_libc().prctl(option, argument, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def set_name(name: str) -> bool:
    """Set the `comm` of this process (the kernel keeps 15 bytes of it); whether that went well."""
    return _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def name_at(path: bytes) -> str:
    """The name for a child that may be stuck at a path for ever, by which later runs find it there (D2)."""
    from mltop.system.digest import sha256_hex

    return f"{STUCK_AT}{sha256_hex(path)[:7]}"


def die_with_parent(parent: int | None = None) -> bool:
    """Have the kernel send SIGKILL to this process when its parent ends; exits where `parent` is gone."""
    done = _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if parent is not None and os.getppid() != parent:
        os._exit(0)
    return done


class Child:
    """The parent's end of a forked child. Nothing here blocks, but for what is told how long."""

    def __init__(self, pid: int, read_fd: int, write_fd: int) -> None:
        self.pid = pid
        self.read_fd = read_fd
        """Answers of the child; non-blocking."""
        self.write_fd = write_fd
        """Requests to the child; non-blocking."""
        self.exit_status: int | None = None
        """Once reaped: the exit code, or minus the signal; 255 where somebody else took it."""
        self._is_open = True

    def kill(self) -> None:
        """Send SIGKILL, and do not wait. A child that is stuck in the kernel outlives it for as long as it is stuck."""
        if self.exit_status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)

    def heard(self, limit_s: float) -> bytes | None:
        """All that it says until it ends, or closes its pipe; `None` where that takes longer than so many seconds."""
        deadline, said = time.monotonic() + limit_s, bytearray()
        poller = select.poll()
        poller.register(self.read_fd, select.POLLIN)
        while poller.poll(1000 * max(0.0, deadline - time.monotonic())):
            if not (block := os.read(self.read_fd, 1 << 16)):
                return bytes(said)
            said += block
        return None

    def reap(self) -> int | None:
        """Return `exit_status` where the child is gone, `None` while it lives."""
        if self.exit_status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.exit_status = 255
            else:
                self.exit_status = os.waitstatus_to_exitcode(status) if pid else None
        return self.exit_status

    def close(self) -> None:
        """Close the parent's ends of the pipes; a child that listens reads the end of its input."""
        if self._is_open:
            self._is_open = False
            os.close(self.read_fd)
            os.close(self.write_fd)

    def leave(self) -> None:
        """Be done with it: kill it and what it started, let go of its pipes, collect it where it has ended by now.

        One that ends a moment later is a zombie until `reap`, `reap_children` or the end of this process.
        """
        if self.exit_status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # it leads a session, or is about to
        self.kill()
        self.close()
        self.reap()


def reap_children(patience_s: float = 0.1) -> None:
    """Collect the killed children of a process that is about to end; one that is stuck in the kernel is left.

    Where nobody reaps orphans (a container without an init), a child that its parent does not collect stays for ever.
    """
    deadline = time.monotonic() + patience_s
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))  # from here on none is missed
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                signal.sigtimedwait((signal.SIGCHLD,), left_s)
    except ChildProcessError:
        pass  # there is none left
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork_child(main: ChildMain) -> Child:
    """Fork a child that runs `main(read_fd, write_fd)` and ends; the caller must have one thread only (D1).

    The child leads its own session, has /dev/null as fds 0 to 2, no other fd than its two pipes, no signal handler of
    its parent, ignores SIGINT, and dies with its parent. It exits 0, or 1 where `main` raised. Raises OSError where
    there is no process or fd left.
    """
    request_read, request_write = os.pipe()
    try:
        answer_read, answer_write = os.pipe()
    except OSError:
        _close(request_read, request_write)
        raise
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        _close(request_read, request_write, answer_read, answer_write)
        raise
    if pid == 0:
        _run(main, parent, request_read, answer_write)
    _close(request_read, answer_write)
    os.set_blocking(answer_read, False)
    os.set_blocking(request_write, False)
    return Child(pid, answer_read, request_write)


def _run(main: ChildMain, parent: int, read_fd: int, write_fd: int) -> NoReturn:
    """Be the child; nothing that the parent registered (exit handlers, finally blocks) may run here."""
    code = 1
    try:
        gc.freeze()  # keeps the collector from touching, and so copying, every page of the parent
        read_fd, write_fd = _above_standard(read_fd), _above_standard(write_fd)
        _detach(parent, keep=(read_fd, write_fd))
        main(read_fd, write_fd)
        code = 0
    finally:
        os._exit(code)


def _above_standard(fd: int) -> int:
    """A parent that was started with a closed standard stream gets that number for its pipe: move it out of the way."""
    return fd if fd > 2 else fcntl.fcntl(fd, fcntl.F_DUPFD, 3)


def _detach(parent: int, keep: tuple[int, ...]) -> None:
    die_with_parent(parent)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    _close_all_but({0, 1, 2, *keep})


def _close_all_but(keep: set[int]) -> None:
    low = 0
    for fd in sorted(keep | {max(os.sysconf("SC_OPEN_MAX"), max(keep) + 1)}):
        if low < fd:  # closerange(0, 0) would close everything
            os.closerange(low, fd)  # close_range(2) where the kernel has it
        low = fd + 1


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
