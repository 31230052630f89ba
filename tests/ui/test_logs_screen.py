"""The Logs screen: runs and logs, live, searched, huge, gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from patience import assert_within

from mltop.model.job import Run, RunState
from mltop.ui.answers import Runs
from mltop.ui.line import text_of
from mltop.ui.log_page import Want, read_page, shown
from mltop.ui.screens.log_rows import LogView, log_lines
from mltop.ui.screens.logs import MOST_RUNS

Start = Callable[..., Any]


def one_run(path: Path | None, state: RunState = RunState.OK, **more: Any) -> Runs:
    values = {"id": "20260302T133811Z-1", "job": "x", "started_at": "2026-03-02T13:38:11Z", "state": state} | more
    return Runs(runs=(Run(log_path=str(path) if path else None, **values),))


async def test_the_runs_and_the_log_of_the_latest(kept: Start) -> None:
    async with kept(size=(200, 40)) as bench:
        await bench.press("4")
        await bench.shows(
            "gpu-metrics", "push-weights", "failed: No space left on device", "took 254 s", "verify: 214 of 214"
        )
        await bench.press("down", "down")
        await bench.until(
            lambda: "health-check ok" in bench.text() or "push-weights running" in bench.text(), "another"
        )


async def test_control_sequences_and_overwritten_progress_are_gone(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("4")
        await bench.shows("read 100 %")
        assert "\x1b" not in bench.text()
        assert "57 %" not in bench.text()


async def test_a_running_log_is_live_within_half_a_second(kept: Start, tmp_path: Path) -> None:
    path = tmp_path / "live.log"
    path.write_text("begun\n")
    async with kept() as bench:
        bench.answer("jobs-history", one_run(path, RunState.RUNNING))
        await bench.press("4")
        await bench.shows("begun", "follow")
        with path.open("a") as file:
            file.write("step 1\n")
        started = time.monotonic()
        await bench.shows("step 1")
        assert_within(0.5 + 0.5, started)  # the other half is for a box that is busy testing
        with path.open("a") as file:
            file.writelines(f"step {number}\n" for number in range(2, 500))
        await bench.shows("step 499")
        await bench.press("f")
        await bench.until(lambda: "follow" not in bench.text(), "paused")
        with path.open("a") as file:
            file.write("step 500\n")
        bench.answer("jobs-history", one_run(path, RunState.OK, exit_code=0))
        await bench.press("r")
        await bench.shows("x ok")
        assert "step 500" not in bench.text()
        await bench.press("f")
        await bench.shows("step 500")


async def test_search_goes_to_lines_and_on(kept: Start, tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text("".join(f"line {number}{' needle' if number % 1000 == 7 else ''}\n" for number in range(5000)))
    async with kept() as bench:
        bench.answer("jobs-history", one_run(path))
        await bench.press("4")
        await bench.shows("line 4999")
        await bench.press("enter", "g")
        await bench.shows("line 0")
        await bench.press("slash", *"NEEDLE", "enter")
        for wanted in ("7", "1007", "2007"):
            await bench.shows(f"▸line {wanted} needle")
            await bench.press("n")
        await bench.shows("▸line 3007 needle")
        await bench.press("N")
        await bench.shows("▸line 2007 needle")
        await bench.press("slash", "ctrl+u", *"nowhere", "enter")
        await bench.shows("not found: nowhere")
        await bench.press("G")
        await bench.shows("line 4999")
        await bench.press("pageup")
        await bench.until(lambda: "line 4999" not in bench.text(), "a page up")


async def test_what_came_of_a_search_is_told_over_a_long_reason(kept: Start, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("a line\n")
    async with kept(size=(120, 24)) as bench:
        bench.answer("jobs-history", one_run(path, RunState.FAILED, exit_code=1, last_error_line="why " * 40))
        await bench.press("4")
        await bench.shows("a line", "failed: why why")
        await bench.press("slash", *"nowhere", "enter")
        await bench.shows("not found: nowhere")
        await bench.press("g")
        await bench.shows("failed: why why")


async def test_the_first_error(kept: Start, tmp_path: Path) -> None:
    path = tmp_path / "e.log"
    lines = ["# mltop error-report by hand", *[f"fine {n}" for n in range(200)], "OSError: no", *["after"] * 200]
    path.write_text("\n".join(lines))
    async with kept() as bench:
        bench.answer("jobs-history", one_run(path))
        await bench.press("4")
        await bench.shows("after")
        await bench.press("E")
        await bench.shows("▸OSError: no", "fine 199")


async def test_wrap_and_sideways(kept: Start, tmp_path: Path) -> None:
    path = tmp_path / "w.log"
    path.write_text("a" * 300 + "END\nlast\n")
    async with kept(size=(100, 30)) as bench:
        bench.answer("jobs-history", one_run(path))
        await bench.press("4")
        await bench.shows("last")
        assert "END" not in bench.text()
        await bench.press("w")
        await bench.shows("END")
        await bench.press("w", *["right"] * 12)
        await bench.shows("END")


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_the_footer_is_at_the_bottom(kept: Start, size: tuple[int, int]) -> None:
    async with kept(size=size) as bench:
        await bench.press("4")
        await bench.shows("took 254 s")
        rows = bench.text().splitlines()
        assert len(rows) == size[1]
        assert rows[-1].startswith(" q Quit")


async def test_a_log_that_is_gone_and_one_that_never_was(kept: Start, tmp_path: Path) -> None:
    async with kept(size=(200, 40)) as bench:
        bench.answer("jobs-history", one_run(tmp_path / "gone.log"))
        await bench.press("4")
        await bench.shows("the log is gone")
        bench.answer("jobs-history", one_run(None, RunState.SKIPPED, reason="overlap", id="2"))
        await bench.press("r")
        await bench.shows("No log: overlap")


async def test_escape_goes_back_by_steps(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("3")
        await bench.shows("certbot")
        await bench.press("enter")
        await bench.shows("models-backup · 4 runs")
        await bench.press("enter")
        assert bench.app.screen.has_log_focus
        await bench.press("escape")
        assert not bench.app.screen.has_log_focus
        await bench.press("escape")
        await bench.shows("10 runs")


async def test_no_runs(kept: Start) -> None:
    async with kept() as bench:
        bench.answer("jobs-history", Runs())
        await bench.press("4", "E", "n", "down", "enter", "f", "w", "tab")
        await bench.shows("No run was seen.")
        assert bench.app.is_running


def test_a_page_never_has_a_hole_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("".join(f"{number}\n" for number in range(100)))
    for want in (
        Want("end", 10),
        Want("at", 10, path.stat().st_size),
        Want("move", 10, 0, 1000),
        Want("move", 10, path.stat().st_size - 3, 5),
    ):
        assert [text for _, text in read_page(path, want).lines] == [str(number) for number in range(90, 100)], want
    assert read_page(path, Want("move", 10, 200, -1000)).lines[0] == (0, "0")
    assert msgspec.json.encode(read_page(path, Want("at", 1)).top) == b"0"


def test_a_line_as_it_is_shown() -> None:
    assert shown(b"10 %\r20 %\r30 %\r") == "30 %"
    assert shown(b"\x1b[31mred\x1b[0m\tx\x1b]0;title\x07") == "red     x?]0;title?"
    assert shown("münchen".encode()) == "münchen"


async def test_that_there_are_more_runs_is_said(kept: Start) -> None:
    run = one_run(None).runs[0]
    many = tuple(msgspec.structs.replace(run, id=f"20260302T133811Z-{index}") for index in range(int(MOST_RUNS)))
    async with kept() as bench:
        bench.answer("jobs-history", Runs(runs=many[1:]))
        await bench.press("4")
        await bench.shows(f" {len(many) - 1} runs")
        assert "last" not in bench.text().splitlines()[0]
        bench.answer("jobs-history", Runs(runs=many))
        await bench.press("r")
        await bench.shows(f"last {len(many)} runs")


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("step", [1, 3, 9])
def test_a_wrapped_log_is_read_row_by_row(tmp_path: Path, count: int, step: int) -> None:
    """Lines that need more rows than the screen has are seen whole, down and up, and nothing between is left out."""
    path, width, room = tmp_path / "long.log", 40, 10
    path.write_text(
        "".join("".join(f"<{line}.{part}>" for part in range(7 * (line % 5) + 1)) + "\n" for line in range(count))
    )
    run = one_run(path).runs[0]
    view = LogView(run_id=run.id, is_wrapped=True)

    def screen(want: Want | None) -> list[str]:
        if want is not None:
            view.take(read_page(path, want), want)
        return [text_of(line) for line in log_lines(view, run, width, room + 1, has_focus=True)[1:]]

    whole_view = LogView(is_wrapped=True, page=read_page(path, Want("at", 1000, 0)))
    whole = [text_of(line) for line in log_lines(whole_view, run, width, 1001, has_focus=True)[1:]]
    last = max(0, len(whole) - room)
    assert screen(view.to_edge(-1, room)) == whole[:room]
    tops = [*range(0, last, step), last]
    for top in tops[1:]:
        assert screen(view.moved(step, room)) == whole[top : top + room]
    assert screen(view.moved(step, room)) == whole[last:]
    for top in range(last - step, -1, -step):
        assert screen(view.moved(-step, room)) == whole[top : top + room]
    assert screen(view.to_edge(1, room)) == whole[last:]
