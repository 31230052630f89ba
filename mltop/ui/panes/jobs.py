"""The one line of jobs."""

from __future__ import annotations

from mltop.ui.line import Line, Pen, Role, cut
from mltop.ui.view import View

_ROLES = {"✓": Role.OK, "✗": Role.CRITICAL, "T": Role.CRITICAL, "!": Role.CRITICAL, "?": Role.CRITICAL, ">": Role.KEY}
"""By the mark that a part begins with."""


def draw(view: View, width: int, height: int) -> list[Line]:
    """The jobs line, as it was handed in; each mark in its colour."""
    if not view.jobs_line or height < 1:
        return []
    pen = Pen().put(" JOBS ", Role.LABEL)
    for index, part in enumerate(view.jobs_line.split("  ")):
        mark, blank, rest = part.partition(" ")
        pen.put("  " if index else "").put(mark, _ROLES.get(mark, Role.DIM)).put(blank + rest)
    return [cut(pen.line, width)]
