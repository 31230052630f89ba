"""How a run stands: a word of the public contract, apart from the records, so that `mltop run` loads it alone."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """How a run stands, or how it ended."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    STUCK = "stuck"
    """The child survived SIGKILL (state D)."""
    LOST = "lost"
    """The wrapper is gone without a word: power cut, OOM, kill -9."""
    ABORTED = "aborted"
    """Ended by hand."""
