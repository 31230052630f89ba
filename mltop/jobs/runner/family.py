"""All that a run started: every descendant of the wrapper, which is their subreaper, so that none can hide."""

from __future__ import annotations

import contextlib
import os
import signal

from mltop.jobs.runner import alive

ABANDONED = ("mltop-probe", "mltop-reader", "mltop-services", "mltop-m-")
"""How names begin of what mltop gave up on purpose, stuck with the driver or a mount: no survivors of a job (D3)."""


def descendants() -> list[int]:
    """Living descendants of this process, parents first; without zombies and without what was abandoned."""
    children: dict[int, list[int]] = {}
    states: dict[int, bytes] = {}
    for pid in alive.processes():
        if fields := alive.stat_fields(pid):
            children.setdefault(int(fields[1]), []).append(pid)
            states[pid] = fields[0]
    found: list[int] = []
    ahead = children.get(os.getpid(), [])
    for pid in ahead:  # grows as it goes
        ahead += children.get(pid, [])
        if states[pid] not in (b"Z", b"X") and not alive.name(pid).startswith(ABANDONED):
            found.append(pid)
    return found


def send(number: int, group: int | None) -> None:
    """Send a signal to a group and to every descendant outside of it. A stopped one is woken, so that it can end.

    `group` is `None` once its leader was reaped: the number may be another's then.
    """
    if group is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)
    for pid in descendants():
        fields = alive.stat_fields(pid)
        if fields is None or int(fields[2]) == group:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)
