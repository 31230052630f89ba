"""What the tests of the panes share: whole screens composed from them, and a fixed zone for the header's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from box import G, lost_gpu, make_disk, make_finding, make_gpu, make_history, make_snapshot, make_view

from mltop.model.finding import Finding
from mltop.model.history import History
from mltop.model.snapshot import Disk, Gpu, Snapshot
from mltop.ui.layout import arrange
from mltop.ui.line import Line, Role, text_of, width_of
from mltop.ui.panes import DRAW
from mltop.ui.view import View


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
