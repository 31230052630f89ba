"""Operations are noted by who did them, and a note that fails undoes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

from scheduler_box import Box

from mltop.jobs.operation_log import note
from mltop.jobs.plan.operation import Operations


def test_a_line_each_with_what_is_to_know(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert note(state, "restore", "m-1", to="/x\n\udcff", entries=3) is None
    assert note(state, "signal", "42", signal="SIGTERM") is None
    first, second = map(json.loads, (state / "operations.jsonl").read_text().splitlines())
    assert (first["operation"], first["target"], first["to"], first["entries"]) == ("restore", "m-1", "/x\n?", 3)
    assert (first["uid"], first["pid"]) == (os.geteuid(), os.getpid())
    assert first["id"] != second["id"]
    assert (state / "operations.jsonl").stat().st_mode & 0o777 == 0o600


def test_it_is_no_operation_to_undo(tmp_path: Path) -> None:
    box = Box(tmp_path)
    site = box.site()
    note(site.state, "restore", "m-1", to="/x")
    assert [one.operation for one in Operations(site).all()] == ["restore"]
    assert Operations(site).last() is None


def test_what_keeps_a_note_from_being_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not noted in " in str(note(tmp_path / "file", "prune", "m"))
    assert note(None, "prune", "m") == "not noted: no folder for mltop's state"
