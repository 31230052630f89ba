"""Events: what changed while the dashboard was open, newest first (M37)."""

from __future__ import annotations

from mltop.model.event import Event
from mltop.model.finding import Level
from mltop.ui.format import clip_left, fold, left
from mltop.ui.line import Line, Role, width_of
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
        return [line for event in reversed(events) for line in _lines(event, width)]


def _lines(event: Event, width: int) -> list[Line]:
    """What happened, on as many rows as its words need."""
    from mltop.ui.format import clock

    room = min(24, max(8, width // 4))
    name = clip_left(event.item, room) if event.item.startswith("/") else event.item
    line: Line = [
        (f" {clock(event.time)}{event.time[16:19]} ", Role.DIM),
        (f"{_WORDS[event.level]:<5}", _ROLES[event.level]),
        (left(name, room) + " ", Role.TITLE),
    ]
    indent = width_of(line)
    first, *more = fold(f"{event.from_} -> {event.to}", max(8, width - indent))
    return [[*line, (first, Role.TEXT)], *([(" " * indent, Role.TEXT), (part, Role.TEXT)] for part in more)]
