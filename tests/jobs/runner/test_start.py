"""A job that is started by hand outlives who started it (J39)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_box import FALLBACK_S, Box, wait_until

from mltop.jobs.history.history import History
from mltop.jobs.runner import alive
from mltop.jobs.runner.start import Start, StartError, kept, start
from mltop.model.job import RunState


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    found = Box(tmp_path)
    yield found
    found.close()


def test_it_survives_the_end_of_its_terminal_and_of_its_shell(box: Box) -> None:
    box.write(f'[jobs.job]\nkind = "command"\ncommand = "while [ ! -e {box.folder}/go ]; do sleep 0.02; done"\n')
    shell, ours = box.on_terminal("sh", "-c", f"{sys.executable} -m mltop jobs run job; exec sleep 60")
    (running,) = box.running()
    os.killpg(shell.pid, signal.SIGHUP)
    shell.kill()
    shell.wait(FALLBACK_S)
    os.close(ours)  # the terminal is gone

    def shells() -> list[int]:
        return [pid for pid in alive.of_run(running.id) if alive.name(pid) == "sh"]

    wait_until(shells, "the job's own shell, which may not be executed yet")
    (main,) = shells()
    assert os.getsid(main) != shell.pid
    assert box.last().state is RunState.RUNNING
    (box.folder / "go").touch()
    wait_until(lambda: box.last().state is RunState.OK, "its end")
    assert box.last().trigger == "manual"
    assert len(History(box.state).runs()) == 1


def test_what_cannot_be_executed_is_told_to_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mltop.jobs.runner.start.manager_off", lambda *_: "no systemd runs on this box")
    with pytest.raises(StartError, match="No such file or directory"):
        start(Start(("/no/such/program",), {"PATH": "/bin"}), "job", {})


def test_it_keeps_of_the_environment_what_names_its_files_alone() -> None:
    given = {"HOME": "/h", "MLTOP_CONFIG": "/c", "LANG": "de_DE", "SECRET": "x", "PATH": "/opt", "DISPLAY": ":0"}
    found = kept(given)
    assert {name: found.get(name) for name in given} == {
        "HOME": "/h",
        "MLTOP_CONFIG": "/c",
        "LANG": "de_DE",
        "SECRET": None,
        "PATH": "/usr/bin:/bin",
        "DISPLAY": None,
    }
