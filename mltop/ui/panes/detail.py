"""Whole screens: one GPU with every number in words, and the list of events."""

from __future__ import annotations

from mltop.ui.line import Line
from mltop.ui.view import View


def gpu_detail(view: View, key: str, width: int, height: int) -> list[Line]:
    """Every number of the snapshot about the GPU with that uuid or bus id, its graphs and its processes."""
    return []
