"""What the cursor moves over: the rows of the GPU pane and of the process list, and what is chosen among them."""

from __future__ import annotations

from dataclasses import dataclass

from mltop.ui.layout import Place
from mltop.ui.panes.gpu import gpu_rows
from mltop.ui.panes.gpu import row_at as gpu_row_at
from mltop.ui.panes.process import Row, capacity, first_visible, row_at, rows
from mltop.ui.view import View

GPU_PAGE = 8


@dataclass(frozen=True, slots=True)
class Chosen:
    """A process as it was shown when it was chosen."""

    pid: int
    started_at: str | None
    name: str
    user: str | None
    gpu_memory_bytes: int | None


class GpuCursor:
    """The row of the GPU pane under the cursor."""

    page = GPU_PAGE

    def __init__(self, view: View) -> None:
        self._view = view

    def move(self, step: int) -> None:
        """By rows; the ends hold."""
        count = len(gpu_rows(self._view))
        self._view.gpu_cursor = max(0, min(count - 1, self._view.gpu_cursor + step))

    def click(self, x: int, y: int, place: Place) -> bool:
        """Move to the row at a cell of the pane; `False` where there is none."""
        found = gpu_row_at(self._view, y, place.width, place.height, x)
        if found is not None:
            self._view.gpu_cursor = found
        return found is not None


class ProcessCursor:
    """The process under the cursor, by id: it stays on its process when the order changes."""

    def __init__(self, view: View, place: Place | None) -> None:
        self._view = view
        self._room = capacity(place.width, place.height, view) if place is not None else 1
        self.page = max(1, self._room)

    def move(self, step: int) -> None:
        """By rows; the ends hold, and the list scrolls so that the row is visible."""
        found = rows(self._view)
        if not found:
            return
        shown = self._view.processes
        ids = [row.id for row in found]
        if shown.cursor in ids:
            at = max(0, min(len(ids) - 1, ids.index(shown.cursor) + step))
        else:
            at = first_visible(self._view, len(ids), self._room) if step > 0 else 0
            at = len(ids) - 1 if step > len(ids) else at
        shown.cursor = ids[at]
        self._show(at, len(ids))

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return next((row for row in rows(self._view) if row.id == self._view.processes.cursor), None)

    def _show(self, at: int, count: int) -> None:
        """Scroll as little as needed for the row to be visible."""
        first = first_visible(self._view, count, self._room)
        self._view.processes.offset = max(at - self._room + 1, min(first, at), 0)

    def settle(self, *, is_placed: bool) -> None:
        """Keep the cursor on its process and that on the screen; on the first row until somebody has `is_placed` it."""
        found = rows(self._view)
        if not found:
            return
        shown = self._view.processes
        ids = [row.id for row in found]
        if not is_placed or shown.cursor not in ids:
            shown.cursor = ids[first_visible(self._view, len(ids), self._room)]
        self._show(ids.index(shown.cursor), len(ids))

    def click(self, x: int, y: int, place: Place) -> bool:
        """Move to the row on line `y` of the pane; `False` where there is none."""
        del x  # a row is as wide as the pane
        found = row_at(self._view, y, place.width, place.height)
        if found is not None:
            self._view.processes.cursor = rows(self._view)[found].id
        return found is not None


def chosen(view: View) -> tuple[list[Chosen], str | None]:
    """The processes a signal would go to: the tagged ones, else the one under the cursor; or why there are none."""
    shown = view.processes
    if view.is_demo:
        return [], "the demo's processes are not real"
    if shown.by_user:
        return [], "choose a process: u leaves the sums by user"
    wanted = shown.tagged or ({shown.cursor} if shown.cursor is not None else set())
    found = [row for row in rows(view) if row.id in wanted]
    if not found:
        return [], "no process under the cursor"
    foreign = [row for row in found if row.pid is None or row.pid <= 0 or row.status == "absent"]
    if foreign:
        return [], "a process of another container cannot be signalled from here"
    return [
        Chosen(row.pid, row.started_at, row.command or row.name or "?", row.user, row.gpu_memory_bytes)
        for row in found
        if row.pid is not None
    ], None
