"""Looks that may hang (a dead mount, a manager that does not answer), each in a child that is left behind in time."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Mapping

import msgspec

from mltop.jobs.doctor.symptom import Report, fault, unknown
from mltop.jobs.site import SiteError
from mltop.system.descriptor import write_all
from mltop.system.process import Child, fork_child, reap_children, set_name
from mltop.system.text import clean

DEADLINE_S = 12.0
"""Twice what one program is given to answer, and a little."""
Look = Callable[[], Report]


def reports(looks: Mapping[str, Look], deadline_s: float = DEADLINE_S) -> list[Report]:
    """All looks at once, in their order; one that does not come back is a symptom of its own. One thread only (D1).

    Where there are not as many processes or files, the rest follow when those have ended.
    """
    deadline = time.monotonic() + deadline_s
    found: dict[str, Report] = {}
    waiting = dict(looks)
    while waiting:
        started, why = _started(waiting)
        if not started:
            found |= {name: _unable(name, why, "raise the limits of open files and of processes") for name in waiting}
            break
        found |= {name: _report(name, data, deadline_s) for name, data in _collected(started, deadline).items()}
        for name, child in started.items():
            child.leave()
            del waiting[name]
    reap_children()
    return [found[name] for name in looks]


def _started(looks: Mapping[str, Look]) -> tuple[dict[str, Child], str]:
    """As many as can be, and why not more."""
    started: dict[str, Child] = {}
    try:
        for name, look in looks.items():
            _check_room()
            started[name] = fork_child(_child(look))
    except OSError as error:
        return started, error.strerror or str(error)
    return started, ""


def _check_room() -> None:
    """Raise OSError where a child would be forked and have no file left to begin with: it opens one, and its pipes."""
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def _child(look: Look) -> Callable[[int, int], object]:
    def main(_: int, write: int) -> None:
        set_name("mltop-doctor")
        try:
            answer = msgspec.json.encode(look())
        except SiteError:
            where = fault("state.home", "there is no HOME to keep state in", "set HOME, or give --state-dir")
            answer = msgspec.json.encode(Report((where,)))
        except Exception as error:  # noqa: BLE001 - whatever it is, this part could not be looked at, and that is said
            answer = msgspec.json.encode(f"{type(error).__name__}: {error}")
        write_all(write, answer)

    return main


def _collected(started: Mapping[str, Child], deadline: float) -> dict[str, bytes | None]:
    """What each said to its end; `None` for one that did not come to it."""
    open_ends = {child.read_fd: name for name, child in started.items()}
    said = dict.fromkeys(started, b"")
    while open_ends and (left_s := deadline - time.monotonic()) > 0:
        for fd in select.select(list(open_ends), [], [], left_s)[0]:
            with contextlib.suppress(BlockingIOError):
                data = os.read(fd, 1 << 16)
                said[open_ends[fd]] += data
                if not data:
                    del open_ends[fd]
    late = set(open_ends.values())
    return {name: None if name in late else data for name, data in said.items()}


def _report(name: str, data: bytes | None, deadline_s: float) -> Report:
    if data is None:
        why = f"no answer within {deadline_s:g} s"
        return Report((unknown(name, why, "look for a mount or a service that hangs"),))
    try:
        return msgspec.json.decode(data, type=Report)
    except msgspec.MsgspecError:
        with contextlib.suppress(msgspec.MsgspecError):
            return _unable(name, clean(msgspec.json.decode(data, type=str), 300), "mltop config check may say more")
    return Report((unknown(name, "the look ended without an answer", "try again; is memory or pids short?"),))


def _unable(name: str, why: str, remedy: str) -> Report:
    return Report((unknown(name, f"could not be looked at: {why}", remedy),))
