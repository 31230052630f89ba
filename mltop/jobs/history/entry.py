"""A run as it is stored: the record, and who ran it, so that a lost run can be told from a running one.

A named tuple, not msgspec's: the wrapper writes it without the time that msgspec takes to load (J26).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from mltop.jobs.runner import alive
from mltop.model.run_state import RunState

if TYPE_CHECKING:
    from mltop.model.job import Run


class Entry(NamedTuple):
    """The fields of `mltop.model.job.Run`, in its order, then the wrapper's.

    `pid` means something in its own namespace and boot only.
    """

    id: str
    job: str
    trigger: str | None = None
    scheduled_for: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    state: RunState = RunState.RUNNING
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    log_path: str | None = None
    log_bytes: int | None = None
    last_error_line: str | None = None
    host: str | None = None
    boot_id: str | None = None
    pid: int = 0
    start_ticks: int | None = None
    pid_namespace: int = 0

    @classmethod
    def of(cls, run: Run | Entry, pid: int = 0, start_ticks: int | None = None, pid_namespace: int = 0) -> Entry:
        """The entry of a run whose wrapper is that process."""
        return cls._make([*(getattr(run, name) for name in RUN_FIELDS), pid, start_ticks, pid_namespace])

    @classmethod
    def of_this_process(cls, run: Run | Entry) -> Entry:
        """The entry of a run whose wrapper is this process."""
        pid = os.getpid()
        return cls.of(run, pid, alive.start_ticks(pid), alive.pid_namespace())

    def document(self) -> dict[str, Any]:
        """The run alone, as JSON has it."""
        return dict(zip(RUN_FIELDS, self, strict=False))

    def run(self) -> Run:
        """The run alone; raises ValueError for a row that no mltop wrote."""
        import msgspec

        from mltop.model.job import Run

        return msgspec.convert(self.document(), Run)  # ValidationError is a ValueError

    def as_lost(self, reason: str) -> Entry:
        """The same as a run whose end nobody saw."""
        return self._replace(state=RunState.LOST, reason=reason)


WHO_FIELDS = ("pid", "start_ticks", "pid_namespace")
RUN_FIELDS = Entry._fields[: -len(WHO_FIELDS)]


def lost_reason(entry: Entry, is_lock_free: Callable[[], bool]) -> str | None:
    """Why a `running` run is lost; `None` while its wrapper lives. `is_lock_free` decides where pids do not."""
    if entry.boot_id and (boot := alive.boot_id()) and entry.boot_id != boot:
        return "the machine was restarted while it ran"
    if entry.pid_namespace and entry.pid_namespace != alive.pid_namespace():
        return "its wrapper is gone, with the container that it ran in" if is_lock_free() else None
    if alive.is_alive(entry.pid, entry.start_ticks):
        return None
    left = alive.of_run(entry.id)
    return "its wrapper was killed" + (f"; still running: {listed(left)}" if left else "")


def listed(pids: list[int]) -> str:
    """Processes for people, by pid and name, at most five."""
    from mltop.system.text import clean

    words = [f"{pid} ({clean(alive.name(pid) or '?', 15)})" for pid in pids[:5]]
    return ", ".join(words) + (f" and {len(pids) - 5} more" if len(pids) > 5 else "")
