"""All about one GPU: every number of the snapshot in words, graphs, its processes (M7)."""

from __future__ import annotations

from mltop.model.identity import gpu_identity, gpu_label
from mltop.ui.line import Line, Role
from mltop.ui.panes.detail import gpu_detail
from mltop.ui.screens.page import PageScreen

TALL = 400
"""Rows that the drawing may take; the page scrolls over them."""


class GpuScreen(PageScreen):
    """Follows its GPU by identity: the card stays when another is lost."""

    shows_pcie = True

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.identity = identity

    def content(self, width: int) -> list[Line]:
        """The drawing, without empty rows at its end."""
        lines = gpu_detail(self.view, self.identity, width, TALL)
        while lines and not any(text.strip() for text, _ in lines[-1]):
            lines.pop()
        return lines

    def title_line(self) -> Line:
        """Which GPU, of which model."""
        gpus = self.view.snapshot.gpus if self.view.snapshot else ()
        gpu = next((gpu for gpu in gpus if gpu_identity(gpu) == self.identity), None)
        name = f"{gpu_label(gpu)} · {gpu.name or 'GPU'}" if gpu else f"{self.identity} is not listed any more"
        return [(" ", Role.TEXT), (name, Role.TITLE)]
