"""`mltop metrics`: recording by the wrapper with a fake driver, and showing what was recorded."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import driver
import pytest

from mltop.model.job import RunState
from mltop.tasks.metrics import COLUMNS, Row, append_rows

Box = Any


@pytest.fixture
def box(task_box: Box) -> Box:
    task_box.write('[jobs.g]\nkind = "metrics"\nkeep_days = 3')
    return task_box


def _play(box: Box, fake: driver.FakeNvml, scenario: str) -> None:
    fake.scenario(scenario)
    box.environment |= fake.env
    driver.make_sysfs(box.folder / "sys", driver.DGX_BUS_IDS)


def _recorded(box: Box) -> list[dict[str, str]]:
    (path,) = (box.state / "metrics").glob("*.csv")
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_line_a_gpu_and_one_of_the_host_each_run(box: Box, fake_nvml: driver.FakeNvml) -> None:
    _play(box, fake_nvml, "8xh100")
    code, out, err = box.run("metrics", "record", "g")
    assert (code, err) == (0, "")
    assert "recorded 8 GPUs and the host" in out
    assert box.code("run", "g") == 0
    rows = _recorded(box)
    assert [row["kind"] for row in rows] == [*["gpu"] * 8, "host"] * 2
    assert [row["index"] for row in rows[:8]] == [str(index) for index in range(8)]
    assert all(row["temperature_c"] and row["power_w"] and row["memory_total_bytes"] for row in rows[:8])
    assert rows[8]["load_1"]
    assert [run.state for run in box.runs()] == [RunState.OK] * 2


def test_a_lost_gpu_has_a_line_that_says_so(box: Box, fake_nvml: driver.FakeNvml) -> None:
    _play(box, fake_nvml, "8xh100-lost-at-start")
    code, out, _ = box.run("metrics", "record", "g")
    assert code == 0
    lost = [row for row in _recorded(box) if row["status"] == "lost"]
    assert len(lost) == 1
    assert lost[0]["temperature_c"] == ""
    assert f"GPU {lost[0]['index']}: lost" in out


def test_a_box_without_a_gpu_skips_and_is_no_failure(box: Box) -> None:
    code, _, _ = box.run("metrics", "record", "g")
    assert code == 0
    (run,) = box.runs()
    assert (run.state, run.reason, run.exit_code) == (RunState.SKIPPED, "no GPU", 0)
    assert [row["kind"] for row in _recorded(box)] == ["host"]


def test_a_driver_that_cannot_be_asked_fails_the_run(box: Box, fake_nvml: driver.FakeNvml) -> None:
    _play(box, fake_nvml, "mismatch")
    code, out, _ = box.run("metrics", "record", "g")
    assert code == 1
    assert "driver:" in out
    assert box.runs()[0].state is RunState.FAILED


@pytest.mark.integration
def test_a_hung_driver_ends_the_run_in_time(box: Box, fake_nvml: driver.FakeNvml) -> None:
    _play(box, fake_nvml, "hung-hard-init")
    code, out, err = box.run("metrics", "record", "g")
    assert code == 1, out + err
    assert {row["status"] for row in _recorded(box) if row["kind"] == "gpu"} == {"timeout"}


def _record_hours(box: Box) -> None:
    start = datetime.now(UTC) - timedelta(hours=3)
    for step in range(36):
        at = f"{start + timedelta(minutes=5 * step):%Y-%m-%dT%H:%M:%S}.000Z"
        rows = [
            Row(
                time=at,
                kind="gpu",
                index=index,
                uuid=f"GPU-{index}",
                name="NVIDIA H100 80GB HBM3",
                temperature_c=40 + step,
                utilization_percent=min(100, 3 * step),
                memory_used_bytes=step << 30,
                memory_total_bytes=80 << 30,
                power_w=100.0 + step,
                power_limit_w=700.0,
            )
            for index in range(2)
        ]
        append_rows(box.state / "metrics", [*rows, Row(time=at, kind="host", name="box", load_1=1.5)], "csv")


def test_show_has_a_table_and_plots_in_80_columns(box: Box) -> None:
    _record_hours(box)
    code, out, err = box.run("metrics", "show", "--since", "6h")
    assert (code, err) == (0, "")
    assert "36 readings" in out
    assert "H100 80GB HBM3" in out
    assert "58/75C" in out
    assert "GPU 1 utilisation %" in out
    assert any(0x2800 < ord(letter) < 0x2900 for letter in out)
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = box.run("metrics", "show", "--gpu", "1", "--ascii")
    assert "power W, 0 to 700" in out
    assert "temperature C" in out
    assert "GPU 0" not in out
    assert out.isascii()


def test_show_chooses_by_time_and_gpu(box: Box) -> None:
    _record_hours(box)
    code, made = box.document("metrics", "show", "--since", "31m", "--gpu", "1")
    assert (code, made["schema"], made["errors"]) == (0, "mltop.metrics/1", [])
    assert {row["index"] for row in made["rows"]} == {1}
    assert 4 <= len(made["rows"]) <= 6
    _, text, _ = box.run("metrics", "show", "--csv")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert len(text.splitlines()) == 1 + 36 * 3


def test_nothing_recorded_is_said_and_makes_nothing(box: Box) -> None:
    code, out, _ = box.run("metrics", "show")
    assert code == 0
    assert "nothing recorded" in out
    assert not box.state.exists()


@pytest.mark.parametrize(
    "words", [(), ("record",), ("record", "nosuch"), ("show", "--since", "x"), ("show", "--csv", "--json"), ("frob",)]
)
def test_wrong_usage_is_2(box: Box, words: tuple[str, ...]) -> None:
    code, out, err = box.run("metrics", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_a_folder_that_cannot_be_written_fails_the_run(box: Box, fake_nvml: driver.FakeNvml) -> None:
    _play(box, fake_nvml, "8xh100")
    box.state.mkdir()
    (box.state / "metrics").write_text("in the way")
    assert box.code("metrics", "record", "g") == 1
    assert "metrics" in Path(box.runs()[0].log_path or "").read_text()
