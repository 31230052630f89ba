"""Starting the job's own process: its session, its limits, its end with the wrapper's, and an honest exec error."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from mltop.system.descriptor import write_all
from mltop.system.text import clean

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}  # asm/unistd
_IO_CLASS = {"realtime": 1, "best-effort": 2, "idle": 3}  # linux/ioprio.h
_IO_LEVEL = 4
NOT_FOUND = 127
NOT_EXECUTABLE = 126
WRAPPER = 125
_TOLD = 1000


class Account(NamedTuple):
    """Who a job runs as."""

    name: str
    uid: int
    gid: int
    home: str


class Plan(NamedTuple):
    """All that a child needs to know, decided before it is forked."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    workdir: str | None = None
    """`None`: where the wrapper stands."""
    account: Account | None = None
    """`None`: who the wrapper is."""
    nice: int | None = None
    io_class: str | None = None
    data_max_bytes: int | None = None
    """For each process: RLIMIT_DATA. Not the address space: a CUDA process reserves hundreds of GB of that."""
    keeps_descriptors: bool = False
    unheld: tuple[str, ...] = ()
    """Limits of the job that nothing here holds it to, in words."""


class StartError(Exception):
    """The command could not be started: the shell's exit code for it, and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def become_subreaper() -> bool:
    """Have orphans of the job given to this process, not to init, so that all that is left of it is found."""
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


Wait = Callable[[int], bool]
"""Wait until a descriptor can be read; false where it is given up."""


def start(plan: Plan, output: int, wait: Wait = lambda descriptor: True) -> tuple[int, list[str]]:
    """Fork and exec; the pid, which leads its own session and group, and what could not be applied, in words.

    `output` becomes its standard output and error. Its folder or its program may lie on a mount that hangs: where
    `wait` gives up, it is a child that has not begun yet. Raises StartError, OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # before the fork: the child only calls
    tell_read, tell_write = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started us
            with contextlib.suppress(OSError):  # full, or nobody reads it
                stream.flush()
    wrapper = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be(plan, output, tell_write, wrapper, libc)
    os.close(tell_write)
    lines = _told(tell_read, wait)
    if lines and lines[-1].startswith("!"):
        os.waitpid(pid, 0)
        code, _, reason = lines[-1][1:].partition(" ")
        raise StartError(int(code), reason)
    return pid, lines


def _told(descriptor: int, wait: Wait) -> list[str]:
    data = b""
    try:
        while wait(descriptor) and (block := os.read(descriptor, 4096)):
            data += block
    finally:
        os.close(descriptor)
    return data.decode("utf-8", "replace").splitlines()


def _be(plan: Plan, output: int, tell: int, wrapper: int, libc: ctypes.CDLL) -> NoReturn:
    """Be the child until the exec."""
    try:
        os.setsid()
        _reset_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, output), (2, output)):
            os.dup2(source, target)
        for line in _limits(plan, libc):
            _tell(tell, line)
        _become(plan.account)
        if plan.workdir is not None:
            _enter(plan.workdir)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of user, which clears it
        if os.getppid() != wrapper:
            os._exit(WRAPPER)
        if not plan.keeps_descriptors:
            _close_above_standard(tell)
        _execute(plan)
    except StartError as error:
        _tell(tell, f"!{error.code} {error}")
    except OSError as error:
        _tell(tell, f"!{WRAPPER} {error.filename or 'no process'}: {error.strerror}")
    except BaseException as error:  # noqa: BLE001 - told to the wrapper; nothing of it may run in this copy
        _tell(tell, f"!{WRAPPER} {error}")
    os._exit(WRAPPER)


def _tell(descriptor: int, line: str) -> None:
    """Tell the wrapper: on one line, whatever the names in it are made of."""
    write_all(descriptor, clean(line, _TOLD).encode() + b"\n")


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _limits(plan: Plan, libc: ctypes.CDLL) -> list[str]:
    """Apply what does not need the manager; what failed, in words."""
    failed = []
    if plan.nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, plan.nice)
        except OSError as error:
            failed.append(f"nice {plan.nice} not applied: {error.strerror}")
    if plan.io_class is not None:
        number = _IOPRIO_SET.get(os.uname().machine)
        level = 0 if plan.io_class == "idle" else _IO_LEVEL
        if number is None or libc.syscall(number, 1, 0, _IO_CLASS[plan.io_class] << 13 | level) != 0:
            failed.append(f"io_class {plan.io_class} not applied: {os.strerror(ctypes.get_errno() or errno.ENOSYS)}")
    if plan.data_max_bytes is not None:
        try:
            resource.setrlimit(resource.RLIMIT_DATA, (plan.data_max_bytes, plan.data_max_bytes))
        except (OSError, ValueError) as error:
            failed.append(f"memory_max not applied: {error}")
    return failed


def _become(account: Account | None) -> None:
    if account is None or account.uid == os.geteuid():
        return
    try:
        os.initgroups(account.name, account.gid)
        os.setgid(account.gid)
        os.setuid(account.uid)
    except OSError as error:
        raise StartError(WRAPPER, f"cannot become {account.name}: {error.strerror}") from None


def _enter(workdir: str) -> None:
    try:
        os.chdir(workdir)
    except OSError as error:
        raise StartError(WRAPPER, f"workdir {workdir}: {error.strerror}") from None


def _close_above_standard(keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, max(os.sysconf("SC_OPEN_MAX"), keep + 2))


def _execute(plan: Plan) -> NoReturn:
    program = plan.argv[0]
    if not program:
        raise StartError(NOT_FOUND, '"": command not found')
    try:
        os.execvpe(program, _bytes(plan.argv), _bytes_of(plan.environment))
    except (FileNotFoundError, NotADirectoryError):
        raise StartError(NOT_FOUND, f"{program}: command not found") from None
    except OSError as error:
        raise StartError(NOT_EXECUTABLE, f"{program}: {error.strerror}") from None


def _bytes(words: Sequence[str]) -> list[bytes]:
    return [os.fsencode(word) for word in words]


def _bytes_of(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
