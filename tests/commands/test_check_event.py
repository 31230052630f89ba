"""`[log] events`: each verdict as a line of JSON, and no verdict that waits for it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Box = Any
HOST = ("--check", "--only", "disk.space,mem.available")


def check(box: Box, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "mltop", *HOST, *more]
    return subprocess.run(
        words, env=box.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )


def test_each_verdict_is_an_event(task_box: Box) -> None:
    path = task_box.folder / "events.jsonl"
    task_box.write(f'[log]\nevents = "{path}"\n[limits]\n"mem.available" = {{ warn = 101 }}')
    done = check(task_box)
    assert (done.returncode, done.stderr) == (1, "")
    (event,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (event["event"], event["state"], event["exit_code"]) == ("verdict", "WARNING", 1)
    assert [one["check"] for one in event["results"]] == ["mem.available"]
    check(task_box, "--no-state")
    assert len(path.read_text().splitlines()) == 1  # nothing is written under --no-state


def test_a_file_that_cannot_be_had_keeps_no_verdict_waiting(task_box: Box) -> None:
    path: Path = task_box.folder / "events.jsonl"
    task_box.write(f'[log]\nevents = "{path}"')
    code = check(task_box, "--no-state").returncode
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        done = check(task_box)
        assert time.monotonic() - began < 10
        assert done.returncode == code
        assert done.stderr == f"mltop: [log] events: {path}: it does not answer\n"
    path.unlink()
    os.mkfifo(path)
    assert check(task_box).stderr == f"mltop: [log] events: {path}: No such device or address\n"
