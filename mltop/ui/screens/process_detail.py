"""All about one process: what the snapshot says of it, what it holds on which GPU, and what is read of it on request.

The request goes to a child of its own (`mltop process`): whatever of the process hangs, this screen and the monitor do
not.
"""

from __future__ import annotations

import time

import msgspec

from mltop.model.identity import gpu_label
from mltop.model.process_detail import ProcessDetail
from mltop.model.snapshot import Gpu, GpuProcess, Process, Snapshot, Status
from mltop.system.target import is_same_start
from mltop.ui.answers import refusal
from mltop.ui.ask import Answer, Following
from mltop.ui.command import bindings
from mltop.ui.commands import PROCESS_PAGE
from mltop.ui.format import UNKNOWN, duration, fixed, percent, plain, size
from mltop.ui.line import Line, Role, cut
from mltop.ui.screens.job_rows import local
from mltop.ui.screens.page import PageScreen
from mltop.ui.screens.process_facts import detail_lines, fact, folded, remedies, state_words
from mltop.ui.screens.rows import Chosen

SILENT_S = 6.0
"""Two refreshes without a word: then the screen says what does not answer."""
Held = list[tuple[Gpu, GpuProcess]]


class ProcessScreen(PageScreen):
    """Follows one process, by pid and start; when it ends, its last values stay and the title says so."""

    BINDINGS = bindings(PROCESS_PAGE)
    commands = PROCESS_PAGE

    def __init__(self, pid: int, started_at: str | None = None) -> None:
        super().__init__()
        self.pid = pid
        self.started_at = started_at
        self.detail: ProcessDetail | None = None
        self._last: tuple[Process | None, Held] = (None, [])
        self._has_ended = False
        self._following: Following | None = None
        self._heard_at = time.monotonic()
        self._trouble = ""

    def on_mount(self) -> None:
        """First drawing; then ask."""
        super().on_mount()
        if self.dashboard.has_box:
            bound = ["--started-at", self.started_at] if self.started_at else []
            self._heard_at = time.monotonic()
            self._following = self.dashboard.ask.follow(["process", str(self.pid), *bound], self._take, self._lose)
            self.set_interval(1.0, self._mind)

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        if self._following is not None:
            self._following.end("left")

    def _take(self, line: bytes) -> None:
        """A reading came."""
        try:
            detail = msgspec.json.decode(line, type=ProcessDetail)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._trouble = f"cannot read what was answered: {error}"
        else:
            self._heard_at, self._trouble = time.monotonic(), ""
            self.detail = _joined(self.detail, detail)
        if self.is_current:
            self.redraw()

    def _mind(self) -> None:
        """Tell of a silence also where nothing else is drawn: while paused, or with a sampler that hangs too."""
        if self._following is not None and self._silent_s > SILENT_S and self.is_current:
            self.redraw()

    @property
    def _silent_s(self) -> float:
        return time.monotonic() - self._heard_at

    def _lose(self, answer: Answer) -> None:
        """There will be no more readings."""
        self._following = None
        if answer.code != 0 and (self.detail is None or self.detail.status is not Status.ABSENT):
            self._trouble = refusal(answer) if answer.code is not None else answer.complaint
        if self.is_attached and self.is_current:
            self.redraw()

    def action_signal(self) -> None:
        """Ask which signal to send to it: to the process that was opened, not to whatever has its number now."""
        if not self.dashboard.has_hands:
            self.dashboard.tell("read-only: no signals")
            return
        if self.view.is_demo:
            self.dashboard.tell("the demo's processes are not real")
            return
        from mltop.ui.screens.signal import ask_signal

        process, held = self._last
        shown = process or (held[0][1] if held else GpuProcess())
        used = sum(entry.gpu_memory_bytes or 0 for _, entry in held) if held else None
        name = shown.command or shown.name or (self.detail.command if self.detail else None) or "?"
        one = Chosen(self.pid, self.started_at or shown.started_at, name, shown.user, used)
        ask_signal(self.dashboard, [one], lambda _: self.redraw())

    # -- drawing -----------------------------------------------------------------------------------------------

    def title_line(self) -> Line:
        """Which process."""
        why = self._ending()
        ended: Line = [(f"   {why}", Role.WARNING)] if why else []
        return [(" ", Role.TEXT), (f"Process {self.pid}", Role.TITLE), *ended]

    def _ending(self) -> str:
        if self.detail is not None and self.detail.status is Status.ABSENT:
            return self.detail.reason or "it has ended"
        return "not listed any more" if self._has_ended and self.detail is None else ""

    def content(self, width: int) -> list[Line]:
        """Names and values, a row for each GPU, and what was read on request."""
        self._follow()
        process, held = self._last
        lines = [*self._notes(width)]
        if process is None and not held and self.detail is None:
            return [*lines, [("   Nothing is known of it.", Role.DIM)]]
        lines += _command(process, held, self.detail, width)
        lines += [*_facts(process, held, with_state=self._reads_nothing), *_gpus(held)]
        if self.detail is not None and self.detail.state is not None:
            lines += [[], *detail_lines(self.detail, width)]
        return [cut(line, width) for line in lines]

    @property
    def _reads_nothing(self) -> bool:
        """Whether the snapshot is all there is."""
        return self.detail is None or self.detail.state is None

    def _notes(self, width: int) -> list[Line]:
        """What does not answer, what is refused, what is not asked."""
        lines: list[Line] = []
        silent = self._silent_s
        if not self.dashboard.has_box:
            host = self.view.remote or "the box"
            lines.append(_note(f"files, sockets and memory are not read over ssh: open mltop on {host} for them"))
        elif self._trouble:
            lines.append(_note(self._trouble))
        elif self._following is not None and silent > SILENT_S:
            what = self.detail.doing if self.detail is not None and self.detail.doing else "it"
            lines.append(_note(f"no answer for {duration(silent)} while reading: {what}"))
        elif self._following is not None and self.detail is None:
            lines.append([("   reading …", Role.DIM)])
        if self.detail is not None:
            lines += remedies(self.detail, width)
        return [*lines, []] if lines else []

    def _follow(self) -> None:
        snapshot = self.view.snapshot
        found = find(snapshot, self.pid, self.started_at) if snapshot else (None, [])
        self._has_ended = found[0] is None and not found[1]
        if not self._has_ended:
            self._last = found


