"""`mltop rotate`: by the rules of a job, by the wrapper where something is moved."""

from __future__ import annotations

from typing import Any

import pytest

Box = Any


@pytest.fixture
def box(task_box: Box) -> Box:
    logs = task_box.folder / "logs"
    logs.mkdir()
    (logs / "train.log").write_text("line\n" * 100)
    (logs / "empty.log").touch()
    task_box.write(f'[jobs.r]\nkind = "rotate"\n[[jobs.r.rules]]\npaths = ["{logs}/*.log"]\nsize = "1MiB"\nkeep = 2')
    return task_box


def test_what_is_not_due_stays_and_force_rotates_it(box: Box) -> None:
    logs = box.folder / "logs"
    assert box.code("rotate", "r") == 0
    assert (logs / "train.log").stat().st_size == 500
    code, out, _ = box.run("rotate", "r", "--force", "--dry-run")
    assert code == 0
    assert "would be rotated" in out
    assert (logs / "train.log").stat().st_size == 500
    code, made = box.document("rotate", "r", "--force")
    assert (code, made["schema"], made["report"]["rotated"]) == (0, "mltop.rotate/1", 1)
    assert (logs / "train.log").stat().st_size == 0
    assert len(list(logs.glob("train.log-*"))) == 1
    assert len(box.runs()) == 2, "a dry run is no run"


def test_a_command_after_it_that_fails_is_1(box: Box) -> None:
    box.config.write_text(box.config.read_text() + 'after = ["false"]\n')
    code, out, _ = box.run("rotate", "r", "--force")
    assert code == 1
    assert "the command after the rotation" in out


def test_wrong_usage_is_2(box: Box) -> None:
    assert box.code("rotate", "nosuch") == 2
    code, made = box.document("rotate", "nosuch")
    assert (code, made["report"]) == (2, None)
    assert made["errors"]


def test_export_writes_all_rules_for_the_systems_own_tool(box: Box) -> None:
    code, out, _ = box.run("rotate", "export")
    assert code == 0
    assert f'"{box.folder}/logs/*.log" {{' in out
    assert "size 1048576" in out
    assert box.run("rotate", "export", "r")[1] == out
    assert not box.state.exists(), "looking makes nothing"
    file = box.folder / "out.conf"
    assert box.run("rotate", "export", "-o", str(file))[:2] == (0, "")
    assert file.read_text() == out
    assert box.code("rotate", "export", "-o", str(box.folder / "none" / "out")) == 1


def test_export_without_a_rotation_is_2(box: Box) -> None:
    assert box.code("rotate", "export", "nosuch") == 2
    box.write("")
    code, out, err = box.run("rotate", "export")
    assert (code, out, err.count("\n")) == (2, "", 1)
