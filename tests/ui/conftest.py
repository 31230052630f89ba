"""What the tests of the panes share: whole screens composed from them, and a fixed zone for the header's clock."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import scheduled
from box import G, lost_gpu, make_disk, make_finding, make_gpu, make_history, make_snapshot, make_view

from mltop.model.finding import Finding
from mltop.model.history import History
from mltop.model.request import Request
from mltop.model.snapshot import Disk, Gpu, Snapshot
from mltop.ui.app import Dashboard
from mltop.ui.ask import Ask
from mltop.ui.layout import arrange
from mltop.ui.line import Line, Role, text_of, width_of
from mltop.ui.panes import DRAW
from mltop.ui.session import Session
from mltop.ui.view import View
from mltop.ui.widgets.line_pane import LinePane

FAKES = Path(__file__).parents[1] / "fakes"
PATIENCE_S = 15.0


def compose(view: View, width: int, height: int) -> list[Line]:
    """The whole screen: every pane drawn at its place. Fails where a pane is too large, outside or over another."""
    rows: list[list[tuple[int, Line]]] = [[] for _ in range(height)]
    for place in arrange(view, width, height):
        assert place.x >= 0, place
        assert place.y >= 0, place
        assert place.width >= 1, place
        assert place.height >= 1, place
        lines = DRAW[place.pane](view, place.width, place.height)
        assert len(lines) <= place.height, (place, len(lines))
        for row in range(place.height):
            line = lines[row] if row < len(lines) else []
            used = width_of(line)
            assert used <= place.width, (place, row, line)
            rows[place.y + row].append((place.x, [*line, (" " * (place.width - used), Role.TEXT)]))
    return [_row(parts, width) for parts in rows]


def _row(parts: list[tuple[int, Line]], width: int) -> Line:
    line: Line = []
    for x, part in sorted(parts, key=lambda part: part[0]):
        assert x == width_of(line), (x, text_of(line))
        line += part
    assert width_of(line) <= width
    return line


def screen(view: View, width: int, height: int) -> str:
    return "".join(text_of(line).rstrip() + "\n" for line in compose(view, width, height))


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The header's clock is local time: here it is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def build() -> Any:
    """The builders of the scripted box, and `compose` and `screen`."""

    class Build:
        G = G
        gpu: Callable[..., Gpu] = staticmethod(make_gpu)
        lost: Callable[..., Gpu] = staticmethod(lost_gpu)
        disk: Callable[..., Disk] = staticmethod(make_disk)
        snapshot: Callable[..., Snapshot] = staticmethod(make_snapshot)
        history: Callable[..., History] = staticmethod(make_history)
        view: Callable[..., View] = staticmethod(make_view)
        finding: Callable[..., Finding] = staticmethod(make_finding)
        replace = staticmethod(msgspec.structs.replace)
        compose: Callable[..., list[Line]] = staticmethod(compose)
        screen: Callable[..., str] = staticmethod(screen)

    return Build


class SilentSource:
    """A source that gives nothing."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()

    def fileno(self) -> int:
        return self._out

    def send(self, request: Request) -> None:
        del request

    def trouble(self) -> str | None:
        return None

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)


class Kept:
    """The app over a scripted command line: what it was asked, what it shows."""

    def __init__(self, app: Dashboard, pilot: Any, folder: Path) -> None:
        self.app, self.pilot, self.folder = app, pilot, folder

    def text(self) -> str:
        panes = sorted(self.app.screen.query(LinePane), key=lambda pane: (pane.region.y, pane.region.x))
        return "\n".join(text_of(line) for pane in panes if pane.region for line in pane.lines)

    @property
    def asked(self) -> list[list[str]]:
        noted = self.folder / "asked.txt"
        return [line.split("\x1f") for line in noted.read_text().splitlines()] if noted.exists() else []

    def answer(self, name: str, document: msgspec.Struct | bytes) -> None:
        data = document if isinstance(document, bytes) else msgspec.json.encode(document)
        (self.folder / f"{name}.json").write_bytes(data)

    def order(self, name: str, *lines: str) -> None:
        (self.folder / f"{name}.order").write_text("".join(f"{line}\n" for line in lines))

    async def until(self, is_true: Callable[[], Any], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            assert time.monotonic() < deadline, f"not in time: {what}\n{self.text()}"
            await asyncio.sleep(0.01)

    async def shows(self, *texts: str) -> None:
        for text in texts:
            await self.until(lambda text=text: text in self.text(), text)  # type: ignore[misc]

    async def was_asked(self, *words: str) -> None:
        await self.until(lambda: list(words) in self.asked, f"{words} among {self.asked}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the app over the scripted command line of a kept box."""
    now = datetime(2026, 3, 2, 14, 2, 11, tzinfo=UTC)
    scheduled.write(tmp_path, now)

    @asynccontextmanager
    async def run(*, size: tuple[int, int] = (120, 40), **view: Any) -> AsyncIterator[Kept]:
        from mltop.ui.screens.job_form import JobForm
        from mltop.ui.screens.jobs import JobsScreen

        monkeypatch.setattr(JobsScreen, "now", staticmethod(lambda: now))
        monkeypatch.setattr(JobForm, "now", staticmethod(lambda: now))
        session = Session(View(**view), lambda _: (), lambda *_: [], at=time.monotonic())
        ask = Ask((sys.executable, "-S", "-E", str(FAKES / "scripted_mltop.py"), str(tmp_path)))
        app = Dashboard(SilentSource(), session, ask=ask)
        async with app.run_test(size=size) as pilot:
            yield Kept(app, pilot, tmp_path)
        app._leave(0)
        deadline = time.monotonic() + PATIENCE_S
        while ask._children:  # orders are carried out
            assert time.monotonic() < deadline, "a child that does not end"
            await asyncio.sleep(0.01)

    return run
