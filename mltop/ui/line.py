"""A line of the screen before Textual sees it: spans of text, each with a role that the theme turns into a style."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a span says; colour never says it alone (a word or a symbol stands beside it)."""

    TEXT = "text"
    DIM = "dim"
    """Secondary text, units, placeholders."""
    LABEL = "label"
    """Column heads and names of numbers."""
    TITLE = "title"
    FRAME = "frame"
    """Borders and rules."""
    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    STALE = "stale"
    """A value older than 3 of its cadence."""
    KEY = "key"
    """A key's name in the footer."""
    CURSOR = "cursor"
    """The row under the cursor (reverse video)."""
    TAGGED = "tagged"
    TRACK = "track"
    """The empty part of a bar."""
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    DISK = "disk"
    NETWORK = "network"


Span = tuple[str, Role]
Line = list[Span]
"""Spans from left to right; shorter than the pane's width is padded by the widget, longer is cut."""
