"""A process that is killed before the Nth thing that others would see of it: as by `kill -9`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

_EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.link"})


Step = Callable[[str, tuple[object, ...]], bool]
"""Whether an audit event (PEP 578), which Python tells before the system call is made, is one to die before."""


def _is_step(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether something takes its place, goes, is appended, or is told to a program that does not only look."""
    if event == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & os.O_APPEND)
    if event == "subprocess.Popen":
        return "-l" not in arguments[1]  # type: ignore[operator]
    return event in _EVENTS


def killed_before(count: int, do: Callable[[], object], is_step: Step = _is_step) -> bool:
    """Do something in a child that dies before its so many-th step; whether it died, and did not end first."""
    child = os.fork()
    if child == 0:
        left = count

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if is_step(event, arguments):
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 99
        try:
            sys.addaudithook(watch)
            do()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"it failed: {code}"
    return code != 0
