"""The one line of jobs."""

from __future__ import annotations

from mltop.ui.format import clip
from mltop.ui.line import Line, Role
from mltop.ui.view import View


def draw(view: View, width: int, height: int) -> list[Line]:
    """The jobs line, as it was handed in."""
    if not view.jobs_line or height < 1:
        return []
    return [[(" JOBS ", Role.LABEL), (clip(view.jobs_line, max(0, width - 7)), Role.TEXT)]]
