"""What the dashboard knows: the view the panes draw from, what happened, and what was asked of the sampler.

No Textual here. Times are handed in: `at` is seconds of the monotonic clock.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from mltop.model.event import Event
from mltop.model.finding import Finding
from mltop.model.request import Request
from mltop.model.snapshot import Snapshot
from mltop.ui.view import View

MAX_EVENTS = 1000
SILENT_INTERVALS = 2.0
"""A sampler that is later than this many of its intervals is called silent."""
DEFAULT_INTERVAL_S = 2.0

Judge = Callable[[Snapshot], tuple[Finding, ...]]
Changes = Callable[[Snapshot | None, Snapshot, tuple[Finding, ...], tuple[Finding, ...]], list[Event]]


class Session:
    """One run of the dashboard on one source."""

    def __init__(self, view: View, judge: Judge, changes: Changes, *, at: float) -> None:
        self.view = view
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.history = view.history
        self.is_lost = False
        """The source has ended: there will be no more snapshots from it."""
        self._judge = judge
        self._changes = changes
        self._latest: Snapshot | None = None
        self._findings: tuple[Finding, ...] = ()
        self._heard_at = at
        self._asked: Request | None = None

    def take(self, snapshot: Snapshot, at: float) -> bool:
        """Take a new snapshot; `True` when the screen shows it, which it does not while paused."""
        findings = self._judge(snapshot)
        self.events.extend(self._changes(self._latest, snapshot, self._findings, findings))
        self._latest, self._findings = snapshot, findings
        self.history.add(snapshot, epoch(snapshot.time))
        self._heard_at = at
        self.is_lost = False
        view = self.view
        view.trouble = None
        view.silent_s = 0.0
        if view.paused:
            return False
        view.snapshot, view.findings = snapshot, findings
        return True

    def lose(self, reason: str | None, *, is_final: bool) -> None:
        """The source is in trouble; a final one ends."""
        self.view.trouble = reason
        self.is_lost = self.is_lost or is_final

    def reopen(self, at: float) -> None:
        """A new source begins where the lost one ended; it has to be told what the screen shows."""
        self.is_lost = False
        self.view.trouble = None
        self._heard_at = at
        self._asked = None

    def check_silence(self, at: float) -> bool:
        """Measure how long the sampler has been silent; `True` when what is shown changed by it."""
        interval = self._latest.interval_s if self._latest else None
        interval = interval or DEFAULT_INTERVAL_S
        late = at - self._heard_at - interval
        silent = float(int(late)) if late > interval * (SILENT_INTERVALS - 1) else 0.0
        if silent == self.view.silent_s:
            return False
        self.view.silent_s = silent
        return True

    def pause(self, *, paused: bool) -> None:
        """Freeze what is shown, graphs included, or show the latest again."""
        view = self.view
        view.paused = paused
        view.history = copy.deepcopy(self.history) if paused else self.history
        if not paused and self._latest is not None:
            view.snapshot, view.findings = self._latest, self._findings

    def wanted(self, *, limit: int, pcie: bool) -> Request | None:
        """What the sampler has to be told for this view; `None` when it knows already."""
        processes = self.view.processes
        wanted = Request(filter=processes.filter, sort=processes.sort, invert=processes.invert, limit=limit, pcie=pcie)
        if wanted == self._asked:
            return None
        self._asked = wanted
        return wanted


def epoch(time_text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; now, where it is none."""
    try:
        return datetime.fromisoformat(time_text).timestamp()
    except ValueError:
        return time.time()
