"""The Monitor: panes placed by `arrange`, drawn by `DRAW`, moved through by keys and mouse. It decides nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from mltop.model.identity import gpu_identity
from mltop.ui.command import bindings
from mltop.ui.commands import MONITOR
from mltop.ui.layout import Place, arrange
from mltop.ui.line import Line, Role
from mltop.ui.panes import DRAW
from mltop.ui.panes.footer import hints
from mltop.ui.panes.gpu import gpu_rows
from mltop.ui.screens.process_list import ProcessListScreen
from mltop.ui.screens.rows import GpuCursor, ProcessCursor
from mltop.ui.widgets.line_pane import LinePane, PaneClicked, PaneScrolled

if TYPE_CHECKING:
    pass

FOCUSABLE = ("process", "gpu", "cpu", "memory", "disk", "network")
"""In the order of Tab, as far as they are on the screen."""
ZOOMS_S = (60.0, 300.0, 900.0, 3600.0, 10800.0, 21600.0)
MAX_PROCESSES = 200
WHEEL_ROWS = 3


class PlacesLayout(Layout):
    """Puts each pane where `arrange` wants it, and the filter line over the footer."""

    name = "places"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Place the children of a `MonitorScreen`."""
        assert isinstance(parent, MonitorScreen)
        regions = parent.place(size)
        return [
            WidgetPlacement(regions[child.id], NULL_OFFSET, NULL_SPACING, child, order)
            for order, child in enumerate(children)
            if child.id in regions
        ]


