"""Which limits the kernel really holds a run to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.jobs.runner import held


def cgroup(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/user.slice/mltop-a.service\n", "fs/cgroup/user.slice/mltop-a.service"),
        ("12:memory:/x\n0::/\n", "fs/cgroup"),
        ("12:memory:/x\n", None),
        ("", None),
    ],
)
def test_our_cgroup(tmp_path: Path, text: str, path: str | None) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(text)
    assert held.own_cgroup(tmp_path, tmp_path) == (tmp_path / path if path else None)


@pytest.mark.parametrize(
    ("text", "is_held"), [("1073741824", True), ("1000", True), ("1073741825", False), ("max", False), ("", False)]
)
def test_memory_is_held_where_the_kernel_says_so(tmp_path: Path, text: str, is_held: bool) -> None:
    assert held.holds_memory(cgroup(tmp_path, memory_max=text), 1 << 30) is is_held


@pytest.mark.parametrize(
    ("text", "is_held"),
    [("200000 100000", True), ("100000 50000", True), ("max 100000", False), ("250000 100000", False), ("junk", False)],
)
def test_cpu_is_held_where_the_kernel_says_so(tmp_path: Path, text: str, is_held: bool) -> None:
    assert held.holds_cpu(cgroup(tmp_path, cpu_max=text), 200) is is_held


def test_without_controllers_nothing_is_held(tmp_path: Path) -> None:
    assert not held.holds_memory(tmp_path, 1)
    assert not held.holds_cpu(tmp_path, 1)
    assert not held.holds_cpu(None, 1)
