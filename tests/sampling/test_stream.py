"""The sampler as the dashboard has it: requests in, snapshots out, by pipes."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from patience import assert_within

from mltop.model.request import Request
from mltop.model.snapshot import Snapshot
from mltop.sampling.stream import Stream


class Controlled:
    """A `mltop --stream --control` and the times of its lines."""

    def __init__(self, interval: str, env: dict[str, str]) -> None:
        arguments = [sys.executable, "-m", "mltop", "--stream", "--control", "-i", interval]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | env)
        self._rest = b""

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def line(self, timeout_s: float = 10) -> tuple[float, dict[str, Any]]:
        """The next snapshot and when it came (monotonic)."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            assert select.select([self.process.stdout], [], [], max(0.0, left))[0], "no line within the time"
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            assert data, "the stream has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return time.monotonic(), json.loads(line)

    def has_line(self, within_s: float) -> bool:
        assert self.process.stdout is not None
        return b"\n" in self._rest or bool(select.select([self.process.stdout], [], [], within_s)[0])


@pytest.fixture
def controlled() -> Iterator[Any]:
    started: list[Controlled] = []

    def start(interval: str = "60", env: dict[str, str] | None = None) -> Controlled:
        started.append(Controlled(interval, env or {}))
        return started[-1]

    yield start
    for each in started:
        with each.process:  # closes its pipes, and waits
            each.process.kill()


def test_a_dashboard_gets_its_first_rates_at_once_and_then_nothing_before_its_interval(controlled: Any) -> None:
    stream = controlled("60")
    first_at, first = stream.line()
    second_at, second = stream.line()
    assert first["cpu"]["usage_percent"] is None
    assert second["cpu"]["usage_percent"] is not None
    assert second_at - first_at < 5
    assert not stream.has_line(within_s=0.5)


def test_a_refresh_is_answered_at_once(controlled: Any) -> None:
    stream = controlled("60")
    stream.line()
    stream.line()
    asked_at = time.monotonic()
    stream.send(refresh=True)
    at, _ = stream.line()
    assert at - asked_at < 5, "not at the end of the interval"


def test_requests_that_made_snapshots_early_do_not_push_the_next_ones_away(controlled: Any) -> None:
    stream = controlled("1")
    stream.line()
    stream.line()
    for _ in range(5):
        stream.send(refresh=True)
        stream.line()
    began, _ = stream.line()
    end, _ = stream.line()
    assert end - began < 4.5, "five early snapshots once meant five intervals of silence"


def test_the_choice_of_processes_is_followed(controlled: Any) -> None:
    stream = controlled("60")
    stream.line()
    stream.line()
    stream.send(sort="pid", limit=3)
    _, chosen = stream.line()
    pids = [process["pid"] for process in chosen["processes"]["top"]]
    assert len(pids) == 3
    assert pids == sorted(pids)
    stream.send(filter="no process has this name")
    assert stream.line()[1]["processes"]["top"] == []


def test_a_new_interval_holds_from_then_on(controlled: Any) -> None:
    stream = controlled("60")
    stream.line()
    stream.line()
    stream.send(interval_s=0.25, refresh=True)
    stream.line()
    assert stream.line()[1]["interval_s"] == 0.25


def test_lines_that_are_no_requests_change_nothing(controlled: Any) -> None:
    stream = controlled("60")
    stream.line()
    stream.line()
    assert stream.process.stdin is not None
    stream.process.stdin.write(b'\n{"future": 1}\nnonsense\n\xff\xfe\n{"limit": "x"}\n')
    stream.send(refresh=True)
    assert stream.line()[1]["schema"] == "mltop.snapshot/1"


class LateDriver:
    """A sampler whose driver answers right after its second snapshot, and of which nothing else is heard."""

    def __init__(self) -> None:
        self.interval_s: float | None = None
        self._heard, self._says = os.pipe()
        self._snapshots = 0
        self._is_ready = False

    def begin(self) -> None:
        """Nothing is asked anew."""

    def poll(self) -> None:
        if select.select([self._heard], [], [], 0)[0]:
            os.read(self._heard, 1)
            self._is_ready = True

    def is_ready(self) -> bool:
        return self._is_ready

    def is_silent(self) -> bool:
        return False

    def filenos(self) -> list[int]:
        return [self._heard]

    def due_s(self) -> float:
        return math.inf

    def snapshot(self) -> Snapshot:
        self._snapshots += 1
        if self._snapshots == 2:
            os.write(self._says, b"!")
        return Snapshot()

    def apply(self, request: Request) -> None:
        """No request comes."""

    def close(self) -> None:
        os.close(self._heard)
        os.close(self._says)


def test_an_answer_right_behind_a_snapshot_is_not_held_back_for_an_interval() -> None:
    sampler = LateDriver()
    control, requests = os.pipe()
    out = os.open(os.devnull, os.O_WRONLY)
    started = time.monotonic()
    Stream(sampler, out, 60, control).run(count=3)
    assert time.monotonic() - started < 30
    for fd in (control, requests, out):
        os.close(fd)
    sampler.close()


def test_the_end_of_the_requests_ends_the_stream(controlled: Any) -> None:
    stream = controlled("60")
    stream.line()
    assert stream.process.stdin is not None
    stream.process.stdin.close()
    assert stream.process.wait(timeout=20) == 0


def test_a_driver_that_falls_silent_is_told_within_three_seconds_however_long_the_interval(
    controlled: Any, fake_nvml: Any
) -> None:
    fake_nvml.scenario("8xh100")
    stream = controlled("60", fake_nvml.env)
    while stream.line()[1]["driver"]["status"] != "ok":
        pass
    fake_nvml.scenario("8xh100", extra="fault = * 2 hang\n")
    asked_at = time.monotonic()
    stream.send(refresh=True)
    while (said := stream.line())[1]["driver"]["status"] != "timeout":
        pass
    assert_within(3.5, asked_at)
    assert "not answering" in said[1]["driver"]["reason"]
    assert not stream.has_line(within_s=0.5), "told once, not again and again"
