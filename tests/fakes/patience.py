"""Waiting for something to become true: what is under test decides how long that takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0, what: object = "the condition") -> None:
    """Return when it holds; fail after so many seconds, with `what` or with what that says when it is called."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(0.01)
