"""`mltop rotate export` against the real logrotate: validated, and then really rotated by it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

CONFIG = """version = 1
[jobs.r]
kind = "rotate"
[[jobs.r.rules]]
paths = ["{0}/a/*.log"]
size = "1KiB"
keep = 3
compression = "gzip"
[[jobs.r.rules]]
paths = ["{0}/open/*.log", "{0}/none/*.log"]
age = "1d"
size = "1MiB"
compression = "none"
[[jobs.r.rules]]
paths = ["{0}/c/*.log"]
age = "1d"
mode = "copytruncate"
compression = "none"
after = ["touch", "{0}/it's done"]
"""


@pytest.fixture
def logrotate() -> str:
    found = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip("no logrotate on this box")
    return found


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("a", "open", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.log").write_text("line\n" * 1000)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "config.toml").write_text(CONFIG.format(tmp_path))
    return tmp_path


def _export(box: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mltop", "rotate", "export", *words, "--config", str(box / "config.toml")]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)


def test_the_real_logrotate_takes_it_and_rotates(box: Path, logrotate: str) -> None:
    file = box / "logrotate.conf"
    done = _export(box, "r", "-o", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert file.stat().st_mode & 0o777 == 0o644
    ran = subprocess.run(
        [logrotate, "-f", "-s", box / "status", file], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    for name in ("a", "open", "c"):
        rotated = [each for each in (box / name).iterdir() if each.name != "x.log"]
        assert [each.stat().st_size for each in rotated] == [5000], name
        assert (box / name / "x.log").stat().st_size == 0
    assert (box / "it's done").exists()


def test_what_logrotate_would_not_take_is_said(box: Path, logrotate: str) -> None:
    text = (box / "config.toml").read_text() + f'[[jobs.r.rules]]\npaths = ["{box}/a/x.log"]\nage = "1d"\n'
    (box / "config.toml").write_text(text)
    done = _export(box)
    assert done.returncode == 1
    assert "duplicate log entry" in done.stderr
