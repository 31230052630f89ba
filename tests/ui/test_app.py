"""The app on a scripted source: keys, screens, requests, trouble."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from mltop.checks.event import changes
from mltop.model.event import Event
from mltop.model.finding import Finding, Level
from mltop.model.request import Request
from mltop.model.snapshot import Process, Snapshot
from mltop.sampling.recorder import Recorder
from mltop.ui.app import Dashboard
from mltop.ui.commands import APP, MONITOR
from mltop.ui.line import text_of, width_of
from mltop.ui.screens.monitor import MonitorScreen
from mltop.ui.screens.signal import SignalScreen
from mltop.ui.session import Session
from mltop.ui.view import View
from mltop.ui.widgets.line_pane import LinePane

PATIENCE_S = 10.0


class PipeSource:
    """A source whose lines the test writes."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self.requests: list[Request] = []
        self.word: str | None = None
        self.is_closed = False

    def fileno(self) -> int:
        return self._out

    def send(self, request: Request) -> None:
        self.requests.append(request)

    def trouble(self) -> str | None:
        return self.word

    def close(self) -> None:
        self.is_closed = True
        os.close(self._out)

    def write(self, data: bytes) -> None:
        os.write(self._in, data)

    def give(self, snapshot: Snapshot) -> None:
        data = msgspec.json.encode(snapshot) + b"\n"
        while data:
            data = data[os.write(self._in, data[:32768]) :]

    def end(self) -> None:
        if self._in >= 0:
            os.close(self._in)
            self._in = -1


class Bench:
    """A running app, its source, and what its screen shows."""

    def __init__(self, app: Dashboard, source: PipeSource, pilot: Pilot[int]) -> None:
        self.app = app
        self.source = source
        self.pilot = pilot

    @property
    def view(self) -> View:
        return self.app.view

    def text(self) -> str:
        panes = sorted(self.app.screen.query(LinePane), key=lambda pane: (pane.region.y, pane.region.x))
        return "\n".join(text_of(line) for pane in panes if pane.region for line in pane.lines)

    async def until(self, is_true: Callable[[], Any], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.text()}"
            await asyncio.sleep(0.01)

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in self.text(), text)

    async def give(self, snapshot: Snapshot) -> None:
        self.source.give(snapshot)
        await self.until(lambda: self.view.paused or self.view.snapshot == snapshot, "the snapshot")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


Start = Callable[..., Any]


@pytest.fixture
def start() -> Start:
    @asynccontextmanager
    async def run(
        snapshot: Snapshot | None = None,
        *,
        size: tuple[int, int] = (100, 40),
        findings: tuple[Finding, ...] = (),
        reopen: Callable[[], PipeSource] | None = None,
        recorder: Recorder | None = None,
        **view: Any,
    ) -> AsyncIterator[Bench]:
        source = PipeSource()
        session = Session(View(**view), lambda _: findings, changes, at=time.monotonic())
        app = Dashboard(source, session, reopen=reopen, recorder=recorder)
        async with app.run_test(size=size) as pilot:
            bench = Bench(app, source, pilot)
            if snapshot is not None:
                await bench.give(snapshot)
                await bench.shows(snapshot.host)
            yield bench
        source.end()
        app._leave(0)

    return run


@pytest.fixture
def box(build: Any) -> Snapshot:
    return build.snapshot(gpus=8)


async def test_first_paint_needs_no_sample(start: Start) -> None:
    async with start() as bench:
        await bench.shows("Quit")


