"""What the process list shows, and what of it may be signalled."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.model.snapshot import GpuProcess, Process, Processes, Status
from mltop.ui.line import Role, text_of
from mltop.ui.panes import DRAW
from mltop.ui.panes.process import capacity, first_visible, row_at, rows


def _view(build: Any, *processes: Process, gpus: Any = ()) -> Any:
    snapshot = build.snapshot(gpus, processes=0)
    top = Processes(age_s=0.0, total=len(processes), top=tuple(processes))
    return build.view(build.replace(snapshot, processes=top))


def _process(pid: int, **changes: Any) -> Process:
    return Process(**{"pid": pid, "name": f"n{pid}", "user": "mluser", "cpu_percent": 1.0, "rss_bytes": 1} | changes)


def test_gpu_facts_are_joined_by_pid(build: Any) -> None:
    view = build.view(build.snapshot(4))
    first = rows(view)[0]
    assert first.pid == 412201
    assert first.gpus == (0, 1)
    assert first.gpu_memory_bytes == 2 * (70 * build.G - (100 << 20))
    assert first.sm_percent == 98.0


def test_a_process_the_list_has_not_is_still_shown(build: Any) -> None:
    gpu = build.gpu(0)
    view = _view(build, _process(5), gpus=(gpu,))
    assert [row.pid for row in rows(view)] == [412201, 5]


def test_lost_gpus_processes_stay_and_say_so(build: Any) -> None:
    """M18."""
    view = build.view(build.snapshot((build.lost(0),), processes=0))
    (row,) = rows(view)
    assert row.status is Status.LOST
    line = DRAW["process"](view, 100, 5)[1]
    assert "(GPU lost) python train.py" in text_of(line)
    assert {role for text, role in line if text.strip()} == {Role.STALE}


def test_a_lost_gpus_foreign_pids_are_not_taken_for_local_ones(build: Any) -> None:
    """D16: the last known process of a lost GPU may be another container's."""
    process = GpuProcess(pid=400002, gpu_memory_bytes=70 * build.G, status=Status.LOST)
    view = _view(build, _process(5), gpus=(build.replace(build.lost(0), processes=(process,)),))
    row = rows(view)[0]
    assert row.status is Status.LOST
    assert row.pid is None
    assert row.gpus == (0,)


@pytest.mark.parametrize(
    ("sort", "first"), [("cpu", 2), ("memory", 3), ("pid", 1), ("user", 2), ("time", 1), ("command", 3), ("gpu", 2)]
)
def test_sorts(build: Any, sort: str, first: int) -> None:
    view = _view(
        build,
        _process(1, running_s=9.0, command="zz", user="zz"),
        _process(2, cpu_percent=80.0, running_s=1.0, command="mm", user="aa"),
        _process(3, rss_bytes=900, running_s=2.0, command="aa", user="ops"),
    )
    view.processes.sort = sort
    assert rows(view)[0].pid == first
    view.processes.invert = True
    assert rows(view)[-1].pid == first


@pytest.mark.parametrize(
    ("text", "pids"), [("n1", {1, 12}), ("MLUSER", {1}), ("!mluser", {2, 12}), ("12", {12}), ("!", {1, 2, 12})]
)
def test_filters(build: Any, text: str, pids: set[int]) -> None:
    view = _view(build, _process(1), _process(2, user="ops"), _process(12, user="ops"))
    view.processes.filter = text
    assert {row.pid for row in rows(view)} == pids


def test_tree_is_ordered_and_whole(build: Any) -> None:
    view = _view(
        build,
        _process(4, ppid=2),
        _process(2, ppid=1),
        _process(3, ppid=1),
        _process(9, ppid=777),
        _process(6, ppid=6),
        _process(7, ppid=8),
        _process(8, ppid=7),
        _process(1, ppid=0),
    )
    view.processes.tree = True
    view.processes.sort = "pid"
    found = rows(view)
    assert len(found) == 8
    assert [(row.pid, row.depth) for row in found[:4]] == [(1, ""), (2, "├ "), (4, "│ └ "), (3, "└ ")]


def test_by_user_sums_over_all_gpus(build: Any) -> None:
    """M22."""
    view = build.view(build.snapshot(8))
    view.processes.by_user = True
    mluser = rows(view)[0]
    assert mluser.user == "mluser"
    assert mluser.pid is None
    assert mluser.gpus == (0, 1, 2, 3, 4, 5, 7)
    total = sum(p.gpu_memory_bytes or 0 for gpu in view.snapshot.gpus for p in gpu.processes)
    assert mluser.gpu_memory_bytes == total


def test_refused_lists_are_not_called_none(build: Any) -> None:
    """M20."""
    gpu = build.gpu(0, processes=(), processes_status=Status.NO_PERMISSION)
    text = "\n".join(map(text_of, DRAW["process"](build.view(build.snapshot((gpu,), processes=0)), 80, 8)))
    assert "GPU 0: processes not permitted" in text


def test_the_same_snapshot_gives_the_same_rows(build: Any) -> None:
    view = build.view(build.snapshot(2))
    assert rows(view) is rows(view)
    view.processes.invert = True
    again = rows(view)
    assert again is rows(view)


@pytest.mark.parametrize("size", [(80, 9), (120, 14), (40, 5)])
def test_a_click_finds_the_row_that_is_drawn(build: Any, size: tuple[int, int]) -> None:
    width, height = size
    view = build.view(build.snapshot(2))
    view.processes.offset = 3
    lines = DRAW["process"](view, width, height)
    found = rows(view)
    room = capacity(width, height, view)
    hits = [row_at(view, y, width, height) for y in range(height)]
    assert [hit for hit in hits if hit is not None] == list(range(3, 3 + room))
    for y, hit in enumerate(hits):
        if hit is not None:
            assert str(found[hit].pid) in text_of(lines[y])


def test_the_last_page_is_full(build: Any) -> None:
    view = build.view(build.snapshot(2))
    view.processes.offset = 10_000
    assert first_visible(view, 60, 10) == 50
    assert first_visible(view, 5, 10) == 0


def test_tags_and_cursor_are_seen_without_colour(build: Any) -> None:
    view = _view(build, _process(4194304), _process(2))
    view.processes.tagged = {4194304}
    view.processes.sort = "pid"
    view.processes.cursor = 2
    lines = DRAW["process"](view, 80, 4)
    assert text_of(lines[2]).startswith(" 4194304*mluser")
    assert lines[1][1][1] is Role.CURSOR


def test_wide_text_keeps_columns(build: Any) -> None:
    process = GpuProcess(pid=7, user="名前名前名前", command="訓練" * 60, gpu_memory_bytes=1, status=Status.OK)
    view = build.view(build.snapshot((build.gpu(0, processes=(process,)),), processes=0))
    lines = DRAW["process"](view, 80, 4)
    from rich.cells import cell_len

    assert cell_len(text_of(lines[1])) == 80
