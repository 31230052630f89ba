"""Every write that mltop makes outside a job's run, a line of JSON in `operations.jsonl`: who did what, to what.

Changes of schedules and configs, which can be taken back, are noted by `mltop.jobs.plan.operation` in the same file.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from mltop.jobs import moment
from mltop.jobs.place import make
from mltop.system.file import append_line

NAME = "operations.jsonl"
_LONGEST = 1000


def note(state: Path | None, operation: str, target: str | None, **details: str | int | None) -> str | None:
    """Append an operation that was done; why it could not be noted, in words, or `None`. Raises nothing.

    What is done is done: a note that fails is said, and takes nothing back.
    """
    if state is None:
        return "not noted: no folder for mltop's state"
    import json

    now = time.time()
    line: dict[str, str | int | None] = {"id": moment.run_id(now), "time": moment.utc(now)}
    line |= {"operation": operation, "target": target, "uid": os.geteuid(), "pid": os.getpid()}
    line |= {key: value[:_LONGEST] if isinstance(value, str) else value for key, value in details.items()}
    try:
        append_line(make(state) / NAME, json.dumps(line, ensure_ascii=False).encode("utf-8", "replace"))
    except OSError as error:
        return f"not noted in {state / NAME}: {error.strerror}"
    return None