async def test_shows_what_comes(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.shows("train.py")
        await bench.give(msgspec.structs.replace(box, host="another"))
        await bench.shows("another")


async def test_a_burst_shows_its_last(start: Start, box: Snapshot) -> None:
    async with start() as bench:
        for number in range(20):
            bench.source.give(msgspec.structs.replace(box, host=f"box-{number}", gpus=()))
            await asyncio.sleep(0)
        await bench.shows("box-19")


async def test_unchanged_rows_are_not_painted(start: Start, box: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start(box) as bench:
        painted: list[str] = []
        monkeypatch.setattr(LinePane, "refresh", lambda pane, *regions, **_: painted.append(pane.pane))
        await bench.give(msgspec.structs.replace(box, boot_id="other"))
        assert painted == []


async def test_a_bad_line_is_told_and_forgotten(start: Start, box: Snapshot) -> None:
    async with start(box, size=(160, 40)) as bench:
        bench.source.write(b"not json\n")
        await bench.until(lambda: bench.view.trouble, "trouble")
        await bench.give(msgspec.structs.replace(box, host="again"))
        assert bench.view.trouble is None


async def test_the_end_of_the_source_is_told_and_r_opens_another(start: Start, box: Snapshot) -> None:
    second = PipeSource()
    async with start(box, reopen=lambda: second) as bench:
        bench.source.end()
        await bench.shows("starts it again")
        await bench.press("r")
        second.give(msgspec.structs.replace(box, host="reborn"))
        await bench.shows("reborn")
        assert bench.source.is_closed
    second.end()


async def test_what_the_source_says_of_itself_is_shown(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        bench.source.word = "connection lost"
        await bench.shows("connection lost")
        bench.source.word = None
        await bench.until(lambda: "connection lost" not in bench.text())


async def test_silence_is_shown(start: Start, box: Snapshot) -> None:
    async with start(msgspec.structs.replace(box, interval_s=0.25)) as bench:
        await bench.shows("silent")


async def test_requests_follow_the_view(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.until(lambda: bench.source.requests, "a request")
        assert bench.source.requests[-1].limit >= 20
        await bench.press("greater_than_sign")
        assert bench.source.requests[-1].sort == "cpu"
        await bench.press("I")
        assert bench.source.requests[-1].invert is True
        count = len(bench.source.requests)
        await bench.press("f", "f")
        assert len([one for one in bench.source.requests[count:] if one.sort != "cpu"]) == 0


async def test_pcie_is_asked_for_only_while_a_gpu_is_open(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press("tab", "enter")
        await bench.until(lambda: bench.source.requests[-1].pcie is True, "pcie asked for")
        await bench.press("escape")
        await bench.until(lambda: bench.source.requests[-1].pcie is False, "pcie not asked for any more")


async def test_filter_is_live_and_escape_takes_it_back_by_steps(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press("slash", *"train")
        await bench.until(lambda: bench.view.processes.filter == "train", "filter")
        assert bench.source.requests[-1].filter == "train"
        await bench.press("q")
        await bench.until(lambda: bench.view.processes.filter == "trainq", "letters are text")
        await bench.press("backspace", "escape")
        await bench.until(lambda: not bench.app.screen.query("#filter"), "the line is closed")
        assert bench.view.processes.filter == "train"
        await bench.press("escape")
        assert bench.view.processes.filter == ""
        await bench.press("escape", "escape")
        assert bench.app.is_running


async def test_the_cursor_moves_and_follows_its_process(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        first = bench.view.processes.cursor
        await bench.press("j", "down")
        third = bench.view.processes.cursor
        assert third not in (None, first)
        await bench.press("k", "up")
        assert bench.view.processes.cursor == first
        await bench.press("G")
        last = bench.view.processes.cursor
        assert bench.view.processes.offset > 0
        await bench.press("I")
        assert bench.view.processes.cursor == last
        await bench.press("home")
        await bench.press("pagedown", "pageup")
        assert bench.view.processes.offset == 0


async def test_views_of_the_processes(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press("t")
        assert bench.view.processes.tree
        await bench.press("u")
        await bench.shows("Users")
        await bench.press("escape")
        assert not bench.view.processes.by_user
        await bench.press("g", "space", "space")
        assert len(bench.view.processes.tagged) == 2
        await bench.press("escape")
        assert not bench.view.processes.tagged


async def test_the_letters_of_htop_sort(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        for key, column in (("P", "cpu"), ("M", "memory"), ("T", "time")):
            await bench.press(key)
            assert bench.view.processes.sort == column
            await bench.until(lambda column=column: bench.source.requests[-1].sort == column, column)


async def test_pause_freezes_what_is_shown(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press("Z")
        await bench.shows("PAUSED")
        before = bench.text()
        bench.source.give(msgspec.structs.replace(box, host="later"))
        await bench.until(lambda: bench.app.session._latest.host == "later", "taken")
        assert bench.text() == before
        await bench.press("Z")
        await bench.shows("later")


async def test_panes_hide_fill_the_screen_and_keep_their_focus(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press("d")
        await bench.until(lambda: bench.app.screen.query_one("#pane-disk").region.area == 0, "hidden")
        await bench.press("d")
        await bench.until(lambda: bench.app.screen.query_one("#pane-disk").region.area > 0, "shown")
        await bench.press("tab")
        assert bench.view.focus == "gpu"
        await bench.press("f")
        await bench.until(lambda: bench.app.screen.query_one("#pane-process").region.area == 0, "only the GPUs")
        await bench.press("escape")
        assert bench.view.full is None
        await bench.press("shift+tab")
        assert bench.view.focus == "process"


async def test_zoom_stays_between_a_minute_and_six_hours(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        await bench.press(*["minus"] * 9)
        assert bench.view.zoom_s == 21600
        await bench.press(*["plus"] * 9)
        assert bench.view.zoom_s == 60


async def test_pages_open_and_escape_leaves_them(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        for key, text in (("question_mark", "mltop: keys"), ("e", "Events"), ("enter", "Process")):
            await bench.press(key)
            await bench.shows(text)
            await bench.press("escape")
            await bench.until(lambda: isinstance(bench.app.screen, MonitorScreen), "the monitor")
        await bench.press("tab", "enter")
        await bench.shows("GPU 0")
        await bench.press("1")
        await bench.until(lambda: isinstance(bench.app.screen, MonitorScreen), "the monitor")


async def test_help_names_every_live_binding(start: Start, box: Snapshot) -> None:
    async with start(box, size=(80, 80)) as bench:
        await bench.press("question_mark")
        await bench.shows("mltop: keys")
        text = bench.text()
        for command in (*MONITOR, *APP):
            assert command.help in text, command.id


async def test_events_are_listed(start: Start, box: Snapshot, build: Any) -> None:
    async with start(box) as bench:
        lost = (build.lost(0), *box.gpus[1:])
        await bench.give(msgspec.structs.replace(box, gpus=lost, time="2026-03-02T14:02:13Z"))
        await bench.press("e")
        await bench.shows("GPU 0")


async def test_an_event_is_told_whole(start: Start, box: Snapshot, build: Any) -> None:
    why = "driver not answering for 14 s (GPU 2: nvmlDeviceGetPowerUsage), which is the end of it"
    async with start(box, size=(60, 24)) as bench:
        event = Event(time=box.time, item="/mnt/a/very/long/mount", from_="ok", to=why, level=Level.CRITICAL)
        bench.app.session.events.append(event)
        await bench.press("e")
        await bench.shows("end of it")
        assert "g/mount" in bench.text()
        assert "".join(why.split()) in "".join(bench.text().split())


async def test_findings_are_shown(start: Start, box: Snapshot) -> None:
    finding = Finding(
        check="disk.space", target="/", target_name="/", level=Level.CRITICAL, summary="99 % used", action=None
    )
    async with start(box, findings=(finding,)) as bench:
        await bench.shows("1 CRIT")


async def test_every_command_of_the_palette_runs(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        commands = list(bench.app.get_system_commands(bench.app.screen))
        names = {command.title for command in commands}
        assert {command.title for command in MONITOR} <= names
        await bench.press("ctrl+p")
        await bench.until(lambda: bench.app.screen.is_modal, "the palette")
        await bench.press(*"pause")
        hits = bench.app.screen.query_one(OptionList)
        await bench.until(
            lambda: hits.option_count and str(hits.get_option_at_index(0).prompt).startswith("Pause"), "hit"
        )
        await bench.press("enter")
        await bench.until(lambda: bench.view.paused, "paused by the palette")


@pytest.mark.parametrize("key", ["pageup", "pagedown", "home", "end"])
async def test_a_key_in_the_palette_before_its_list_is_laid_out(start: Start, box: Snapshot, key: str) -> None:
    async with start(box) as bench:
        await bench.press("ctrl+p")
        await bench.until(lambda: bench.app.screen.query(OptionList), "the palette")
        palette, found = bench.app.screen, bench.app.screen.query_one(OptionList)
        await bench.until(lambda: found.option_count, "commands")
        palette._action_cursor_down()
        found._index_to_line.clear()  # as while the list is being filled anew
        found._lines.clear()
        palette._action_command_list(key.replace("page", "page_").replace("home", "first").replace("end", "last"))
        await bench.press("escape")
        await bench.shows(box.host)
        assert bench.app.report is None


async def test_the_mouse(start: Start, box: Snapshot) -> None:
    async with start(box, size=(120, 45)) as bench:
        await bench.pilot.click("#pane-gpu", offset=(10, 3))
        await bench.until(lambda: bench.view.focus == "gpu", "focus")
        pane = bench.app.screen.query_one("#pane-process", LinePane)
        row = next(y for y, line in enumerate(pane.lines) if "PID" in text_of(line)) + 3
        await bench.pilot.click("#pane-process", offset=(5, row))
        await bench.until(lambda: bench.view.focus == "process", "focus")
        assert str(bench.view.processes.cursor) in text_of(pane.lines[row])
        await bench.pilot.click("#pane-process", offset=(5, row), times=2)
        await bench.shows("Process ")
        await bench.press("escape")
        x = text_of(bench.app.screen.query_one("#pane-footer", LinePane).lines[0]).index("Help")
        await bench.pilot.click("#pane-footer", offset=(x, 0))
        await bench.shows("mltop: keys")


@pytest.mark.parametrize("size", [(1, 1), (40, 12), (300, 100)])
async def test_every_page_at_every_size(start: Start, box: Snapshot, size: tuple[int, int]) -> None:
    async with start(box, size=(80, 24)) as bench:
        await bench.pilot.resize_terminal(*size)
        await bench.press("question_mark", "escape", "e", "escape", "K", "escape", "slash", "escape")


async def test_live_resizing(start: Start, box: Snapshot) -> None:
    async with start(box, size=(80, 24)) as bench:
        for number, size in enumerate([(1, 1), (2, 40), (30, 8), (60, 20), (200, 60), (7, 100), (300, 3)]):
            await bench.pilot.resize_terminal(*size)
            await bench.give(msgspec.structs.replace(box, host=f"box-{number}"))


async def test_themes_change_live(start: Start, box: Snapshot) -> None:
    async with start(box) as bench:
        for theme in ("dark", "light", "terminal"):
            bench.app.theme = theme
            await bench.pilot.pause()
            pane = bench.app.screen.query_one("#pane-header", LinePane)
            background = pane.render_line(0)._segments[0].style.bgcolor
            assert (background is None) is (theme == "terminal")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield child
    child.kill()
    child.wait()


def with_process(box: Snapshot, pid: int, started_at: str | None = None) -> Snapshot:
    process = Process(pid=pid, name="victim", command="victim.py", user="me", started_at=started_at)
    processes = msgspec.structs.replace(box.processes, top=(process,))
    return msgspec.structs.replace(box, gpus=(), processes=processes)


async def test_a_signal_is_sent_after_it_is_chosen(
    start: Start, box: Snapshot, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    async with start(with_process(box, sleeper.pid)) as bench:
        bench.app.state = tmp_path / "state"
        await bench.press("K")
        await bench.shows("SIGTERM")
        assert "victim.py" in bench.text()
        await bench.press("enter")
        await bench.until(lambda: isinstance(bench.app.screen, MonitorScreen), "closed")
        assert sleeper.poll() is None, "the first choice is Cancel"
        await bench.press("f9", "down", "enter")
        await bench.shows("SIGTERM sent")
        await bench.until(lambda: sleeper.poll() == -signal.SIGTERM, "ended")
        operations = tmp_path / "state" / "operations.jsonl"
        await bench.until(lambda: operations.exists() and operations.read_text().endswith("\n"), "noted")
        noted = json.loads(operations.read_text())
        assert (noted["operation"], noted["target"], noted["signal"]) == ("signal", str(sleeper.pid), "SIGTERM")
        assert noted["name"] == "victim.py"


@pytest.mark.parametrize("size", [(80, 24), (50, 20)])
async def test_the_frame_of_the_signal_dialog_is_straight(
    start: Start, box: Snapshot, sleeper: subprocess.Popen[bytes], size: tuple[int, int]
) -> None:
    """Whatever the process and its user are called."""
    shown = with_process(box, sleeper.pid)
    wide = msgspec.structs.replace(
        shown.processes.top[0], command="訓練.py --模型 🎉" * 9, user="\u30e6\u30fc\u30b6" * 9
    )
    shown = msgspec.structs.replace(shown, processes=msgspec.structs.replace(shown.processes, top=(wide,)))
    async with start(shown, size=size) as bench:
        await bench.press("K")
        await bench.until(lambda: isinstance(bench.app.screen, SignalScreen) and bench.app.screen._pane.lines, "open")
        lines = bench.app.screen._pane.lines
        assert {width_of(line) for line in lines} == {min(64, size[0])}
        assert any("ユ" in text_of(line) for line in lines)


async def test_a_signal_never_hits_another_process_of_the_same_pid(
    start: Start, box: Snapshot, sleeper: subprocess.Popen[bytes]
) -> None:
    async with start(with_process(box, sleeper.pid, "2020-01-01T00:00:00Z")) as bench:
        await bench.press("K")
        await bench.shows("(ended)")
        await bench.press("down", "enter")
        await bench.shows("it has ended already")
        assert sleeper.poll() is None


async def test_no_signals_when_read_only(start: Start, box: Snapshot) -> None:
    async with start(with_process(box, os.getpid()), readonly=True) as bench:
        await bench.press("K")
        assert isinstance(bench.app.screen, MonitorScreen)
        assert "Signal" not in {command.title for command in bench.app.get_system_commands(bench.app.screen)}
        await bench.press("question_mark")
        await bench.shows("mltop: keys")
        assert "Send a signal" not in bench.text()


async def test_no_signals_into_other_containers(start: Start, build: Any) -> None:
    gpu = build.gpu(0)
    foreign = msgspec.structs.replace(gpu.processes[0], pid=None, status="absent")
    snapshot = build.snapshot(gpus=(msgspec.structs.replace(gpu, processes=(foreign,)),), processes=0)
    async with start(snapshot) as bench:
        await bench.press("G", "K")
        await bench.until(lambda: "container" in bench.app.note, "a refusal")


async def test_a_fault_ends_with_a_report(start: Start) -> None:
    apps: list[Dashboard] = []

    def run() -> Awaitable[None]:
        raise RuntimeError("planted")

    async def until_the_report() -> None:
        async with start() as bench:
            apps.append(bench.app)
            bench.app.call_later(run)
            await bench.until(lambda: bench.app.report, "the report")

    with pytest.raises(RuntimeError, match="planted"):
        await until_the_report()
    (app,) = apps
    assert app.return_code == 1
    with open(app.report) as report:  # noqa: PTH123, ASYNC230
        assert "planted" in report.read()
    os.unlink(app.report)  # noqa: PTH108


async def test_says_why_history_is_not_recorded(start: Start, box: Snapshot) -> None:
    async with start(box, recorder=Recorder(None)) as bench:
        await bench.shows("no state folder: history is not recorded")
