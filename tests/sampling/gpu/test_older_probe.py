"""A stuck probe of an earlier mltop is found by comm, uid and state (D2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.sampling.gpu.older_probe import stuck_probes
from mltop.sampling.root import Roots


def _process(root: Path, pid: int, comm: str, state: str, parent: int) -> None:
    (root / str(pid)).mkdir()
    (root / str(pid) / "stat").write_text(f"{pid} ({comm}) {state} {parent} {pid} {pid} 0 -1 4194304\n")
    (root / str(pid) / "comm").write_text(f"{comm}\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    _process(tmp_path, 1, "systemd", "S", 0)
    _process(tmp_path, 50, "mltop", "S", 1)
    (tmp_path / "uptime").write_text("1 1\n")
    return tmp_path


def test_state_d_is_suspect(proc: Path) -> None:
    _process(proc, 60, "mltop-probe", "D", 50)
    assert stuck_probes(Roots(proc=proc)) == {60}
    assert stuck_probes(Roots(proc=proc), mine=60) == frozenset()


def test_healthy_probes_and_others_are_not(proc: Path) -> None:
    _process(proc, 60, "mltop-probe", "S", 50)
    _process(proc, 61, "mltop-probe", "Z", 1)
    _process(proc, 62, "mltop-reader", "D", 50)
    _process(proc, 63, "evil) D 1 (", "S", 50)
    assert stuck_probes(Roots(proc=proc)) == frozenset()


def test_orphan_is_stuck(proc: Path) -> None:
    _process(proc, 60, "mltop-probe", "R", 1)
    assert stuck_probes(Roots(proc=proc)) == {60}


def test_in_a_container_the_first_process_may_be_an_mltop(proc: Path) -> None:
    (proc / "1/comm").write_text("mltop\n")
    _process(proc, 60, "mltop-probe", "S", 1)
    assert stuck_probes(Roots(proc=proc)) == frozenset()


def test_other_users_probes_are_theirs(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _process(proc, 60, "mltop-probe", "D", 1)
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    assert stuck_probes(Roots(proc=proc)) == frozenset()


def test_unreadable_proc(tmp_path: Path) -> None:
    assert stuck_probes(Roots(proc=tmp_path / "none")) == frozenset()
