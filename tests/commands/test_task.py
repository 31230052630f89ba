"""`mltop task KIND JOB`, as the wrapper starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mltop.model.job import RunState

Box = Any


def test_a_box_that_is_not_well_is_no_failed_run(task_box: Box) -> None:
    task_box.write('[expect]\ngpus = 8\n[jobs.h]\nkind = "check"')
    assert task_box.code("--check", "--only", "gpu.*") == 2
    assert task_box.code("run", "h") == 0
    (run,) = task_box.runs()
    assert run.state is RunState.OK
    assert "CRITICAL" in Path(run.log_path or "").read_text()


def test_no_verdict_is_a_failed_run(task_box: Box) -> None:
    task_box.write('[expect]\ngpus = "many"\n[jobs.h]\nkind = "check"')
    assert task_box.code("run", "h") == 3
    assert task_box.runs()[0].state is RunState.FAILED


@pytest.mark.parametrize("words", [(), ("backup",), ("frob", "h"), ("backup", "h"), ("check", "nosuch")])
def test_wrong_usage_is_2(task_box: Box, words: tuple[str, ...]) -> None:
    task_box.write('[jobs.h]\nkind = "check"')
    assert task_box.code("task", *words) == 2


def test_the_wrappers_child_loads_no_rich(task_box: Box) -> None:
    task_box.make_models()
    task_box.write_backup()
    script = (
        "import sys; from mltop.commands.task import main; code = main(['backup', 'm']);"
        "print(sorted({'rich', 'textual', 'psutil', 'pynvml'} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=task_box.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"
