"""A user's box for `mltop jobs`, with cron and without systemd, whoever runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs_command import Here
from scheduler_box import Box

from mltop.jobs import scheduler


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.setattr(scheduler, "_BOOTED", tmp_path / "not-booted")
    return Here(Box(tmp_path), monkeypatch, capfd)
