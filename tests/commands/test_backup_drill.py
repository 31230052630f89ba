"""`mltop backup drill` and `explain`: the derived job as people and scripts meet it (D37)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mltop.model.job import RunState

Box = Any
"""The fixture's class (conftest)."""


@pytest.fixture
def box(task_box: Box) -> Box:
    task_box.make_models()
    task_box.write_backup()
    return task_box


def test_a_drill_is_a_run_of_the_derived_job_and_its_date_is_shown(box: Box) -> None:
    assert "last restored whole by a drill: never" in box.run("backup", "list")[1]
    assert box.code("backup", "create", "m") == 0
    code, out, err = box.run("backup", "drill", "m")
    assert (code, err) == (0, "")
    assert "drill m: restored whole" in out
    last = next(run for run in box.runs() if run.job == "m.drill")
    assert (last.state, last.trigger) == (RunState.OK, "schedule")
    assert "SHA-256 as in the manifest" in Path(last.log_path or "").read_text()
    _, document = box.document("backup", "list", "m")
    (place,) = document["targets"]
    (archive,) = place["archives"]
    assert archive["restored_at"] == place["drills"][0]["restored_at"] > archive["created"]
    assert place["drills"][0]["state"] == "ok"
    assert f"by a drill: {archive['restored_at'][:10]}" in box.run("backup", "list", "m")[1]


def test_what_the_schedule_calls_is_the_same(box: Box) -> None:
    assert box.code("backup", "create", "m") == 0
    assert box.run("run", "m.drill") == (0, "", "")
    code, document = box.document("backup", "drill", "m")
    assert (code, document["drilled"]["files"], document["errors"]) == (0, 2, [])
    assert [run.job for run in box.runs()] == ["m.drill", "m.drill", "m"]
    assert not (box.state / "locks" / "m.drill.lock").exists(), "it takes its backup's"


def test_one_that_finds_damage_fails_and_is_shown(box: Box) -> None:
    assert box.code("backup", "create", "m") == 0
    (archive,) = box.target.glob("*.tar.zst")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    code, out, _ = box.run("backup", "drill", "m")
    assert code == 4
    assert "drill m: verify failed" in out
    listed = box.run("backup", "list", "m")[1]
    assert "never; the drill of" in listed
    assert "corrupt!" in listed


def test_without_the_key_it_is_skipped(box: Box) -> None:
    box.write_backup('encrypt_to = ["age1qqq"]')
    assert box.code("run", "m.drill") == 75
    (run,) = box.runs()
    assert (run.state, run.reason) == (RunState.SKIPPED, "no key")
    code, out, _ = box.run("backup", "drill", "m")
    assert code == 0
    assert "skipped: no key" in out
    assert box.code("backup", "create", "m") not in (0, 75), "and a backup of it is no plain one"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drill",), 2, "expected a job"),
        (("drill", "x"), 2, 'no job "x"'),
        (("drill", "--target", "/tmp"), 2, "takes a job"),
        (("explain",), 2, "expected a job"),
        (("explain", "--target", "/tmp"), 2, "takes a job"),
    ],
)
def test_wrong_words_are_one_line(box: Box, words: tuple[str, ...], code: int, said: str) -> None:
    got, out, err = box.run("backup", *words)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_it_is_planned_and_listed_beside_its_backup(box: Box) -> None:
    box.write_backup('schedule = "0 2 * * *"\ndrill = "30 4 1 * *"')
    _, document = box.document("jobs", "list")
    jobs = {each["id"]: each for each in document["jobs"]}
    assert (jobs["m.drill"]["kind"], jobs["m.drill"]["schedule"]) == ("drill", ["30 4 1 * *"])
    box.write_backup('schedule = "0 2 * * *"\ndrill = ""')
    _, document = box.document("jobs", "list")
    assert "m.drill" not in [each["id"] for each in document["jobs"]]
    assert box.code("backup", "create", "m") == 0
    assert box.code("backup", "drill", "m") == 0, "by hand it still can be tried"


def test_explain_says_what_is_covered_kept_and_proven(box: Box) -> None:
    (box.models / "half.tmp").write_bytes(bytes(1000))
    code, out, _ = box.run("backup", "explain", "m")
    assert code == 0
    assert "never" in out
    assert not box.target.exists(), "looking makes nothing"
    assert box.code("backup", "create", "m") == 0
    assert box.code("backup", "drill", "m") == 0
    code, document = box.document("backup", "explain", "m")
    told = document["explained"]
    assert (code, told["files"], told["excluded"], told["excluded_bytes"]) == (0, 2, 1, 1000)
    assert told["sources"] == [{"path": str(box.models), "name": "models"}]
    (choice,) = told["pruned"]["choices"]
    assert (choice["keep"], choice["reasons"]) == (True, ["newest verified", "within"])
    assert told["drill"]["restored_at"]
    assert told["newest"]["id"] == choice["id"]
    out = box.run("backup", "explain", "m")[1]
    assert f"keep  {choice['id']}  newest verified, within" in out
    assert "sha256sum -c" in out


def test_what_explain_says_of_a_restore_by_hand_works(box: Box, tmp_path: Path) -> None:
    import shutil
    import subprocess

    if shutil.which("zstd") is None:
        pytest.skip("no zstd on this box")
    assert box.code("backup", "create", "m") == 0
    lines = box.document("backup", "explain", "m")[1]["explained"]["restore"]
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=box.target, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (box.target / "restored/models/config.json").read_text() == "{}"