def find(snapshot: Snapshot, pid: int, started_at: str | None = None) -> tuple[Process | None, Held]:
    """The process, and its entries on GPUs; only those whose pid is of this namespace (D16), and of the same start."""
    process = next((each for each in snapshot.processes.top if each.pid == pid), None)
    held = [
        (gpu, entry)
        for gpu in snapshot.gpus
        for entry in gpu.processes
        if entry.pid == pid and entry.status != "absent" and _is_same(entry.started_at, started_at)
    ]
    return process if process is not None and _is_same(process.started_at, started_at) else None, held


def _is_same(start: str | None, known: str | None) -> bool:
    """Whether two starts may be one: where one is not known, who has the pid is taken for the same."""
    return start is None or known is None or is_same_start(start, known)


def _joined(before: ProcessDetail | None, now: ProcessDetail) -> ProcessDetail:
    """The new reading; where that of its end has nothing else to tell, the last values stay."""
    if before is None or now.status is not Status.ABSENT or now.state is not None:
        return now
    return msgspec.structs.replace(before, status=now.status, reason=now.reason, doing=None, time=now.time)


def _note(text: str) -> Line:
    return [("   ", Role.TEXT), (text, Role.WARNING)]


def _command(process: Process | None, held: Held, detail: ProcessDetail | None, width: int) -> list[Line]:
    shown = process or (held[0][1] if held else None)
    known = detail.command if detail is not None else None
    told = known or (shown.command or shown.name if shown is not None else None) or (detail.name if detail else None)
    return folded("command", told or UNKNOWN, width)


def _facts(process: Process | None, held: Held, *, with_state: bool) -> list[Line]:
    """What the snapshot has; the state and CPU of the last reading, where there is none on request."""
    if process is None and not held:
        return []
    entry = held[0][1] if held else GpuProcess()
    shown = process or entry
    result = [fact("name", shown.name or UNKNOWN), fact("user", shown.user or UNKNOWN)]
    if entry.container:
        result.append(fact("container", entry.container))
    if process is not None:
        result.append(fact("parent", UNKNOWN if process.ppid is None else str(process.ppid)))
    if with_state:
        if process is not None:
            result.append(fact("state", state_words(process.state)))
        result.append(fact("CPU", f"{percent(shown.cpu_percent)} of one CPU"))
        result.append(fact("memory", f"{size(shown.rss_bytes)} resident"))
    since = f", since {local(shown.started_at)}" if shown.started_at else ""
    result.append(fact("running", duration(shown.running_s) + since))
    return result


def _gpus(held: Held) -> list[Line]:
    lines: list[Line] = []
    for gpu, entry in held:
        busy = "" if entry.sm_percent is None else f", {fixed(entry.sm_percent, 0)} % of its SMs"
        use = f"{size(entry.gpu_memory_bytes)} of memory{busy}"
        lines.append(fact(plain(gpu_label(gpu)), use + ("" if entry.status == "ok" else f" ({entry.status})")))
    return lines
