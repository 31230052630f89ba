"""`mltop jobs` on a user's box of its own: a config, a state, and a crontab program of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from scheduler_box import Box

CONFIG = """\
version = 1
# what this box does
[jobs.hello]
kind = "command"
command = "echo hello"   # said nightly
schedule = "0 2 * * *"
backend = "cron"

[jobs.other]
kind = "command"
command = ["true"]
"""
MINE = b'MAILTO=me\n# a=b\n0 1 * * * echo $WHO > "$HOME/out" 2>&1%%x\nWHO=later\n'


class Mltop:
    """mltop with a config, a state and a home of its own."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.config = box.folder / "config.toml"
        self.config.write_text(CONFIG)
        box.tab.write_bytes(MINE)
        self.environment = box.environment | {
            "MLTOP_CONFIG": str(self.config),
            "MLTOP_STATE_DIR": str(box.state),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(box.folder / "runtime"),
        }

    def __call__(self, *words: str, code: int = 0) -> str:
        argv = [sys.executable, "-m", "mltop", "jobs", *words]
        done = subprocess.run(
            argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        self.said = done.stderr
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*words, "--json", code=code))
        return found


ADDING = """
import sys
from mltop.commands.jobs import main
for number in range(int(sys.argv[2])):
    values = ["command=true", "schedule=%d 1 * * *" % number, "backend=cron"]
    sets = [word for value in values for word in ("--set", value)]
    code = main(["add", "%s-%d" % (sys.argv[1], number), "--kind", "command", *sets, "--apply", "--json"])
    assert code == 0, code
"""


def add_at_once(mltop: Mltop, count: int) -> None:
    """Two processes add as many jobs each; all of them have to be there, in the config and in the crontab."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ADDING, name, str(count)],
            env=mltop.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for name in ("one", "two")
    ]
    said = [one.communicate(timeout=180)[1].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    expected = {f"{name}-{number}" for name in ("one", "two") for number in range(count)}
    assert expected == set(tomllib.loads(mltop.config.read_text())["jobs"]) - {"hello", "other"}
    rows = [line for line in mltop.box.tab.read_text("latin-1").splitlines() if " # mltop:v1:" in line]
    assert {line.split(" run ")[1].split()[0] for line in rows} == expected
    assert len(rows) == 2 * count
    assert mltop.box.tab.read_bytes().startswith(MINE)


class Here(Mltop):
    """The same within the test's own process, where many calls are made: starting Python takes longer than they do."""

    def __init__(self, box: Box, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        super().__init__(box)
        self._patch, self._captured = monkeypatch, capfd
        for name in os.environ:
            monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def __call__(self, *words: str, code: int = 0) -> str:
        from mltop.commands.jobs import main

        self._captured.readouterr()
        try:
            found = main(list(words))
        except SystemExit as end:
            found = int(end.code or 0)
        out, self.said = self._captured.readouterr()
        assert found == code, f"{words}: {found}\n{out}{self.said}"
        return out
