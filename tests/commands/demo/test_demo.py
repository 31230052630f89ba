"""The demo: samples that hold together, the real checks on them, and nothing that it could touch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from terminal import Terminal

from mltop.commands.demo import kept
from mltop.commands.demo.answer import main, verdict
from mltop.commands.demo.box import past, snapshot
from mltop.commands.demo.sampler import DemoSampler
from mltop.config.jobs import load_jobs
from mltop.jobs.schedule.schedule import parse
from mltop.model.job import RunState
from mltop.model.request import Request
from mltop.model.snapshot import Snapshot, Status
from mltop.model.verdict import State
from mltop.ui.screens.rows import chosen
from mltop.ui.view import View

AT = datetime(2026, 3, 2, 14, 2, 11, tzinfo=UTC)


def test_the_same_moment_is_the_same_box_and_moves_on() -> None:
    one = snapshot(AT.timestamp())
    assert one == snapshot(AT.timestamp())
    assert one.cpu != snapshot(AT.timestamp() + 2).cpu
    assert msgspec.json.decode(msgspec.json.encode(one), type=Snapshot) == one
    assert [gpu.status for gpu in one.gpus].count(Status.LOST) == 1
    assert [gpu.index for gpu in one.gpus] == list(range(8))
    assert sum("hw-thermal-slowdown" in gpu.clock_event_reasons for gpu in one.gpus) == 1


@pytest.mark.parametrize("later", range(0, 240, 7))
def test_no_number_leaves_its_range(later: int) -> None:
    now = snapshot(AT.timestamp() + later)
    for gpu in now.gpus:
        assert 0 <= (gpu.utilization_percent or 0) <= 100
        assert (gpu.memory_used_bytes or 0) <= (gpu.memory_total_bytes or 0)
        assert (gpu.power_w or 0) <= (gpu.power_limit_w or 700)
    assert all(0 <= core <= 100 for core in now.cpu.per_core_percent)
    assert all((disk.read_bytes_per_s or 0) >= 0 and (disk.write_bytes_per_s or 0) >= 0 for disk in now.disks)


def test_the_real_checks_find_the_lost_and_the_hot_card_and_no_more() -> None:
    bad = {
        (one.check, one.target_name.split()[1])
        for one in verdict(AT.timestamp()).results
        if one.state in (State.CRITICAL, State.WARNING)
    }
    assert {("gpu.count", "3"), ("gpu.temp", "4")} <= bad
    assert {number for _, number in bad} == {"3", "4"}
    assert verdict(AT.timestamp()).exit_code == 2


def test_the_graphs_have_a_past() -> None:
    history = past(AT.timestamp())
    assert AT.timestamp() - (history.latest or 0) == 2.0
    assert any("GPU-" in key for key in history.keys)


def test_runs_are_where_their_schedules_are(tmp_path: Path) -> None:
    kept.write_logs(tmp_path, AT)
    found = kept.runs(AT, tmp_path)
    assert [run.started_at for run in found] == sorted((run.started_at or "" for run in found), reverse=True)
    schedules = {job.id: parse(job.schedule) for job in kept.JOBS}
    for run in found:
        at = datetime.fromisoformat(run.started_at or "")
        assert at in schedules[run.job].next_runs(at.replace(second=0) - (AT - AT.replace(minute=1)), 5)
        if run.log_path is not None:
            assert f"# mltop {run.state}" in Path(run.log_path).read_text()
    assert {RunState.OK, RunState.FAILED, RunState.TIMEOUT, RunState.LOST} == {run.state for run in found}


def test_its_config_is_a_right_one(tmp_path: Path) -> None:
    file = tmp_path / kept.CONFIG
    file.write_text(kept.config_text())
    loaded = load_jobs(str(file))
    assert list(loaded.jobs) == [job.id for job in kept.JOBS]
    assert not loaded.faults


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (["--check", "--json"], "mltop.check/1"),
        (["jobs", "list", "--json"], "mltop.jobs/1"),
        (["jobs", "history", "-n", "200", "--json"], "mltop.runs/1"),
        (["jobs", "plan", "--json"], "mltop.plan/1"),
    ],
)
def test_a_question_has_its_document(
    words: list[str], schema: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main([str(tmp_path), *words]) == 0
    assert json.loads(capfdbinary.readouterr().out)["schema"] == schema


def test_an_edit_shows_the_real_difference_and_an_order_is_refused(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / kept.CONFIG
    file.write_text(kept.config_text())
    order = ["jobs", "edit", "push-weights", "--set", 'schedule="0 4 * * *"', "--apply", "--json"]
    assert main([str(tmp_path), *order, "--dry-run"]) == 0
    diff = json.loads(capfdbinary.readouterr().out)["diff"]
    assert '-schedule = "30 3 * * *"' in diff
    assert '+schedule = "0 4 * * *"' in diff
    assert main([str(tmp_path), *order]) == 1
    refused = json.loads(capfdbinary.readouterr().out)["errors"][0]
    assert "changes nothing" in refused["message"]
    assert "--sandbox" in refused["remedy"]
    assert file.read_text() == kept.config_text()


def test_the_list_of_processes_is_filtered_and_sorted() -> None:
    sampler = DemoSampler()
    sampler.apply(Request(filter="postgres", sort="pid"))
    assert {one.name for one in sampler.snapshot().processes.top} == {"postgres"}
    sampler.apply(Request(filter="", sort="pid", invert=True))
    pids = [one.pid for one in sampler.snapshot().processes.top]
    assert pids == sorted(pids, reverse=True)


def test_its_processes_cannot_be_signalled() -> None:
    view = View(snapshot=snapshot(AT.timestamp()), is_demo=True)
    view.processes.cursor = 1
    assert chosen(view) == ([], "the demo's processes are not real")


def test_without_a_terminal_it_is_a_text_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "mltop", "--demo"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "gpu 3 LOST" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["q", "SIGKILL"])
def test_on_a_terminal_its_screens_show_and_its_folder_goes_with_it(how: str, tmp_path: Path) -> None:
    environment = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    terminal = Terminal([sys.executable, "-m", "mltop", "--demo"], size=(120, 40), env=environment)
    try:
        terminal.shows("LOST since")
        terminal.shows("nothing is real")
        terminal.key(b"3")
        terminal.shows("push-weights")
        terminal.key(b"4")
        terminal.shows("# mltop")
        assert len(list(tmp_path.glob("mltop-demo-*"))) == 1
        if how == "q":
            terminal.key(b"q")
        else:
            terminal.signal(signal.SIGKILL)
        assert terminal.wait() == (0 if how == "q" else -signal.SIGKILL)
        terminal.until(lambda: not list(tmp_path.glob("mltop-demo-*")), "its folder is gone")
    finally:
        terminal.close()
