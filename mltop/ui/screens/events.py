"""Events: what changed while the dashboard was open, newest first (M37)."""

from __future__ import annotations

from mltop.model.event import Event
from mltop.model.finding import Level
from mltop.ui.format import clip, left
from mltop.ui.line import Line, Role
from mltop.ui.screens.page import PageScreen

_ROLES = {Level.OK: Role.OK, Level.UNKNOWN: Role.STALE, Level.WARNING: Role.WARNING, Level.CRITICAL: Role.CRITICAL}
_WORDS = {Level.OK: "ok", Level.UNKNOWN: "UNKN", Level.WARNING: "WARN", Level.CRITICAL: "CRIT"}


class EventsScreen(PageScreen):
    """Time, item, from and to."""

    heading = "Events"

    def content(self, width: int) -> list[Line]:
        """The list, or that there is nothing in it."""
        events = self.dashboard.session.events
        if not events:
            return [[("   Nothing has changed since the dashboard was opened.", Role.DIM)]]
        return [_line(event, width) for event in reversed(events)]


def _line(event: Event, width: int) -> Line:
    from mltop.ui.format import clock

    line: Line = [
        (f" {clock(event.time)}{event.time[16:19]} ", Role.DIM),
        (f"{_WORDS[event.level]:<5}", _ROLES[event.level]),
        (left(event.item, min(24, max(8, width // 4))) + " ", Role.TITLE),
    ]
    room = max(0, width - sum(len(text) for text, _ in line))
    line.append((clip(f"{event.from_} -> {event.to}", room), Role.TEXT))
    return line
