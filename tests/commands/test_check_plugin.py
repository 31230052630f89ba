"""`check_mltop` as a monitoring server meets it: for each state its code, one line, and perfdata in one order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGIN = [sys.executable, "-c", "import sys; from mltop.commands.check.plugin import main; sys.exit(main())"]
ROOT = Path(__file__).parents[2]
Asked = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def plugin(tmp_path: Path) -> Asked:
    def ask(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        bare = {"PATH": os.environ["PATH"], "MLTOP_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*PLUGIN, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
            env=bare | environment, cwd=tmp_path,
        )  # fmt: skip

    return ask


@pytest.mark.parametrize(
    ("state", "code", "arguments"),
    [
        ("OK", 0, ("--only", "disk.space", "-w", "101", "-c", "101")),
        ("WARNING", 1, ("--only", "disk.space", "-w", "0", "-c", "101")),
        ("CRITICAL", 2, ("--only", "disk.space", "-w", "0", "-c", "0")),
        ("CRITICAL", 2, ("--only", "disk.space", "--warning=0", "--critical=@0:100")),
        ("UNKNOWN", 3, ("--only", "backup.age")),
        ("CRITICAL", 2, ("--only", "backup.age", "--unknown-as", "critical")),
        ("UNKNOWN", 3, ("--only", "no.such.check")),
        ("UNKNOWN", 3, ("-H", "localhost")),
        ("UNKNOWN", 3, ("-t", "0")),
    ],
)
def test_each_state_has_its_code_and_its_word(plugin: Asked, state: str, code: int, arguments: tuple[str, ...]) -> None:
    done = plugin(*arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(f"MLTOP {state} - ")
    assert done.stdout.count("\n") == 1
    assert len(done.stdout.partition(" | ")[0].rstrip("\n")) <= 80


def test_perfdata_has_the_same_labels_whatever_is_ill(plugin: Asked) -> None:
    only = ("--only", "mem.available,cpu.load")
    said = [plugin(*only, "-w", f"cpu.load={limit}", "-w", "mem.available=0:").stdout for limit in ("~:-1", "999999")]
    assert [re.findall(r"'([^']+)'=", text) for text in said] == [["mem_available", "load"]] * 2
    assert [text.split()[1] for text in said] == ["WARNING", "OK"]


@pytest.mark.parametrize("locale", ["C", "de_DE.UTF-8", ""])
def test_its_numbers_are_the_same_in_every_locale(plugin: Asked, locale: str) -> None:
    done = plugin("--only", "disk.space", LC_ALL=locale, LANG=locale)
    assert re.search(r"'disk_/'=[0-9.]+%;85;95 ", done.stdout)
