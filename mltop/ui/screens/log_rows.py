"""How runs and a log look."""

from __future__ import annotations

from dataclasses import dataclass, field

from mltop.jobs.log_file import OWN, speaks_of_error
from mltop.model.job import Run, RunState
from mltop.ui.format import cells, clip, duration, fold, left, right, size
from mltop.ui.jobs_line import BAD, MARKS
from mltop.ui.line import Line, Pen, Role, broken, cut, marked, spread
from mltop.ui.log_page import LogPage, Want
from mltop.ui.screens.job_rows import exit_of, local

_ROLES = {RunState.OK: Role.OK, RunState.RUNNING: Role.KEY, RunState.SKIPPED: Role.DIM, RunState.ABORTED: Role.WARNING}
_TRIGGERS = {"schedule": "sched", "manual": "hand", "catch-up": "late"}
_OWN = OWN.decode()
_BOTTOM = 1 << 30
"""More rows than a page has."""


@dataclass(slots=True)
class LogView:
    """What is shown of one log, and how."""

    run_id: str | None = None
    page: LogPage = field(default_factory=LogPage)
    state: RunState | None = None
    """The run's, when the log was read last."""
    rows: int = 0
    """For which height it was read."""
    is_following: bool = False
    is_wrapped: bool = False
    shift: int = 0
    """Cells that are left of the edge."""
    needle: str = ""
    hit: int | None = None
    """Offset of the line that was found."""
    said: str = ""
    """What came of the last search."""
    skip: int = 0
    """Rows of the page above the screen's first: lines that are wrapped may need more than there are."""
    anchor: tuple[int, int] | None = None
    """The first row to show when the page is drawn next: so many rows behind the beginning of the line there."""
    shown: tuple[int, ...] = ()
    """Where the line of each row of the page begins, as it was drawn last."""

    def moved(self, rows: int, room: int) -> Want | None:
        """Move by rows; what to read for it, where that is beyond the page."""
        self.is_following = False
        if not self.is_wrapped or not self.shown:
            return Want("move", room, self.page.top, rows)
        if 0 <= self.skip + rows <= len(self.shown) - room:
            self.skip += rows
            return None
        first = self.shown[min(self.skip, len(self.shown) - 1)]
        self.anchor = (first, self.skip - self.shown.index(first) + rows)
        if rows > 0:
            return Want("at", room, first)
        return Want("move", room, first, rows) if first else Want("at", room, 0)

    def to_edge(self, side: int, room: int) -> Want:
        """The beginning or the end."""
        self.is_following = False
        self.anchor = (0, 0) if side < 0 else None
        self.skip = 0 if side < 0 else _BOTTOM
        return Want("at", room, 0) if side < 0 else Want("end", room)

    def first_row(self, offsets: tuple[int, ...], room: int) -> int:
        """The row of the page to begin with, of those whose lines begin at `offsets`."""
        anchor, self.anchor, self.shown = self.anchor, None, offsets
        if anchor is not None and anchor[0] in offsets:
            self.skip = offsets.index(anchor[0]) + anchor[1]
        most = max(0, len(offsets) - room)
        self.skip = most if self.is_following else max(0, min(self.skip, most))
        return self.skip

    def take(self, page: LogPage, want: Want) -> None:
        """A page that was read."""
        self.rows = want.rows
        if want.kind in ("find", "error"):
            self.said = ""
            if page.hit is None and not page.trouble:
                what = "no line speaks of an error" if want.kind == "error" else f"not found: {want.needle}"
                self.said = what if want.step >= 0 and want.hit is None else f"no more: {want.needle}"
                return
            self.hit = page.hit
            self.anchor = (page.hit, -(want.rows // 3)) if page.hit is not None else None
        self.page = page


def runs_head(width: int, *, has_job: bool) -> Line:
    """The columns of the runs."""
    job = _job_width(width) if has_job else 0
    name = left("JOB", job) + " " if job else ""
    return [(f"   {name}{left('STARTED', 16)} {right('TOOK', 5)} {right('EXIT', 4)}  BY", Role.LABEL)]


def run_line(run: Run, width: int, *, has_job: bool, is_here: bool, is_lit: bool) -> Line:
    """One run."""
    role = _ROLES.get(run.state, Role.CRITICAL)
    job = _job_width(width) if has_job else 0
    pen = Pen().put(f" {MARKS[run.state]} ", role)
    if job:
        pen.put(left(run.job, job) + " ", Role.TITLE)
    started = local(run.started_at) if run.started_at else "-"
    took = duration(run.duration_s) if run.duration_s is not None else ""
    pen.put(left(started, 16) + " ").put(right(took, 5) + " ")
    pen.put(right(exit_of(run), 4) + "  ", role if run.state in BAD else Role.TEXT)
    pen.put(left(_TRIGGERS.get(run.trigger or "", run.trigger or ""), 6), Role.DIM)
    room = width - pen.at - 1
    why = run.reason or (run.last_error_line if run.state in BAD else None) or ("" if run.exit_code == 0 else run.state)
    if room > 8:
        pen.put(clip(why, room), Role.DIM)
    line = cut(pen.line, width)
    if is_here:
        return marked(line, Role.CURSOR, width) if is_lit else [("▸", Role.KEY), *_without_first(line)]
    return line


def _without_first(line: Line) -> Line:
    (text, role), *rest = line
    return [(text[1:], role), *rest]


def _job_width(width: int) -> int:
    return 14 if width < 60 else 20 if width < 90 else 28


def log_lines(view: LogView, run: Run | None, width: int, rows: int, *, has_focus: bool) -> list[Line]:
    """A line about the log, then what it holds."""
    if run is None:
        return [[("─" * width, Role.FRAME)]][:rows]
    lines = [_title(view, run, width, has_focus=has_focus)]
    room = max(0, rows - 1)
    if run.log_path is None or not view.page.lines:
        body = _nothing(view, run, width)
    else:
        rows_of = _body(view, width)
        first = view.first_row(tuple(offset for offset, _ in rows_of), room)
        body = [line for _, line in rows_of[first:]]
    return [*lines, *(cut(line, width) for line in body[:room])]


def _title(view: LogView, run: Run, width: int, *, has_focus: bool) -> Line:
    edge = Role.KEY if has_focus else Role.FRAME
    name: Line = [("━━ " if has_focus else "── ", edge), (run.job, Role.TITLE), (" ", Role.TEXT)]
    page = view.page
    told = view.said or (page.trouble if page.lines else "")
    why = None if told else run.reason or (run.last_error_line if run.state in BAD else None)  # the row has it too
    why = f": {clip(why, width // 2)}" if why else ""
    name += [(f"{run.state}{why} ", _ROLES.get(run.state, Role.CRITICAL))]
    if told:
        name += [(f"{told} ", Role.WARNING)]
    flags = [word for word, is_on in (("follow", view.is_following), ("wrap", view.is_wrapped)) if is_on]
    flags += [f"/{view.needle}"] if view.needle else []
    place = f"{size(page.size)}, {100 * page.end // page.size if page.size else 100}%"
    right_side: Line = [(f" {' · '.join([*flags, place])} ", Role.DIM), ("━━" if has_focus else "──", edge)]
    line = spread(name, right_side, width)
    return [(("━" if has_focus else "─") * cells(text), edge) if not text.strip() and cells(text) > 2 else (text, role)
            for text, role in line]  # fmt: skip


def _nothing(view: LogView, run: Run, width: int) -> list[Line]:
    if run.log_path is None:
        return [[], [(f"   No log: {run.reason or run.state}.", Role.DIM)]]
    waits = run.state is RunState.RUNNING and not view.page.trouble
    text, role = ("Nothing written yet.", Role.DIM) if waits else (view.page.trouble, Role.WARNING)
    return [[], *([("   ", role), (part, role)] for part in fold(text, max(8, width - 4)))]


def _body(view: LogView, width: int) -> list[tuple[int, Line]]:
    """The rows of the page, each with where its line begins."""
    rows: list[tuple[int, Line]] = []
    for offset, text in view.page.lines:
        line = _log_line(text, view.needle, is_hit=offset == view.hit)
        of_line = broken(line, width) if view.is_wrapped else [_shifted(line, view.shift)]
        rows += [(offset, row) for row in of_line]
    return rows


def _log_line(text: str, needle: str, *, is_hit: bool) -> Line:
    """One line; where the needle stands in it, that stands out."""
    role = Role.TITLE if is_hit else Role.DIM if text.startswith(_OWN) else Role.TEXT
    if role is Role.TEXT and speaks_of_error(text.encode()):
        role = Role.CRITICAL
    if not needle:
        return [("▸" if is_hit else " ", Role.KEY), (text, role)]
    line: Line = [("▸" if is_hit else " ", Role.KEY)]
    folded, wanted, at = text.lower(), needle.lower(), 0
    while len(folded) == len(text) and (place := folded.find(wanted, at)) >= 0:
        line += [(text[at:place], role), (text[place : place + len(wanted)], Role.TAGGED)]
        at = place + len(wanted)
    return [*line, (text[at:], role)]


def _shifted(line: Line, shift: int) -> Line:
    """Without the first cells."""
    if not shift:
        return line
    kept: Line = []
    for text, role in line:
        if shift >= len(text):
            shift -= len(text)
        else:
            kept.append((text[shift:], role))
            shift = 0
    return kept
