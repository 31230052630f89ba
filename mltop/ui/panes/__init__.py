"""The panes: each a pure function from the view and a size to lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mltop.ui.graph import ascii_only
from mltop.ui.line import Line, cut
from mltop.ui.panes import cpu, disk, footer, gpu, header, jobs, memory, network, process, summary
from mltop.ui.view import View

Draw = Callable[[View, int, int], list[Line]]


def _bounded(draw: Draw) -> Draw:
    """The pane's lines, at most `height` of at most `width` cells, in ASCII where that is asked for."""

    def bounded(view: View, width: int, height: int) -> list[Line]:
        if width < 1 or height < 1:
            return []
        lines = [cut(line, width) for line in draw(view, width, height)[:height]]
        return ascii_only(lines) if view.graphs == "ascii" else lines

    return bounded


DRAW: Mapping[str, Draw] = {
    name: _bounded(module.draw)
    for name, module in (
        ("header", header), ("cpu", cpu), ("memory", memory), ("gpu", gpu), ("disk", disk), ("network", network),
        ("jobs", jobs), ("process", process), ("footer", footer), ("summary", summary),
    )
}  # fmt: skip
"""`(view, width, height)` to at most `height` lines, each at most `width` cells, by the pane's name."""
