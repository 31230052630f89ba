"""Asking a target in a child that can be left: it may lie on a mount that answers no more."""

from __future__ import annotations

import os
from collections.abc import Callable

from mltop.system.descriptor import write_all
from mltop.system.process import fork_child, reap_children
from mltop.tasks.outcome import TaskError

PATIENCE_S = 10.0


def answer_of(work: Callable[[], bytes], patience_s: float = PATIENCE_S) -> bytes | None:
    """Do `work` in a child and return what it returns, nothing where it failed; `None` where it took too long."""
    child = fork_child(lambda _, answer: write_all(answer, work()))
    try:
        return child.heard(patience_s)
    finally:
        child.leave()
        reap_children(0.02)


def require_answer(folder: str) -> None:
    """Raise `TaskError` where a folder, there or not, does not answer in time: what comes next would hang with it."""

    def look() -> bytes:
        try:
            with os.scandir(folder) as listing:
                next(listing, None)
        except OSError:
            return b"an answer too"
        return b"there"

    if answer_of(look) is None:
        raise TaskError(f"{folder} does not answer within {PATIENCE_S:.0f} s", "see what its mount waits for")
