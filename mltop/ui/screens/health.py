"""Health: every check's result, the worst first: `mltop --check`, and over it what the monitor sees now."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import msgspec

from mltop.model.finding import Finding, Level
from mltop.model.verdict import Counts, Result, State, Verdict, badness
from mltop.reports.range import limits
from mltop.system.text import clean
from mltop.ui.aside import begin
from mltop.ui.ask import Answer
from mltop.ui.command import bindings
from mltop.ui.commands import HEALTH
from mltop.ui.format import cells, clip, clip_left, clock, duration, fixed, fold, left
from mltop.ui.line import Line, Role, cut
from mltop.ui.screens.browse import BrowseScreen, holds
from mltop.ui.screens.job_rows import local
from mltop.ui.screens.page import PageScreen, wrapped

EVERY_S = 60.0
SOON_S = 10.0
"""What the monitor sees has changed: the checks run again, but not more often than this."""
DEADLINE_S = 30.0
LABEL_WIDTH = 12
MOST_TROUBLE = 6
"""Lines of why there is no verdict."""
LEAST_ACTION = 24
"""Cells of what to do, for it to be told in the row."""
_ROLES = {
    State.CRITICAL: Role.CRITICAL,
    State.WARNING: Role.WARNING,
    State.UNKNOWN: Role.STALE,
    State.OK: Role.OK,
    State.SKIP: Role.DIM,
}
_WORDS = {State.CRITICAL: "CRIT", State.WARNING: "WARN", State.UNKNOWN: "UNKN", State.OK: "ok", State.SKIP: "skip"}
_STATES = {
    Level.CRITICAL: State.CRITICAL,
    Level.WARNING: State.WARNING,
    Level.UNKNOWN: State.UNKNOWN,
    Level.OK: State.OK,
}


class HealthScreen(BrowseScreen[Result], inherit_bindings=False):
    """The list of results."""

    BINDINGS = bindings(HEALTH)
    commands = HEALTH
    name_of_mode = "health"

    def __init__(self) -> None:
        super().__init__()
        self.verdict: Verdict | None = None
        self.trouble = ""
        self.is_checking = False
        self._heard_at = 0.0
        self._known: frozenset[tuple[str, str, Level]] = frozenset()

    # -- the checks --------------------------------------------------------------------------------------------

    def shown(self) -> None:
        """Check now where the last verdict is old, then every so often."""
        self._timer = self.set_interval(1.0, self._keep_up)
        self._keep_up()

    def hidden(self) -> None:
        """No checks for nobody."""
        self._timer.stop()
        self.workers.cancel_group(self, "check")
        self.is_checking = False

    def action_check(self) -> None:
        """Check now."""
        if not self.is_checking:
            self.is_checking = True
            begin(self, self._check, "check", exclusive=True)
            self.redraw()

    def _keep_up(self) -> None:
        age = time.monotonic() - self._heard_at
        is_old = self.verdict is None or age >= EVERY_S or (self._known != self._live() and age >= SOON_S)
        if is_old and (age >= SOON_S or not self._heard_at):
            self.action_check()

    def _live(self) -> frozenset[tuple[str, str, Level]]:
        return frozenset((one.check, one.target, one.level) for one in self.view.findings)

    async def _check(self) -> None:
        self._known = self._live()
        try:
            answer = await self.dashboard.ask(("--check", "--json"), DEADLINE_S)
        except asyncio.CancelledError:
            self.is_checking = False
            raise
        self.is_checking = False
        self._heard_at = time.monotonic()
        self.take(answer)

    def take(self, answer: Answer) -> None:
        """A new verdict; one that failed leaves the last one there, and says so."""
        made, self.trouble = _read(answer)
        if made is not None:
            self.verdict = made
        self.redraw()

    # -- the list ----------------------------------------------------------------------------------------------

    def items(self) -> list[Result]:
        """The verdict's results with the monitor's findings over them, the worst first."""
        found = _laid_over(self.verdict.results if self.verdict else (), self.view.findings)
        return [one for one in found if holds(self.filter, one.check, one.target_name, one.summary, one.state)]

    def key(self, item: Result) -> str:
        """Check and target."""
        return f"{item.check} {item.target}"

    def summary(self) -> Line:
        """How many of each state, and how old the verdict is."""
        counts = Counts.of(_laid_over(self.verdict.results if self.verdict else (), self.view.findings))
        line: Line = []
        for count, word, role in (
            (counts.critical, "CRIT", Role.CRITICAL),
            (counts.warning, "WARN", Role.WARNING),
            (counts.unknown, "UNKN", Role.STALE),
            (counts.ok, "ok", Role.OK),
        ):
            if count:
                line += [(f"{count} {word}", role), ("  ", Role.TEXT)]
        when = "checking" if self.is_checking else clock(self.verdict.time) if self.verdict else ""
        return [*line, (when, Role.DIM)]

    def above(self, width: int) -> list[Line]:
        """What keeps the checks from running."""
        if not self.trouble:
            return []
        parts = fold(f"no verdict: {self.trouble}", max(8, width - 2))
        return [[(f" {part}", Role.CRITICAL)] for part in parts[:MOST_TROUBLE]]

    def head(self, width: int) -> Line:
        """The columns."""
        check, target = _columns(width)
        return [(f" {'STATE':<6}{left('CHECK', check)} {left('TARGET', target)} FOUND", Role.LABEL)]

    def row(self, item: Result, width: int) -> Line:
        """State, check, target, what was found."""
        check, target = _columns(width)
        role = Role.DIM if item.state is State.SKIP else Role.TEXT
        lasts = "" if item.state in (State.OK, State.SKIP) else _lasts(item, self._checked_at())
        since = f"  {lasts}" if lasts else ""
        room = max(0, width - check - target - 10 - len(since))
        found = clip(item.summary, room)
        left_over = room - cells(found) - 6
        action = f"  → {clip(item.action, left_over)}" if item.action and left_over >= LEAST_ACTION else ""
        return [
            (f" {_WORDS[item.state]:<6}", _ROLES[item.state]),
            (left(item.check, check) + " ", role),
            (left(_short(item.target_name, target), target) + " ", role),
            (found, role),
            (since, Role.DIM),
            (action, Role.KEY),
        ]

    def nothing(self, width: int) -> list[Line]:
        """Before the first verdict, or where the filter leaves nothing."""
        del width
        text = "No check holds that text." if self.filter else "Checking …" if self.is_checking else "No verdict yet."
        return [[], [(f"   {text}", Role.DIM)]]

    def below(self, item: Result | None, width: int, height: int) -> list[Line]:
        """What to do about the result under the cursor."""
        if item is None or height < 4:
            return []
        lines: list[Line] = [[("─" * width, Role.FRAME)]]
        name = f" {item.check}" + (f" · {item.target_name}" if item.target_name else "")
        since = f"  since {local(item.since)}" if item.since and item.state is not State.OK else ""
        lines.append([(name, Role.TITLE), (f"  {_WORDS[item.state]}", _ROLES[item.state]), (since, Role.DIM)])
        todo = wrapped(item.action, width - 3, Role.KEY) if item.action else []
        found = wrapped(item.summary, width - 3)[: max(1, height - 2 - min(1, len(todo)))]
        lines += [[(" ", Role.TEXT), *line] for line in (*found, *todo)]
        if edges := _limits(item):
            lines.append([(f" {edges}", Role.DIM)])
        return [cut(line, width) for line in lines[:height]]

    def action_open(self) -> None:
        """All of one result."""
        item = self.current
        if item is not None:
            self.app.push_screen(ResultScreen(item, self._checked_at()))

    def _checked_at(self) -> str:
        return self.verdict.time if self.verdict is not None else ""


class ResultScreen(PageScreen):
    """All of one result."""

    def __init__(self, result: Result, checked_at: str) -> None:
        super().__init__()
        self.result = result
        self.checked_at = checked_at

    def title_line(self) -> Line:
        """The check, its target, its state."""
        one = self.result
        name = one.check + (f" · {one.target_name}" if one.target_name else "")
        return [(" ", Role.TEXT), (name, Role.TITLE), (f"   {_WORDS[one.state]}", _ROLES[one.state])]

    def content(self, width: int) -> list[Line]:
        """Each field in words."""
        one = self.result
        unit = f" {one.unit}" if one.unit else ""
        pairs = [
            ("found", one.summary),
            ("what to do", one.action),
            ("why", one.reason),
            ("value", f"{one.value:g}{unit}" if one.value is not None else None),
            ("limits", _limits(one)),
            ("since", f"{clock(one.since)} ({one.since}) {_lasts(one, self.checked_at)}" if one.since else None),
            ("target", one.target),
            ("took", f"{fixed(one.duration_s, 3)} s" if one.duration_s is not None else None),
            *((key, clean(str(value), 400)) for key, value in sorted(one.data.items())),
            ("id", one.fingerprint),
        ]
        lines: list[Line] = []
        for name, text in pairs:
            if text:
                first, *more = wrapped(text, width - LABEL_WIDTH - 4) or [[]]
                lines.append([(f" {left(name, LABEL_WIDTH)} ", Role.LABEL), *first])
                lines += [[(" " * (LABEL_WIDTH + 2), Role.TEXT), *line] for line in more]
        return lines


def _columns(width: int) -> tuple[int, int]:
    """Cells of the check and of its target."""
    return (19, 15) if width < 100 else (22, 28) if width < 160 else (22, 44)


def _short(name: str, width: int) -> str:
    """Of a path the end tells more."""
    return clip_left(name, width) if name.startswith("/") else name


def _lasts(item: Result, checked_at: str) -> str:
    """`for 3h`: how long it had been so when it was checked; "" where that is not known, or it has just begun."""
    try:
        began, checked = datetime.fromisoformat(item.since or ""), datetime.fromisoformat(checked_at)
        lasted = (checked - began).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"for {duration(lasted)}" if lasted >= 1 else ""


def _limits(item: Result) -> str:
    """`limits 85/95 % · now 91.2 %`: what it warns at, and what is critical."""
    now = f"now {item.value:g} {item.unit or ''}".rstrip() if item.value is not None else ""
    took = f"took {duration(item.duration_s)}" if item.duration_s and item.duration_s >= 1 else ""
    return " · ".join(part for part in (limits(item), now, took) if part)


def _read(answer: Answer) -> tuple[Verdict | None, str]:
    """The verdict, or why there is none."""
    from mltop.ui.answers import refusal, said

    if answer.is_late:
        return None, answer.complaint
    try:
        made = msgspec.json.decode(answer.output, type=Verdict)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, refusal(answer)
    trouble = "; ".join(said(error) for error in made.errors)
    return (None, trouble) if trouble and not made.results else (made, trouble)


def _laid_over(results: tuple[Result, ...], findings: tuple[Finding, ...]) -> list[Result]:
    """The results, those that the monitor sees otherwise replaced by what it sees; the worst first."""
    found = {(one.check, one.target): one for one in results}
    for finding in findings:
        place = (finding.check, finding.target)
        known = found.get(place)
        state = _STATES[finding.level]
        if known is None or known.state is not state:
            found[place] = Result(
                check=finding.check,
                target=finding.target,
                target_name=finding.target_name,
                state=state,
                summary=finding.summary,
                action=finding.action,
            )
    return sorted(found.values(), key=lambda one: -badness(one.state))
