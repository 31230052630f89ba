"""The verdict as a line of `[log] events`, written by a child: a file on a dead mount keeps no verdict waiting (D1)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mltop.config.event_path import expanded
from mltop.model.verdict import State, Verdict

_PATIENCE_S = 0.25
_MOST = 50
"""Results in one event; a box with more to say has said enough."""


def note(verdict: Verdict, events: str) -> None:
    """Append it; what keeps it from being written is said on standard error, and changes no exit code."""
    from mltop.system.process import fork_child

    path = expanded(events, os.environ)
    if path is None:
        return
    child = fork_child(lambda _, write: _append(path, _values(verdict), write))
    try:
        said = child.heard(_PATIENCE_S)
    finally:
        child.leave()
    complaint = "it does not answer" if said is None else said.decode("utf-8", "replace")
    if complaint:
        sys.stderr.write(f"mltop: [log] events: {path}: {complaint}\n")


def _append(path: Path, values: dict[str, Any], write: int) -> None:
    from mltop.system import event_log

    try:
        event_log.note(path, "verdict", values)
    except OSError as error:
        os.write(write, (error.strerror or str(error)).encode())


def _values(verdict: Verdict) -> dict[str, Any]:
    """What a search is made by, and every result that is not well."""
    bad = [one for one in verdict.results if one.state not in (State.OK, State.SKIP)][:_MOST]
    return {
        "state": str(verdict.state),
        "exit_code": verdict.exit_code,
        "profile": verdict.profile,
        "complete": verdict.complete,
        "duration_s": verdict.duration_s,
        "boot_id": verdict.boot_id,
        "results": [
            {"check": one.check, "target": one.target_name, "state": str(one.state), "summary": one.summary}
            for one in bad
        ],
    }