class MonitorScreen(ProcessListScreen, inherit_bindings=False):
    """CPU, memory, disks, GPUs and processes, live."""

    BINDINGS = bindings(MONITOR)
    commands = MONITOR

    def __init__(self) -> None:
        super().__init__()
        self._layout = PlacesLayout()
        self._places: list[Place] = []
        self._panes = {pane: LinePane(pane) for pane in DRAW}
        self._is_placed = False
        """Whether the cursor was moved: until then it stays on the first row, whichever process that is."""

    @property
    def layout(self) -> Layout:
        """How the panes are placed."""
        return self._layout

    def compose(self) -> ComposeResult:
        """All panes; those without a place are not on the screen."""
        yield from self._panes.values()

    # -- drawing -----------------------------------------------------------------------------------------------

    def place(self, size: Size) -> dict[str, Region]:
        """Where the panes are at a size, by their widgets' ids; draws them, so that they never show an old drawing."""
        self._places = arrange(self.view, size.width, size.height)
        self._settle_focus()
        self._draw()
        regions = {f"pane-{place.pane}": Region(*place[1:]) for place in self._places}
        if self.filter_line is not None:
            regions["filter"] = Region(1, size.height - 1, max(1, size.width - 1), 1)
        return regions

    def redraw(self) -> None:
        """Draw the view as it is now, with another arrangement if it needs one."""
        if arrange(self.view, *self.size) != self._places:
            self._panes["header"].refresh(layout=True)  # of a child: a screen's own would reuse the old arrangement
        else:
            self._draw()
        self._ask()

    def _draw(self) -> None:
        ProcessCursor(self.view, self.place_of("process")).settle(is_placed=self._is_placed)
        for place in self._places:
            self._panes[place.pane].update(self._lines(place))

    def _lines(self, place: Place) -> list[Line]:
        if place.pane == "footer":
            if self.filter_line is not None:
                return [[("/", Role.KEY)]]
            if self.dashboard.note:
                return [[(" ", Role.TEXT), (self.dashboard.note, Role.TITLE)]]
        return DRAW[place.pane](self.view, place.width, place.height)

    def _ask(self) -> None:
        """Tell the sampler what is on the screen now."""
        processes = self.place_of("process")
        rows = processes.height if processes else 0
        wanted = min(MAX_PROCESSES, -(-(self.view.processes.offset + 2 * rows) // 20) * 20)
        request = self.dashboard.session.wanted(limit=wanted, pcie=self.dashboard.shows_pcie)
        if request is not None:
            self.dashboard.request(request)

    def place_of(self, pane: str) -> Place | None:
        """Where a pane is, if it is on the screen."""
        return next((place for place in self._places if place.pane == pane), None)

    # -- focus -------------------------------------------------------------------------------------------------

    def _focusable(self) -> list[str]:
        shown = {place.pane for place in self._places}
        return [pane for pane in FOCUSABLE if pane in shown]

    def _settle_focus(self) -> None:
        """The focus is always on a pane that is there; at first on the processes."""
        panes = self._focusable()
        if self.view.focus not in panes:
            self.view.focus = "process" if "process" in panes else (panes[0] if panes else None)

    def action_focus_pane(self, step: int) -> None:
        """To the next pane."""
        panes = self._focusable()
        if panes:
            at = panes.index(self.view.focus) if self.view.focus in panes else 0
            self.view.focus = panes[(at + step) % len(panes)]
            self.redraw()

    # -- moving ------------------------------------------------------------------------------------------------

    @property
    def _cursor(self) -> GpuCursor | ProcessCursor:
        if self.view.focus == "gpu":
            return GpuCursor(self.view)
        place = self.place_of("process")
        return ProcessCursor(self.view, place)

    def _move(self, rows: int) -> None:
        self._is_placed = self._is_placed or self.view.focus == "process"
        self._cursor.move(rows)
        self.redraw()

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._move(pages * max(1, self._cursor.page - 1))

    def action_edge(self, side: int) -> None:
        """Move the cursor to the first or the last row."""
        self._move(side * 1_000_000)

    # -- the view ----------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """One level back: the filter line, the full screen, the filter, the tags. Never the end."""
        view = self.view
        if self.filter_line is not None:
            self.close_filter()
        elif self.dashboard.note:
            self.dashboard.tell("")
        elif view.full is not None:
            view.full = None
        elif view.processes.filter:
            view.processes.filter = ""
        elif view.processes.by_user:
            view.processes.by_user = False
        else:
            view.processes.tagged.clear()
        self.redraw()

    def action_open(self) -> None:
        """Open what is under the cursor; a pane without rows fills the screen."""
        if self.view.focus == "gpu" and (rows := gpu_rows(self.view)):
            from mltop.ui.screens.gpu_detail import GpuScreen

            row = rows[min(self.view.gpu_cursor, len(rows) - 1)]
            self.app.push_screen(GpuScreen(gpu_identity(row.gpu)))
        elif self.view.focus == "process":
            self.open_process()
        else:
            self.action_full()

    def action_full(self) -> None:
        """Give the pane in focus the whole screen, or all panes their place again."""
        self.view.full = None if self.view.full is not None else self.view.focus
        self.redraw()

    def action_pause(self) -> None:
        """Freeze what is shown, or go on."""
        self.dashboard.session.pause(paused=not self.view.paused)
        self.redraw()

    def action_refresh_now(self) -> None:
        """Sample now."""
        self.dashboard.refresh_source()

    def action_zoom(self, step: int) -> None:
        """A shorter or longer time in the graphs."""
        at = min(range(len(ZOOMS_S)), key=lambda index: abs(ZOOMS_S[index] - self.view.zoom_s))
        self.view.zoom_s = ZOOMS_S[max(0, min(len(ZOOMS_S) - 1, at + step))]
        self.redraw()

    def action_toggle_pane(self, pane: str) -> None:
        """Hide or show a pane."""
        self.view.hidden ^= {pane}
        if self.view.full == pane:
            self.view.full = None
        self.redraw()

    # -- the mouse ---------------------------------------------------------------------------------------------

    async def on_pane_clicked(self, message: PaneClicked) -> None:
        """Focus the pane and move the cursor to the row; a double click opens it; a footer key is pressed."""
        if message.pane == "footer":
            await self._click_footer(message.x)
            return
        if message.pane in FOCUSABLE:
            self.view.focus = message.pane
            place = self.place_of(message.pane)
            found = place is not None and self._cursor.click(message.x, message.y, place)
            self._is_placed = self._is_placed or (found and message.pane == "process")
            self.redraw()
            if message.is_double and (found or message.pane not in ("gpu", "process")):
                self.action_open()

    async def _click_footer(self, x: int) -> None:
        for hint in hints(self.view, self.size.width):
            if hint.x <= x < hint.x + hint.width:
                await self.dashboard.press(hint.key)

    def on_pane_scrolled(self, message: PaneScrolled) -> None:
        """The wheel moves the cursor of the pane under the mouse."""
        if message.pane in ("gpu", "process"):
            self.view.focus = message.pane
            self.action_move(message.step * WHEEL_ROWS if message.pane == "process" else message.step)

    def on_screen_resume(self) -> None:
        """A page was left."""
        self.redraw()

    def on_resize(self, _: events.Resize) -> None:
        """Another size shows another number of processes."""
        self._ask()
