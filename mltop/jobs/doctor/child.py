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
    """All looks at once, in their order; one that does not come back is a symptom of its own. One thread only (D1)."""
    started = {name: fork_child(_child(look)) for name, look in looks.items()}
    answers = _collected(started, time.monotonic() + deadline_s)
    for child in started.values():
        child.leave()
    reap_children()
    return [_report(name, answers[name], deadline_s) for name in looks]


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
            why = clean(msgspec.json.decode(data, type=str), 300)
            return Report((unknown(name, f"could not be looked at: {why}", "mltop config check may say more"),))
    return Report((unknown(name, "the look ended without an answer", "try again; is memory or pids short?"),))
