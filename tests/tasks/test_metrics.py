from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from mltop.config.location import SYSTEM_STATE
from mltop.model.snapshot import Cpu, Disk, Gpu, Memory, Snapshot, Status
from mltop.tasks import metrics
from mltop.tasks.metrics import COLUMNS, Row, append_rows, folder_of, keep, read, rows_of
from mltop.tasks.outcome import NoSpaceError, TaskError

TODAY = datetime.now(UTC).date()


def _row(day: date = TODAY, index: int = 0, **more: object) -> Row:
    return Row(time=f"{day}T00:00:01.000Z", kind="gpu", index=index, uuid=f"GPU-{index}", **more)  # type: ignore[arg-type]


def test_a_snapshot_gives_a_line_a_gpu_and_one_of_the_host() -> None:
    gpus = (
        Gpu(index=0, uuid="GPU-a", temperature_c=64, utilization_percent=0, clock_event_reasons=("sw-power-cap", "x")),
        Gpu(index=1, uuid="GPU-b", status=Status.LOST, reason="fell off the bus", temperature_c=61, name="H100"),
    )
    disks = (Disk(mount="/my data", used_percent=41.23), Disk(mount="/stuck", status=Status.TIMEOUT))
    made = rows_of(
        Snapshot(time="T", host="box", gpus=gpus, disks=disks, cpu=Cpu(load=(1.0, 2.0)), memory=Memory(used_bytes=5))
    )
    assert [(row.kind, row.index, row.status) for row in made] == [
        ("gpu", 0, "ok"),
        ("gpu", 1, "lost"),
        ("host", None, "ok"),
    ]
    assert made[0].utilization_percent == 0
    assert made[0].clock_event_reasons == "sw-power-cap x"
    assert made[1].temperature_c is None, "a lost card's last number is not of this moment"
    assert made[1].reason == "fell off the bus"
    assert (made[2].load_1, made[2].load_15, made[2].disks) == (1.0, None, "/my%20data=41.2")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_appended_is_read_back(tmp_path: Path, form: str) -> None:
    row = _row(name='odd, "name"', power_w=312.5, utilization_percent=0)
    for _ in range(2):
        path = append_rows(tmp_path / "metrics", [row, _row(index=1)], form)  # type: ignore[arg-type]
    assert path.name == f"{TODAY}.{form}"
    assert path.read_text().count("time,kind") == (1 if form == "csv" else 0)
    assert path.stat().st_mode & 0o777 == 0o600
    found = read(tmp_path / "metrics")
    assert found.count(row) == 2
    assert len(found) == 4
    assert [each.index for each in read(tmp_path / "metrics", gpu=1)] == [1, 1]


def test_a_torn_line_costs_that_line_alone(tmp_path: Path) -> None:
    path = append_rows(tmp_path, [_row()], "csv")
    with path.open("ab") as file:
        file.write(b"2026-11-24T00:00")
    append_rows(tmp_path, [_row(index=1)], "csv")
    assert [row.index for row in read(tmp_path)] == [0, 1]


@pytest.mark.parametrize("torn", [b'2026-11-24T00:00:00Z,gpu,1,"open', b"x" * 200_000, b"\0\xff" * 50, b"2026,gpu,x"])
def test_a_line_that_makes_no_sense_takes_no_other_along(tmp_path: Path, torn: bytes) -> None:
    path = append_rows(tmp_path, [_row(index=0)], "csv")
    with path.open("ab") as file:
        file.write(torn)
    append_rows(tmp_path, [_row(index=1)], "csv")
    append_rows(tmp_path, [_row(index=2)], "csv")
    assert [row.index for row in read(tmp_path)] == [0, 1, 2]


def test_a_packed_day_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{TODAY}.csv.zst"
    path.write_bytes(b"")
    assert read(tmp_path) == []
    packed = zstandard.compress(b"time,kind\n" * 1000)
    for content in (b"no zstd at all", packed[:8] + bytes(len(packed) - 8)):
        path.write_bytes(content)
        with pytest.raises(TaskError, match=path.name):
            read(tmp_path)


def test_files_with_other_kinds_of_dates_are_not_ours(tmp_path: Path) -> None:
    others = ["20200101.csv", "2020-W01-1.csv", "2020-01-01.csv.gz", "2020-1-1.csv", "x2020-01-01.csv"]
    for name in others:
        (tmp_path / name).write_text("mine")
    (tmp_path / "2020-01-01.csv").write_text("ours")
    assert keep(tmp_path, 7, TODAY) == ["2020-01-01.csv"]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(others)


def test_columns_of_another_version_are_read_by_their_own_header(tmp_path: Path) -> None:
    path = tmp_path / f"{TODAY}.csv"
    path.write_text(f"time,kind,new_thing,index\n{TODAY}T00:00:00.000Z,gpu,7,3\n")
    append_rows(tmp_path, [_row(index=4)], "csv")
    assert [row.index for row in read(tmp_path)] == [3, 4]
    assert path.read_text().splitlines()[2] == ",".join(COLUMNS)


def test_days_that_are_over_are_packed_and_old_ones_removed(tmp_path: Path) -> None:
    for age in range(10):
        append_rows(tmp_path, [_row(TODAY - timedelta(days=age), index=age)], "csv")
    (tmp_path / "thesis.csv").write_text("mine")
    removed = keep(tmp_path, 7, TODAY)
    assert sorted(removed) == [f"{TODAY - timedelta(days=age)}.csv" for age in (9, 8, 7)]
    left = sorted(os.listdir(tmp_path))  # noqa: PTH208
    assert f"{TODAY}.csv" in left
    assert left.count("thesis.csv") == 1
    assert sum(name.endswith(".csv.zst") for name in left) == 6
    assert [row.index for row in read(tmp_path)] == [6, 5, 4, 3, 2, 1, 0]
    assert [row.index for row in read(tmp_path, since_s=36 * 3600)][-1] == 0
    assert keep(tmp_path, 7, TODAY) == []


def test_the_oldest_go_where_all_together_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age in range(3):
        append_rows(tmp_path, [_row(TODAY - timedelta(days=age))], "csv")
    monkeypatch.setattr(metrics, "CAP_BYTES", 700)
    assert keep(tmp_path, 7, TODAY) == [f"{TODAY - timedelta(days=2)}.csv"]


def test_it_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.statvfs(tmp_path)
    full = os.statvfs_result((*tuple(room)[:4], 1, *tuple(room)[5:]))
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    with pytest.raises(NoSpaceError):
        append_rows(tmp_path, [_row()], "csv")
    assert read(tmp_path) == []


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_the_system_keeps_them_beside_its_logs(tmp_path: Path) -> None:
    assert folder_of(SYSTEM_STATE) == Path("/var/log/mltop/metrics")
    assert folder_of(tmp_path) == tmp_path / "metrics"
