"""What the dashboard keeps between snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mltop.model.snapshot import Snapshot
from mltop.ui.session import Session
from mltop.ui.view import View


@pytest.fixture
def session() -> Session:
    return Session(View(), lambda _: (), lambda *_: [], at=0.0)


@pytest.fixture
def box(build: Any) -> Callable[..., Snapshot]:
    return lambda **changes: msgspec.structs.replace(build.snapshot(gpus=1), interval_s=2.0, **changes)


def test_silence_begins_after_two_intervals_and_counts_whole_seconds(session: Session, box: Any) -> None:
    session.take(box(), 100.0)
    assert not session.check_silence(103.9)
    assert session.view.silent_s == 0
    assert session.check_silence(104.5)
    assert session.view.silent_s == 2
    assert not session.check_silence(104.9)
    assert session.check_silence(105.2)
    session.take(box(), 106.0)
    assert session.view.silent_s == 0


def test_a_snapshot_ends_trouble(session: Session, box: Any) -> None:
    session.lose("gone", is_final=True)
    assert session.is_lost
    session.reopen(1.0)
    assert session.view.trouble is None
    session.lose("a bad line", is_final=False)
    session.take(box(), 2.0)
    assert session.view.trouble is None


def test_pause_keeps_the_graphs_too(session: Session, box: Any) -> None:
    session.take(box(time="2026-03-02T14:00:00Z"), 0.0)
    session.pause(paused=True)
    assert session.take(box(host="later", time="2026-03-02T14:00:02Z"), 2.0) is False
    assert session.view.snapshot is not None
    assert session.view.snapshot.host != "later"
    assert session.view.history.latest != session.history.latest
    session.pause(paused=False)
    assert session.view.snapshot.host == "later"
    assert session.view.history is session.history


def test_the_sampler_is_told_once(session: Session) -> None:
    assert session.wanted(limit=20, pcie=False) is not None
    assert session.wanted(limit=20, pcie=False) is None
    session.view.processes.filter = "train"
    request = session.wanted(limit=20, pcie=False)
    assert request is not None
    assert request.filter == "train"
    session.reopen(0.0)
    assert session.wanted(limit=20, pcie=False) == request
