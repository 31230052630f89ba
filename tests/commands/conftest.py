"""A box with jobs: a config, a state, a model tree, and mltop on them as a script meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import patience
import pytest

from mltop.jobs.history.history import History
from mltop.model.job import Run

FALLBACK_S = 20.0


class TaskBox:
    """Everything lies in one folder, which is the home too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.models = folder / "models"
        self.target = folder / "backups"
        (folder / "sys/bus/pci/devices").mkdir(parents=True)
        self.environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "MLTOP_CONFIG": str(self.config),
            "MLTOP_STATE_DIR": str(self.state),
            "MLTOP_SYSFS": str(folder / "sys"),
        }

    def write(self, *tables: str) -> None:
        self.config.write_text("\n".join(("version = 1", *tables)) + "\n")

    def write_backup(self, more: str = "") -> None:
        """The job `m`: the model tree to the target."""
        self.write(
            f'[jobs.m]\nkind = "backup"\nsource = "{self.models}"\ntarget = "{self.target}"\nsettle = "0s"\n{more}'
        )

    def make_models(self) -> None:
        (self.models / "llama").mkdir(parents=True)
        (self.models / "config.json").write_text("{}")
        (self.models / "llama" / "weights.bin").write_bytes(os.urandom(300_000))
        (self.models / "llama" / "latest").symlink_to("weights.bin")

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        values: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(
            [sys.executable, "-m", "mltop", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            text=True,
            **values,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def code(self, *words: str) -> int:
        return self.run(*words)[0]

    def document(self, *words: str) -> tuple[int, dict[str, Any]]:
        """What `--json` prints, which is one document whatever the code."""
        code, out, _ = self.run(*words, "--json")
        made: dict[str, Any] = json.loads(out)
        return code, made

    def runs(self) -> list[Run]:
        return list(History(self.state).runs())

    @staticmethod
    def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
        patience.wait_until(condition, FALLBACK_S, what)


@pytest.fixture
def task_box(tmp_path: Path) -> TaskBox:
    return TaskBox(tmp_path)
