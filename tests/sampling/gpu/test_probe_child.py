"""The owner's end of one probe: messages, last words, an end that nobody waits for."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from mltop.sampling.gpu.answer import ProbeFailed, Refresh, RefreshDone, Said
from mltop.sampling.gpu.probe_child import ProbeChild, how_it_ended
from mltop.sampling.root import Roots


def _all(child: ProbeChild, *, until: type[Said] | None = None) -> list[Said]:
    said: list[Said] = []
    while child.filenos() and not (until is not None and any(isinstance(one, until) for one in said)):
        assert select.select(child.filenos(), [], [], 10)[0], "the probe is silent"
        said += child.receive()
    return said


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProbeChild:
    monkeypatch.setenv("MLTOP_KMSG", os.devnull)
    return ProbeChild(Roots(proc=tmp_path, sys=tmp_path))


def test_answers_a_request_and_goes_when_its_owner_does(child: ProbeChild) -> None:
    child.send(Refresh(number=7))
    assert RefreshDone(number=7) in _all(child, until=RefreshDone)
    assert child.current() is None
    assert child.reap() is None
    pid = child.pid
    child.close()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) if child.reap() is None else None
    assert child.reap() == -signal.SIGKILL


def test_its_last_words(child: ProbeChild) -> None:
    child.send(Refresh(number="seven"))  # type: ignore[arg-type]
    said = _all(child)
    assert isinstance(said[-1], ProbeFailed)
    assert said[-1].reason.startswith("ValidationError: ")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.reap() == 1
    child.send(Refresh(number=8))  # to nobody
    child.close()


def test_an_end_in_words() -> None:
    assert [how_it_ended(status) for status in (1, -11, -9, -60)] == ["exit code 1", "SIGSEGV", "SIGKILL", "signal 60"]
