"""A config, a state, and `mltop run` on them, as a scheduler calls it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import patience

from mltop.jobs.history.history import History
from mltop.jobs.history.spool import in_memory
from mltop.jobs.runner import alive
from mltop.model.job import Run, RunState

FALLBACK_S = 10.0


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    patience.wait_until(condition, FALLBACK_S, what)


class Box:
    """A config, a state, and the command on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "config.toml"
        self.history = History(self.state)
        self.environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "MLTOP_STATE_DIR": str(self.state),
            "MLTOP_CONFIG": str(self.config),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "mltop", "run", *words],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._started.append(process)
        return process

    def on_terminal(self, *argv: str) -> tuple[subprocess.Popen[bytes], int]:
        """A command on a terminal of its own, and our end of that."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            argv, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._started.append(process)
        return process, ours

    def run(self, *words: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out.decode(), err.decode()

    def write(self, text: str) -> None:
        self.config.write_text("version = 1\n" + text)

    def last(self) -> Run:
        (run, *_) = History(self.state).runs(limit=1)
        return run

    def log(self) -> str:
        path = self.last().log_path
        assert path is not None
        return Path(path).read_text()

    def running(self, count: int = 1) -> list[Run]:
        """The runs that are noted as running, once there are so many."""
        found: list[Run] = []

        def look() -> bool:
            found[:] = [run for run in History(self.state).runs() if run.state is RunState.RUNNING]
            return len(found) >= count

        wait_until(look, f"{count} running")
        return found

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for run in History(self.state).runs():
            for pid in alive.of_run(run.id):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        in_memory(self.state).unlink(missing_ok=True)


def sh(text: str) -> tuple[str, ...]:
    return ("--", "/bin/sh", "-c", text)
