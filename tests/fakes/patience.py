"""Waiting for something to become true: what is under test decides how long that takes, and the box how exactly."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

GRANTED_S = 10.0
"""How much longer than it should take is waited for it, to see how busy the box is that took longer."""


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, what: object = "the condition") -> None:
    """Return when it holds; fail after so many seconds, with `what` or with what that says when it is called."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() > started + timeout_s + GRANTED_S:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(0.01)
    assert_within(timeout_s, started)


def assert_within(limit_s: float, started: float) -> None:
    """Fail where more than so many seconds have passed since `started` (`time.monotonic`), as this box counts them.

    A rule in seconds is one of a box that has nothing else to do. What a slow or a busy one takes to start a few
    processes is granted beyond it; that is measured only where it is asked for, under the load of that moment.
    """
    took_s = time.monotonic() - started
    if took_s >= limit_s:
        granted_s = sum(_start_s() for _ in range(5))
        assert took_s < limit_s + granted_s, f"{took_s:.2f} s, not {limit_s} s and {granted_s:.2f} s for a busy box"


def _start_s() -> float:
    """Seconds that a start of an interpreter with a part of the program takes here and now."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import json, subprocess"], check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - started
