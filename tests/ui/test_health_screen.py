"""The Health screen over a scripted command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mltop.model.finding import Finding, Level
from mltop.model.verdict import Mishap, Result, State, Verdict
from mltop.ui.screens.health import HealthScreen, ResultScreen

Start = Callable[..., Any]
CHECK = ["--check", "--json"]


def row_of(text: str, word: str) -> int:
    return next(index for index, line in enumerate(text.splitlines()) if word in line)


async def test_every_result_worst_first(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference", "1 CRIT", "1 WARN", "no card of these remaps rows")
        text = bench.text()
        assert row_of(text, "cache") < row_of(text, "/data") < row_of(text, "inference") < row_of(text, "gpu.remap")
        assert "systemctl status redis-server" in text


async def test_enter_opens_all_of_one_result(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference")
        await bench.press("down", "enter")
        await bench.until(lambda: isinstance(bench.app.screen, ResultScreen), "the result")
        await bench.shows("91.2 %", "limits 85/95 %", "Make room")
        await bench.press("escape")
        await bench.until(lambda: isinstance(bench.app.screen, HealthScreen), "back")


async def test_what_the_monitor_sees_lies_over_the_verdict(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference")
        bench.app.view.findings = (
            Finding(
                check="gpu.temp", target="GPU 3", target_name="GPU 3", level=Level.CRITICAL, summary="92 C, slowed"
            ),
            Finding(
                check="gpu.count", target="GPU-9", target_name="GPU 9", level=Level.CRITICAL, summary="lost, Xid 79"
            ),
        )
        bench.app.redraw()
        await bench.shows("92 C, slowed", "lost, Xid 79", "3 CRIT")
        assert "63 C" not in bench.text()


async def test_r_checks_now_and_the_filter_filters(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference")
        await bench.press("r")
        await bench.until(lambda: bench.asked.count(CHECK) == 2, "a second check")
        await bench.press("slash", *"redis", "enter")
        await bench.until(lambda: "inference" not in bench.text(), "filtered")
        await bench.shows("cache")
        await bench.press("escape")
        await bench.shows("inference")


async def test_a_verdict_that_fails_leaves_the_last_one(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference")
        bench.answer("check", Verdict(errors=(Mishap(message="limits: expected a number", where="config.toml:4"),)))
        await bench.press("r")
        await bench.shows("no verdict: config.toml:4: limits: expected a number", "inference")


async def test_checks_run_again_when_old_and_never_while_hidden(kept: Start) -> None:
    async with kept() as bench:
        await bench.press("2")
        await bench.shows("inference")
        screen = bench.app.screen
        screen._heard_at = time.monotonic() - 100
        await bench.until(lambda: bench.asked.count(CHECK) == 2, "a second check")
        await bench.press("1")
        await bench.until(lambda: not screen.is_shown, "hidden")
        assert not screen.is_checking


async def test_a_check_that_is_left_is_given_up(kept: Start) -> None:
    async with kept() as bench:
        bench.order("check", "sleep 30")
        await bench.press("2")
        await bench.shows("Checking")
        screen = bench.app.screen
        await bench.press("1")
        await bench.until(lambda: not screen.is_checking, "given up")
        bench.order("check")
        await bench.press("2")
        await bench.shows("inference")


async def test_it_says_for_how_long_a_state_lasts_where_that_is_known(kept: Start) -> None:
    async with kept() as bench:
        made = Verdict(
            time="2026-03-02T14:02:11.250Z",
            results=(
                result("disk.space", State.CRITICAL, "2026-03-02T11:01:00Z"),
                result("mem.swap", State.WARNING, "2026-02-28T14:02:11Z"),
                result("cpu.load", State.WARNING, "2026-03-02T14:02:11Z"),
                result("cpu.thermal", State.OK, "2026-02-28T14:02:11Z"),
                result("cpu.psi", State.OK, None),
                result("gpu.mem", State.SKIP, "2026-02-28T14:02:11Z"),
            ),
        )
        bench.answer("check", made)
        await bench.press("2")
        await bench.shows("disk.space", "for 3h", "for 2d")
        lines = bench.text().splitlines()
        assert ["for " in line for line in lines if "found" in line][:5] == [True, True, False, False, False]
        await bench.press("enter")
        await bench.until(lambda: isinstance(bench.app.screen, ResultScreen), "the result")
        await bench.shows("(2026-03-02T11:01:00Z) for 3h")


def result(check: str, state: State, since: str | None) -> Result:
    return Result(check=check, target="", target_name="x", state=state, summary="found", since=since)
