"""What commands do to the box stands in `operations.jsonl`; what they only look at does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Box = Any


def test_restore_prune_and_undelete_are_noted_and_looking_is_not(task_box: Box, tmp_path: Path) -> None:
    box = task_box
    box.make_models()
    box.write_backup("keep = { last = 1, min = 1 }")
    for number in range(2):
        (box.models / "config.json").write_text(f"{number}")
        assert box.code("backup", "create", "m") == 0
    out = str(tmp_path / "out")
    operations = box.state / "operations.jsonl"
    assert box.code("backup", "restore", "m", "--to", out, "--dry-run") == 0
    assert box.code("backup", "prune", "m", "--dry-run") == 0
    assert box.code("backup", "undelete", "m") == 0
    assert box.code("backup", "verify", "m") == 0
    assert not operations.exists()
    assert box.code("backup", "restore", "m", "--to", out) == 0
    (trashed,) = [word.split()[-1] for word in box.run("backup", "undelete", "m")[1].splitlines()[1:]] or [None]
    assert box.code("backup", "undelete", "m", str(trashed)) == 0
    assert box.code("backup", "prune", "m") == 0
    noted = [json.loads(line) for line in operations.read_text().splitlines()]
    assert [(one["operation"], one.get("exit_code")) for one in noted] == [
        ("restore", 0),
        ("undelete", None),
        ("prune", 0),
    ]
    assert noted[0]["to"] == out
    assert noted[1]["brought_back"].startswith(str(trashed))
    assert noted[2]["target"] == "m"


def test_a_note_that_fails_is_said_and_takes_nothing_back(task_box: Box, tmp_path: Path) -> None:
    box = task_box
    box.make_models()
    box.write_backup()
    assert box.code("backup", "create", "m") == 0
    (box.state / "operations.jsonl").mkdir()
    code, _, err = box.run("backup", "restore", "m", "--to", str(tmp_path / "out"))
    assert code == 0
    assert "mltop backup restore: restore: not noted in " in err
    assert (tmp_path / "out" / "models" / "config.json").exists()
