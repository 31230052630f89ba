"""The same verdict wherever `mltop --check` is called from: cron's environment, another locale, no stdin (C14)."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import driver
import pytest

ONLY = "gpu.*,self.config,svc.unit,api,redis,pg,tcp,job.*,backup.*,disk.mount_missing"
"""What says the same twice on a box that is at work: no load, no free memory."""
TIMES = ("time", "duration_s")


class Caller:
    """A box with eight GPUs, one of them lost, and one way to call mltop there."""

    def __init__(self, folder: Path, fake: driver.FakeNvml) -> None:
        fake.scenario("8xh100-lost-at-start")
        driver.make_sysfs(folder / "sys", driver.DGX_BUS_IDS)
        self.folder = folder
        self.needed = {
            **fake.env, "MLTOP_SYSFS": str(folder / "sys"), "MLTOP_KMSG": os.devnull,
            "MLTOP_STATE_DIR": str(folder / "state"), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip

    def __call__(self, *arguments: str, environment: dict[str, str] | None = None, **more: Any) -> bytes:
        usual = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        values: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": self.folder, **more}
        done = subprocess.run(
            [sys.executable, "-m", "mltop", "--check", "--no-state", "--only", ONLY, *arguments],
            env={**self.needed, **(usual if environment is None else environment)},
            capture_output=True, timeout=30, check=False, **values,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (2, b"")
        return done.stdout

    def document(self, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self("--json", **more))
        for key in TIMES:
            del made[key]
        for one in made["results"]:
            del one["duration_s"], one["since"]
            if one["check"] == "gpu.responsive":
                del one["summary"]  # the time that it took
        return made


@pytest.fixture
def call(tmp_path: Path, fake_nvml: driver.FakeNvml) -> Caller:
    return Caller(tmp_path, fake_nvml)


BARE: dict[str, str] = {}
GERMAN = {"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}
ENVIRONMENTS = {
    "cron": {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": "/nonexistent"},
    "empty": BARE,
    "German, with no PATH": {**GERMAN, "PATH": ""},
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    "Tokyo, narrow": {"TZ": "Asia/Tokyo", "COLUMNS": "20", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
}


def test_every_environment_gives_the_same_document(call: Caller) -> None:
    usual = call.document()
    assert usual["counts"]["critical"] == 1
    for name, environment in ENVIRONMENTS.items():
        assert call.document(environment=environment) == usual, name


@pytest.mark.parametrize("form", ["human", "nagios"])
def test_another_locale_changes_no_letter(call: Caller, form: str) -> None:
    def words(environment: dict[str, str]) -> list[bytes]:
        """All but what is a time."""
        timed = (b" in ", b"answered in", b"timestamp", b"duration")
        lines = [line.partition(b"run=")[0] for line in call("-f", form, environment=environment).splitlines()]
        return [line for line in lines if not any(word in line for word in timed)]

    assert words(GERMAN) == words(BARE)


def test_how_it_is_called_changes_nothing(call: Caller) -> None:
    def leave() -> None:
        gone = call.folder / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    usual = call.document()
    for prepare in (lambda: os.close(0), lambda: os.umask(0o777), lambda: os.chdir("/"), leave):
        assert call.document(preexec_fn=prepare) == usual
    master, slave = pty.openpty()
    try:
        assert call.document(stdin=slave) == usual
    finally:
        os.close(master)
        os.close(slave)
