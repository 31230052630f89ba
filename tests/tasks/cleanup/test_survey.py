"""The same is seen alone and with helpers, and whatever becomes of the helpers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.cleanup.look import Look, Parts, Terms, by_folder
from mltop.tasks.cleanup.survey import FOLDER, survey
from mltop.tasks.inuse import InUse
from mltop.tasks.outcome import CancelledError, Control

Survey = Callable[..., dict[Parts, Look]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for number in range(60):
        folder = root / f"d{number % 7}" / f"größe-{number}" / os.fsdecode(b"caf\xe9\n")
        folder.mkdir(parents=True)
        for each in range(20):
            (folder / f"file {each}\n").write_bytes(b"x" * each)
        (folder / "link").symlink_to("gone")
        os.link(folder / "file 3\n", folder / "other name")
    return root


@pytest.fixture
def see(tree: Path) -> Survey:
    def run(alone: int, control: Control | None = None) -> dict[Parts, Look]:
        fd = os.open(tree, FOLDER)
        try:
            status = os.fstat(fd)
            nothing: frozenset[int] = frozenset()
            terms = Terms(
                root=str(tree),
                device=status.st_dev,
                cutoff=time.time() + 60,
                has_atime=True,
                own_uid=None,
                excludes=Excludes(()),
                held=InUse(nothing, frozenset(), nothing, 0),
                held_inodes=nothing,
                held_names=by_folder(()),
                mounts=by_folder(()),
            )
            return survey(fd, status.st_ino, terms, control or Control(), alone)
        finally:
            os.close(fd)

    return run


def _children() -> list[int]:
    """Those that live: one that does not end within the patience with it is a zombie for a while, on a busy box."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
        found = [int(each) for each in file.read().split()]
    return [pid for pid in found if "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()]


def _plain(looks: dict[Parts, Look]) -> dict[Parts, tuple[object, ...]]:
    """Without the times, which a listing of a folder moves."""
    return {parts: (seen.names, seen.marks, seen.freed, seen.kept, seen.files) for parts, seen in looks.items()}


def test_with_helpers_it_is_the_same(see: Survey) -> None:
    before = _children()
    alone, helped = see(10**9), see(0)
    assert sum(len(seen.names) for seen in alone.values()) == 60 * 22
    assert _plain(helped) == _plain(alone)
    order = list(helped)
    assert all(order.index(parts[:-1]) < order.index(parts) for parts in order if parts)
    assert _children() == before, "nobody is left behind"


def test_helpers_that_are_killed_are_done_without(see: Survey) -> None:
    mine = set(_children())

    class Killer(Control):
        def check(self) -> None:
            for pid in set(_children()) - mine:
                os.kill(pid, signal.SIGKILL)

    assert _plain(see(0, Killer())) == _plain(see(10**9))


def test_one_that_is_asked_to_stop_takes_its_helpers_along(see: Survey) -> None:
    mine = set(_children())

    def has_helpers() -> bool:
        return bool(set(_children()) - mine)

    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: no helpers")
    with pytest.raises(CancelledError):
        see(0, Control(is_cancelled=has_helpers))
    deadline = time.monotonic() + 10
    while has_helpers():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_a_file_that_was_written_to_has_another_mark(see: Survey, tree: Path) -> None:
    before = see(10**9)
    parts = next(parts for parts, seen in before.items() if seen.names)
    (tree.joinpath(*parts) / before[parts].names[0]).write_bytes(b"longer than it was before")
    changed = [one != other for one, other in zip(before[parts].marks, see(10**9)[parts].marks, strict=True)]
    assert changed == [True] + [False] * (len(changed) - 1)
