"""A run as it is stored: the record, and who ran it, so that a lost run can be told from a running one."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from mltop.jobs.runner import alive
from mltop.model.job import Run, RunState


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run and its wrapper; `pid` means something in its own namespace and boot only."""

    run: Run
    pid: int = 0
    start_ticks: int | None = None
    pid_namespace: int = 0

    @classmethod
    def of_this_process(cls, run: Run) -> Entry:
        """The entry of a run whose wrapper is this process."""
        pid = os.getpid()
        return cls(run=run, pid=pid, start_ticks=alive.start_ticks(pid), pid_namespace=alive.pid_namespace())


def lost_reason(entry: Entry, is_lock_free: Callable[[], bool]) -> str | None:
    """Why a `running` run is lost; `None` while its wrapper lives. `is_lock_free` decides where pids do not."""
    if entry.run.boot_id and (boot := alive.boot_id()) and entry.run.boot_id != boot:
        return "the machine was restarted while it ran"
    if entry.pid_namespace and entry.pid_namespace != alive.pid_namespace():
        return "its wrapper is gone, with the container that it ran in" if is_lock_free() else None
    if alive.is_alive(entry.pid, entry.start_ticks):
        return None
    left = alive.of_run(entry.run.id)
    return "its wrapper was killed" + (f"; still running: {listed(left)}" if left else "")


def listed(pids: list[int]) -> str:
    """Processes for people, by pid and name, at most five."""
    from mltop.system.text import clean

    words = [f"{pid} ({clean(alive.name(pid) or '?', 15)})" for pid in pids[:5]]
    return ", ".join(words) + (f" and {len(pids) - 5} more" if len(pids) > 5 else "")


def as_lost(run: Run, reason: str) -> Run:
    """A run whose end nobody saw."""
    return msgspec.structs.replace(run, state=RunState.LOST, reason=reason)
