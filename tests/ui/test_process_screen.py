"""The page of one process: the snapshot's values at once, what is read on request as it comes, and why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.model.process_detail import Kin, OpenFile, ProcessDetail, Socket
from mltop.model.snapshot import Status
from mltop.ui.ask import Ask
from mltop.ui.format import cells, fold
from mltop.ui.line import text_of, width_of
from mltop.ui.messages import Sampled
from mltop.ui.screens import process_detail
from mltop.ui.screens.process_detail import ProcessScreen
from mltop.ui.screens.process_facts import detail_lines, remedies

PID = 412201
STARTED = "2026-02-27T09:00:00Z"
FULL = ProcessDetail(
    pid=PID,
    name="python3",
    state="R",
    command="python train.py --config h100.yaml --seed 17",
    executable="/opt/env/bin/python3.11",
    is_replaced=False,
    directory="/data/runs/one",
    cpu_percent=101.0,
    cpu_user_s=7200.0,
    cpu_system_s=60.0,
    threads=12,
    affinity="0-31",
    affinity_count=32,
    nice=5,
    io_class="best-effort 4",
    rss_bytes=31 << 30,
    uss_bytes=30 << 30,
    pss_bytes=30 << 30,
    swap_bytes=0,
    read_bytes=10 << 30,
    read_bytes_per_s=0.0,
    written_bytes=1 << 20,
    files_open=990,
    files_limit=1024,
    kinds={"files": 6, "sockets": 984},
    files=(OpenFile(path="/dev/nvidia0", count=6),),
    sockets=(Socket(kind="tcp", local="0.0.0.0:29500", state="LISTEN"),),
    sockets_count=1,
    environment={"LOCAL_RANK": "3"},
    children=(Kin(pid=77, name="loader", state="D", cpu_s=3.0, rss_bytes=1 << 30),),
    children_count=1,
)


async def opened(bench: Any, build: Any) -> ProcessScreen:
    bench.app.post_message(Sampled(build.snapshot(gpus=8)))
    await bench.shows("train.py")
    page = ProcessScreen(PID, STARTED)
    await bench.app.push_screen(page)
    return page


def saying(*documents: ProcessDetail, then: str = "") -> Ask:
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in documents)
    return Ask((sys.executable, "-S", "-c", f"import os, sys; os.write(1, {lines!r}); {then}"))


async def test_what_is_read_on_request_joins_what_the_snapshot_has(kept: Callable[..., Any], build: Any) -> None:
    async with kept() as bench:
        bench.answer(f"process-{PID}", FULL)
        await opened(bench, build)
        await bench.was_asked("process", str(PID), "--started-at", STARTED)
        await bench.shows("--seed 17", "mluser", "GPU 0", "/opt/env/bin/python3.11", "LOCAL_RANK=3", "/dev/nvidia0  6x")
        await bench.shows("990 of at most 1024", "6 files, 984 sockets", "tcp LISTEN     0.0.0.0:29500")
        await bench.shows("77 D   1.0G   3s CPU  loader")
        await bench.shows("30.0G its own", "nice 5, drives best-effort 4", "12, on CPUs 0-31 (32)", "0/s now")


async def test_what_is_refused_says_so_once_with_the_remedy(kept: Callable[..., Any], build: Any) -> None:
    why = "not permitted: run mltop as root"
    keys = ("executable", "directory", "files_open", "sockets_count", "environment", "uss_bytes")
    empty = dict.fromkeys(("executable", "directory", "files_open", "sockets_count", "uss_bytes"))
    refused = msgspec.structs.replace(
        FULL, missing=dict.fromkeys(keys, why), environment={}, files=(), sockets=(), **empty
    )
    async with kept() as bench:
        bench.answer(f"process-{PID}", refused)
        await opened(bench, build)
        await bench.shows("not permitted: run mltop as root")
        assert bench.text().count("run mltop as root") == 1
        assert bench.text().count("not permitted") == 1 + len(keys)
        assert "none" not in bench.text().partition("children")[0].partition("open files")[2]


async def test_one_that_hangs_is_told_and_left_behind(
    kept: Callable[..., Any], build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_detail, "SILENT_S", 0.05)
    async with kept() as bench:
        first = msgspec.structs.replace(FULL, doing="open files")
        bench.app.ask = saying(
            first, then="print(os.getpid(), flush=True, file=sys.stderr); import time; time.sleep(60)"
        )
        page = await opened(bench, build)
        await bench.until(lambda: page.detail is not None, "the first reading")
        child = page._following._process.pid

        await bench.shows("while reading: open files")  # with no snapshot after the first
        await bench.press("escape")
        await bench.until(lambda: not os.path.exists(f"/proc/{child}"), "its end")  # noqa: PTH110


async def test_its_end_keeps_the_last_values(kept: Callable[..., Any], build: Any) -> None:
    why = "it has ended, and another process has its number now"
    ended = msgspec.structs.replace(FULL, status=Status.ABSENT, reason=why)
    async with kept() as bench:
        bench.app.ask = saying(FULL, ended)
        await opened(bench, build)
        await bench.shows("another process has its number now", "/opt/env/bin/python3.11")


async def test_an_end_that_tells_nothing_else_keeps_what_was_known(kept: Callable[..., Any], build: Any) -> None:
    async with kept() as bench:
        bench.answer(f"process-{PID}", FULL)
        page = await opened(bench, build)
        await bench.shows("/opt/env/bin/python3.11")
        page._take(msgspec.json.encode(ProcessDetail(pid=PID, status=Status.ABSENT, reason="it has ended")))
        await bench.shows("it has ended", "/opt/env/bin/python3.11")


async def test_another_process_of_this_number_is_not_followed(kept: Callable[..., Any], build: Any) -> None:
    async with kept() as bench:
        bench.answer(f"process-{PID}", ProcessDetail(pid=PID, status=Status.ABSENT, reason="it has ended"))
        await opened(bench, build)
        await bench.shows("it has ended")
        snapshot = build.snapshot(gpus=0)
        first = msgspec.structs.replace(snapshot.processes.top[0], pid=PID, command="rm -rf /", name="rm")
        top = msgspec.structs.replace(snapshot.processes, top=(first,))
        bench.app.post_message(Sampled(msgspec.structs.replace(snapshot, processes=top)))
        await bench.until(lambda: bench.app.view.snapshot.processes.top[0].name == "rm", "the next snapshot")
        assert "rm -rf" not in bench.text()
        assert "train.py" in bench.text()


async def test_a_signal_goes_to_the_process_that_was_opened(kept: Callable[..., Any], build: Any) -> None:
    """The scripted pid is none of this machine, or of another start: nothing may be sent."""
    async with kept() as bench:
        await opened(bench, build)
        await bench.press("K")
        await bench.shows(str(PID), "GPU 140.0G" if "140.0G" in bench.text() else "GPU 140G", "Cancel")
        await bench.press("down", "enter")
        await bench.shows("SIGTERM not sent", "it has ended already")


async def test_no_signal_where_there_are_no_hands(kept: Callable[..., Any], build: Any) -> None:
    async with kept(readonly=True) as bench:
        page = await opened(bench, build)
        await bench.press("K")
        await bench.shows("read-only")
        assert bench.app.screen is page


async def test_a_fault_of_the_child_is_told(kept: Callable[..., Any], build: Any) -> None:
    async with kept() as bench:
        bench.order(f"process-{PID}", "say mltop: no psutil here", "exit 1")
        await opened(bench, build)
        await bench.shows("no psutil here", "train.py")
        assert "cannot" not in bench.text()


async def test_nothing_is_read_over_ssh(kept: Callable[..., Any], build: Any) -> None:
    async with kept(remote="gpu-07", readonly=True) as bench:
        await opened(bench, build)
        await bench.shows("not read over ssh", "on gpu-07", "train.py")
        assert not [words for words in bench.asked if words[0] == "process"]


def test_the_dashboard_itself_reads_no_process() -> None:
    code = (
        "import sys, mltop.ui.screens.process_detail, mltop.ui.screens.process_facts, mltop.sampling.sampler\n"
        "print([name for name in ('psutil', 'mltop.sampling.process_part') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_every_line_fits(width: int) -> None:
    long = msgspec.structs.replace(
        FULL,
        directory="/data/" + "日本" * 200,
        executable="/x" * 300,
        is_replaced=True,
        environment={"CUDA_VISIBLE_DEVICES": "GPU-" + "0" * 190},
        missing={"sockets_count": "not permitted: " + "x" * 300},
        files=(OpenFile(path="/" + "y" * 500, count=7),),
        children=tuple(Kin(pid=each, depth=each, name="n" * 60, state="S") for each in range(1, 60)),
        children_count=400,
    )
    lines = [*remedies(long, width), *detail_lines(long, width)]
    assert max(map(width_of, lines)) <= width
    assert any("and 341 more"[: width - 18] in text_of(line) for line in lines)


@pytest.mark.parametrize("text", ["", "a", "a b  c", "x" * 100, "日本" * 40, "ein " + "x" * 30 + " zwei"])
def test_folding_loses_nothing(text: str) -> None:
    lines = fold(text, 11)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cells(line) <= 11 for line in lines)
    for width in (-3, 0, 1, 2):
        assert "".join(fold(text, width)).replace(" ", "") == text.replace(" ", "")
