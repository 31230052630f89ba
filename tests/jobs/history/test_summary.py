"""What root's jobs tell everybody: enough for a row, and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mltop.config.job import CommandSpec, JobConfig
from mltop.jobs.history import summary
from mltop.jobs.history.entry import Entry
from mltop.jobs.place import Place
from mltop.model.job import RunState
from mltop.system.file import try_lock


def job(id: str) -> JobConfig:
    return JobConfig(id=id, kind="command", spec=CommandSpec(command="s3cret"), schedule=("@daily",))


def entry(id: str, number: int = 1, state: RunState = RunState.FAILED) -> Entry:
    return Entry(
        id=f"run-{number}",
        job=id,
        state=state,
        started_at=f"2026-11-24T02:00:{number:02}.000Z",
        exit_code=3,
        log_bytes=99,
        reason="s3cret",
        last_error_line="s3cret",
        log_path="/s3cret",
    )


def test_the_last_run_of_each_job_and_nothing_that_may_be_secret(tmp_path: Path) -> None:
    place = Place(tmp_path / "state")
    for number, id in enumerate(["a", "b", "a"]):
        summary.note(place, job(id), entry(id, number))
    found = summary.shared(place.state)
    assert list(found) == ["b", "a"]
    run = found["a"].last_run
    assert run is not None
    assert (run.id, run.state, run.exit_code, run.log_bytes) == ("run-2", RunState.FAILED, 3, 99)
    assert (found["a"].scope, found["a"].schedule, found["a"].state) == ("system", ("@daily",), "failed")
    assert "s3cret" not in (place.state / "summary.json").read_text()
    assert (place.state / "summary.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"jobs": 3}', '{"jobs": [{"id": 1}, {"id": "x", "kind": 9}]}'])
def test_a_summary_that_is_none_is_begun_anew(tmp_path: Path, text: str) -> None:
    place = Place(tmp_path)
    (tmp_path / "summary.json").write_text(text)
    assert summary.shared(tmp_path) == {}
    summary.note(place, job("a"), entry("a"))
    assert "a" in summary.shared(tmp_path)


def test_no_summary_is_no_job(tmp_path: Path) -> None:
    assert summary.shared(tmp_path / "none") == {}


def test_who_cannot_have_the_lock_for_long_leaves_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.locks.mkdir()
    held = try_lock(place.locks / "summary.lock")
    assert held is not None
    with pytest.raises(BlockingIOError):
        summary.note(place, job("a"), entry("a"))
    assert not (tmp_path / "summary.json").exists()


def test_runs_that_end_at_once_are_all_there(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mltop.config.job import CommandSpec, JobConfig\n"
        "from mltop.jobs.history import summary\nfrom mltop.jobs.history.entry import Entry\n"
        "from mltop.jobs.place import Place\n"
        "for number in range(20):\n"
        "    id = f'{sys.argv[2]}-{number}'\n"
        "    job = JobConfig(id=id, kind='command', spec=CommandSpec(command='true'))\n"
        "    summary.note(Place(Path(sys.argv[1])), job, Entry(id=f'r-{id}', job=id))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in ("one", "two")]
    assert [one.wait(30) for one in both] == [0, 0]
    ids = {row["id"] for row in json.loads((tmp_path / "summary.json").read_text())["jobs"]}
    assert ids == {f"{name}-{number}" for name in ("one", "two") for number in range(20)}


def test_a_writer_that_is_killed_leaves_the_old_one(tmp_path: Path) -> None:
    place = Place(tmp_path)
    summary.note(place, job("a"), entry("a"))
    code = (
        "import os, signal, pathlib\n"
        "from mltop.system import file\n"
        "file.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"file.write_atomic(pathlib.Path({str(tmp_path / 'summary.json')!r}), b'half')\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert json.loads((tmp_path / "summary.json").read_text())["jobs"][0]["id"] == "a"
    assert len(list(tmp_path.glob(".summary.json.*.new"))) == 1
    summary.note(place, job("a"), entry("a"))
    assert list(tmp_path.glob(".summary.json.*.new")) == []


def test_root_opens_its_folder_for_passing_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    monkeypatch.setattr(summary, "SYSTEM_STATE", state)
    summary.note(Place(state), job("a"), entry("a"))
    assert state.stat().st_mode & 0o777 == 0o711
