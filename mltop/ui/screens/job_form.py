"""A job's form: schedule and command, the next runs as it is typed; nothing is written before its diff was seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Input, Label

from mltop.model.job import Job
from mltop.ui.answers import Plan, outcome, read, refusal
from mltop.ui.aside import aside, begin
from mltop.ui.command import bindings, shown
from mltop.ui.commands import FORM
from mltop.ui.format import clip, fold
from mltop.ui.graph import ascii_only
from mltop.ui.jobs_line import is_own
from mltop.ui.line import Line, Role
from mltop.ui.preview import Preview, preview
from mltop.ui.screens.job_rows import utc_now
from mltop.ui.screens.on_dashboard import OnDashboard
from mltop.ui.screens.review import ReviewScreen, diff_lines, text_lines
from mltop.ui.widgets.line_pane import LinePane

PREVIEW_S = 5.0
ORDER_S = 60.0
LEAST_TIMES = 3
"""Next runs that are shown however small the screen."""
HINTS = (
    "0 2 * * *      every day at 02:00 (cron)",
    "every 15m      every hour at :00, :15, :30, :45",
    "Mon..Fri 03:30 on weekdays (OnCalendar)",
    "@daily @hourly @weekly @monthly",
)


class JobForm(OnDashboard, Screen[str | None]):
    """Gives what was done, in words; `None` where nothing was."""

    BINDINGS = bindings(FORM)
    commands = FORM
    now: Callable[[], datetime] = staticmethod(utc_now)

    def __init__(self, job: Job | None, jobs: Sequence[Job]) -> None:
        super().__init__()
        self.job = job
        self.preview: Preview | None = None
        self.trouble = ""
        self.is_saving = False
        """What was accepted is being written: nothing else can be done meanwhile."""
        self._others = tuple(other for other in jobs if job is None or other.id != job.id)
        self._has_command = job is None or job.kind in (None, "command")
        self._head = LinePane("form-head")
        self._pane = LinePane("form")

    def compose(self) -> ComposeResult:
        """The title, a row a field, the preview."""
        yield self._head
        if self.job is None:
            yield self._field("Name", "job-id", "", "a-z, 0-9, - and _")
        schedule = "; ".join(self.job.schedule) if self.job is not None else ""
        yield self._field("Schedule", "job-schedule", schedule, "empty: by hand only")
        if self._has_command:
            command = (self.job.command or "") if self.job is not None else ""
            yield self._field("Command", "job-command", command, 'a text for /bin/sh, or ["program", "argument"]')
        yield self._pane

    def _field(self, title: str, id: str, value: str, placeholder: str) -> Horizontal:
        line = Input(value, placeholder=placeholder, id=id, compact=True)
        line.cursor_blink = False
        return Horizontal(Label(f" {title}"), line)

    def on_mount(self) -> None:
        """Look at the schedule as it is."""
        self.query(Input).first().focus()
        self._look()

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.call_after_refresh(self.redraw)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The next runs of what stands there now."""
        event.stop()
        self.trouble = ""
        if event.input.id == "job-schedule":
            self._look()
        self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next field; in the last one it shows the changes."""
        event.stop()
        fields = list(self.query(Input))
        at = fields.index(event.input)
        if at + 1 < len(fields):
            fields[at + 1].focus()
        else:
            self.action_save()

    # -- the preview -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        begin(self, self._preview, "preview", exclusive=True)

    async def _preview(self) -> None:
        text = self._value("job-schedule")
        run = self.job.last_run if self.job is not None else None
        took = run.duration_s if run is not None else None
        now = self.now()
        try:
            made = await aside(lambda: preview(text, took, self._others, now), PREVIEW_S)
        except TimeoutError:
            made = Preview(text, fault=f"no answer in {PREVIEW_S:.0f} s about {text!r}")
        if made.text == self._value("job-schedule"):
            self.preview = made
            self.redraw()

    def _value(self, id: str) -> str:
        return next((line.value.strip() for line in self.query(Input) if line.id == id), "")

    @property
    def fault(self) -> str:
        """Why it cannot be saved; "" where it can."""
        if self.is_saving:
            return "it is being written …"
        if self.preview is None or self.preview.text != self._value("job-schedule"):
            return "looking at the schedule …"
        if self.preview.fault:
            return self.preview.fault
        if self.job is None and not self._value("job-id"):
            return "a job needs a name"
        if self._has_command and not self._value("job-command"):
            return "a job needs a command"
        if self.job is not None and not is_own(self.job) and not self._value("job-schedule"):
            return "a line of a crontab needs a schedule"
        return "" if self.order() else "nothing is changed yet"

    # -- drawing -----------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Draw what stands round the fields."""
        width, height = self._pane.size
        if not width or not height:
            return
        title = f"Edit {self.job.id}" if self.job is not None else "New job"
        what = f"  {self.job.kind or self.job.source or ''}" if self.job is not None else "  runs a command"
        self._show(self._head, [[(f" {title}", Role.TITLE), (what, Role.DIM)], [("─" * width, Role.FRAME)]])
        body = [[], *self._body(width, height - 3)][: max(0, height - 2)]
        body += [[]] * (height - 2 - len(body))
        self._show(self._pane, [*body, [("─" * width, Role.FRAME)], self._keys(width)])

    def _show(self, pane: LinePane, lines: list[Line]) -> None:
        pane.update(ascii_only(lines) if self.dashboard.view.graphs == "ascii" else lines)

    def _body(self, width: int, height: int) -> list[Line]:
        """What is known of the fields; of the next runs as many as leave room for the rest."""
        above: list[Line] = []
        if self.job is not None and not self._has_command:
            above = [[(" Runs        ", Role.LABEL), (clip(self.job.command or "", width - 14), Role.DIM)], []]
        made = self.preview
        is_wrong = made is not None and bool(made.fault)
        times = () if made is None or is_wrong else made.times
        notes = () if made is None or is_wrong else made.notes
        below: list[Line] = [
            [(f" {part}", Role.WARNING)] for note in ("", *notes) if note or notes for part in fold(note, width - 2)
        ]
        if problem := self.trouble or self.fault:
            role = Role.CRITICAL if self.trouble or is_wrong else Role.DIM
            below += [[], *([(f" {part}", role)] for part in fold(problem, width - 2))]
        below += [[], *([(f" {hint}", Role.DIM)] for hint in HINTS)]
        shown_times = times[: max(LEAST_TIMES, height - len(above) - len(below))]
        ahead: list[Line] = [
            [(" Next runs   " if index == 0 else " " * 13, Role.LABEL), (time, Role.TEXT)]
            for index, time in enumerate(shown_times)
        ]
        return [*above, *ahead, *below]

    def _keys(self, width: int) -> Line:
        line: Line = [(" ", Role.TEXT)]
        for command in FORM:
            is_off = command.id == "form.save" and bool(self.fault)
            line += [(shown(command.keys[0]), Role.DIM if is_off else Role.KEY), (f" {command.footer}   ", Role.DIM)]
        return [*line, ("Tab", Role.KEY), (" Next field", Role.DIM)] if width > 50 else line

    # -- saving ------------------------------------------------------------------------------------------------

    def order(self) -> tuple[str, ...]:
        """What mltop would be told; nothing where nothing is changed."""
        schedule, command = self._value("job-schedule"), self._value("job-command")
        changes: list[str] = []
        if self.job is None:
            changes += _set("schedule", _schedule(schedule)) if schedule else []
            return (
                "jobs",
                "add",
                self._value("job-id"),
                "--kind",
                "command",
                *changes,
                *_set("command", _text(command)),
            )
        if schedule != "; ".join(self.job.schedule):
            changes += _set("schedule", _schedule(schedule)) if schedule else ["--unset", "schedule"]
        if self._has_command and command != (self.job.command or ""):
            changes += _set("command", _text(command))
        return ("jobs", "edit", self.job.id, *changes) if changes else ()

    def action_save(self) -> None:
        """Show what would change."""
        if not self.fault:
            begin(self, self._review, "order", exclusive=True)

    async def _review(self) -> None:
        order = self.order()
        if self.job is None or is_own(self.job):
            order += ("--apply",)
        answer = await self.dashboard.ask((*order, "--json", "--dry-run"), ORDER_S)
        made, self.trouble = read(answer, Plan)
        if made is None or self.trouble or not made.diff:
            self.trouble = self.trouble or (refusal(answer) if made is None else "this changes nothing")
            self.redraw()
            return
        lines = [*text_lines("\n".join(made.notes), Role.DIM), *diff_lines(made.diff)]
        name = self.job.id if self.job is not None else self._value("job-id")

        def answered(is_accepted: bool | None) -> None:
            if is_accepted:
                begin(self, partial(self._save, name, (*order, "--json")), "order")

        await self.app.push_screen(ReviewScreen(f"{name}: what would change", lines, "Write it"), answered)

    async def _save(self, name: str, order: tuple[str, ...]) -> None:
        self.is_saving = True
        self.redraw()
        answer = await self.dashboard.ask.order(order, ORDER_S)
        self.is_saving = False
        done = f"{name} is saved; u takes it back"
        said = outcome(answer, done)
        if said == done:
            self.dismiss(done)
            return
        self.trouble = said
        self.redraw()

    def action_cancel(self) -> None:
        """Leave everything as it was; what is being written already is not called back."""
        if not self.is_saving:
            self.dismiss(None)


def _set(key: str, value: str) -> list[str]:
    return ["--set", f"{key}={value}"]


def _schedule(text: str) -> str:
    """As TOML: one, or several with `;` between them."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return json.dumps(parts[0] if len(parts) == 1 else parts, ensure_ascii=False)


def _text(command: str) -> str:
    """As TOML: an argv as it is written, else a text."""
    if command.startswith("["):
        return command
    return json.dumps(command, ensure_ascii=False)
