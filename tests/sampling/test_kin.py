from __future__ import annotations

import os
from typing import Any

import pytest

from mltop.sampling.kin import Kin, kin


def test_this_users_processes_of_a_name_are_found_whatever_is_in_it(box: Any) -> None:
    box.process(60, "mltop-probe", state="D", ppid=1, start=777)
    box.process(61, "mltop-m-1) S 1 ", state="S", ppid=60)
    box.process(62, "python3")
    for pid, comm in ((60, "mltop-probe"), (61, "mltop-m-1) S 1 "), (62, "python3")):
        box.proc(f"{pid}/comm", f"{comm}\n")
    box.proc("63/comm", "mltop-probe\n")  # gone before its `stat` is read
    box.proc("self/comm", "mltop-probe\n")
    assert list(kin(box.roots.proc, b"mltop-")) == [
        Kin(60, b"mltop-probe", b"D", 1, 777),
        Kin(61, b"mltop-m-1) S 1 ", b"S", 60, 100),
    ]
    assert [one.pid for one in kin(box.roots.proc, b"mltop-m-")] == [61]


def test_a_name_that_only_stat_has_is_found(box: Any) -> None:
    box.process(60, "mltop-probe")
    assert [one.pid for one in kin(box.roots.proc, b"mltop-probe")] == [60]


def test_another_users_are_not_ones_own(box: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file another user's")
    box.process(60, "mltop-probe")
    os.chown(box.roots.proc / "60", 12345, 12345)
    assert list(kin(box.roots.proc, b"mltop-")) == []


def test_no_procfs_has_none(box: Any) -> None:
    assert list(kin(box.roots.proc / "nowhere", b"mltop-")) == []
