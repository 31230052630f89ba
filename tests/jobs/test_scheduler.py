"""Which schedulers are here, by the processes of a box of its own."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from mltop.jobs.scheduler import cron_daemon, is_cron_running


def box(folder: Path, **names: str) -> Path:
    for pid, name in names.items():
        (folder / pid.removeprefix("p")).mkdir()
        (folder / pid.removeprefix("p") / "comm").write_text(f"{name}\n")
    return folder


@pytest.mark.parametrize(
    ("names", "pid"),
    [({"p7": "sh", "p9": "cron"}, 9), ({"p7": "crond"}, 7), ({"p7": "cronish", "psys": "cron"}, None), ({}, None)],
)
def test_the_daemon_by_its_name(tmp_path: Path, names: dict[str, str], pid: int | None) -> None:
    assert cron_daemon(box(tmp_path, **names)) == pid
    gc.collect()  # an iterator that is left open would warn, which is an error here


def test_processes_that_cannot_be_seen_are_not_off(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cron_daemon(tmp_path / "none")
    assert is_cron_running(tmp_path / "none")
