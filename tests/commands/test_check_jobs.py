"""`mltop --check` on a box with jobs: what the history says of them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mltop.commands.check.job import JobReading, job_facts
from mltop.jobs.history.history import History
from mltop.jobs.moment import utc
from mltop.model.job import Run, RunState
from mltop.model.job_facts import JobFacts, JobsFacts

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LIMIT_S = 20.0


class Kept:
    """A config and a state of their own."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "c.toml"
        self.state = folder / "state"
        self._count = 0

    def write(self, *tables: str) -> None:
        self.config.write_text("version = 1\n" + "\n".join(tables))

    def ran(self, job: str, hours_ago: float, state: RunState = RunState.OK, **more: Any) -> None:
        self._count += 1
        at = utc((NOW - timedelta(hours=hours_ago)).timestamp())
        ended = None if state is RunState.RUNNING else at
        run = Run(id=f"r{self._count}", job=job, started_at=at, ended_at=ended, state=state, **more)
        history = History(self.state)
        history.start(run) if state is RunState.RUNNING else history.finish(run)

    def facts(self) -> dict[str, JobFacts]:
        found = job_facts(str(self.config), self.state, NOW.timestamp())
        assert found.trouble is None
        return {one.id: one for one in found.jobs}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr("mltop.jobs.schedule.due.local_zone", lambda: UTC)
    return Kept(tmp_path)


NIGHTLY = '[jobs.n]\nkind = "command"\ncommand = ["true"]\nschedule = "0 2 * * *"\n'


def test_the_last_run_that_says_anything_counts(kept: Kept) -> None:
    kept.write(NIGHTLY)
    for hours, state in (
        (60, RunState.OK), (40, RunState.FAILED), (30, RunState.TIMEOUT), (20, RunState.SKIPPED),
        (15, RunState.ABORTED),
    ):  # fmt: skip
        kept.ran("n", hours, state, exit_code=7)
    one = kept.facts()["n"]
    assert one.last is not None
    assert (one.last.state, one.last.exit_code, one.failures) == ("timeout", 7, 2)
    assert one.good_at == "2026-02-28T00:00:00.000Z"
    assert one.due_since_good == 3  # 28 February, 1 and 2 March at 2


@pytest.mark.parametrize(
    ("hours_ago", "late"),
    [(9.9, None), (10.1, "2026-03-02T02:00:00Z"), (34.1, "2026-03-01T02:00:00Z")],
)
def test_a_job_is_late_without_a_start_since_it_was_due(kept: Kept, hours_ago: float, late: str | None) -> None:
    kept.write(NIGHTLY)
    kept.ran("n", hours_ago, RunState.FAILED)
    assert kept.facts()["n"].late_since == late


def test_a_job_within_its_grace_is_not_late(kept: Kept) -> None:
    kept.write(NIGHTLY.replace("0 2", "50 11"))
    kept.ran("n", 20)
    assert kept.facts()["n"].late_since is None
    kept.write(NIGHTLY.replace("0 2", "50 11") + 'start_grace = "5m"\n')
    assert kept.facts()["n"].late_since == "2026-03-02T11:50:00Z"


def test_a_run_that_is_at_work_or_was_skipped_is_a_start(kept: Kept) -> None:
    kept.write(NIGHTLY)
    kept.ran("n", 30)
    kept.ran("n", 9, RunState.SKIPPED)
    assert kept.facts()["n"].late_since is None


def test_a_job_that_never_ran_is_late_by_times_since_its_file_was_written(kept: Kept) -> None:
    kept.write(NIGHTLY)
    kept.ran("other", 1)
    os.utime(kept.config, (NOW.timestamp() - 3600,) * 2)
    assert kept.facts()["n"].late_since is None
    os.utime(kept.config, (NOW.timestamp() - 86400,) * 2)
    one = kept.facts()["n"]
    assert (one.late_since, one.last, one.started_at) == ("2026-03-02T02:00:00Z", None, None)


def test_jobs_that_are_off_or_by_hand_are_not_late(kept: Kept) -> None:
    by_hand = NIGHTLY.replace("jobs.n", "jobs.hand").replace('schedule = "0 2 * * *"\n', "")
    kept.write(NIGHTLY + "enabled = false\n", by_hand)
    kept.ran("n", 200)
    kept.ran("hand", 200)
    found = kept.facts()
    assert set(found) == {"hand"}
    assert (found["hand"].is_scheduled, found["hand"].late_since) == (False, None)


def test_a_backup_and_its_restore_test(kept: Kept, tmp_path: Path) -> None:
    kept.write(
        f'[jobs.m]\nkind = "backup"\nsource = "{tmp_path}/a"\ntarget = "{tmp_path}/b"\nschedule = "0 2 * * *"\n'
        'drill = "0 4 * * *"\n'
    )
    kept.ran("m", 34)
    kept.ran("m", 10, RunState.FAILED, exit_code=6)
    found = kept.facts()
    assert set(found) == {"m"}
    assert found["m"].drill is not None
    assert (found["m"].drill.last, found["m"].drill.due) == (None, 2)
    kept.ran("m.drill", 8, RunState.FAILED, exit_code=4)
    drill = kept.facts()["m"].drill
    assert drill is not None
    assert drill.last is not None
    assert (drill.last.exit_code, drill.due) == (4, 0)


def reading(kept: Kept, state: Path | None = None) -> JobsFacts | None:
    one = JobReading(str(kept.config), str(state or kept.state), ["job.late"], LIMIT_S)
    try:
        return one.facts(LIMIT_S)
    finally:
        one.close()


def test_it_is_read_in_the_background_and_leaves_no_trace(kept: Kept) -> None:
    kept.write(NIGHTLY)
    assert reading(kept) is None
    assert not kept.state.exists()
    kept.ran("n", 30)
    found = reading(kept)
    assert found is not None
    assert [one.id for one in found.jobs] == ["n"]


def test_a_history_that_is_damaged_or_refused_is_said(kept: Kept, tmp_path: Path) -> None:
    kept.write(NIGHTLY)
    kept.ran("n", 30)
    (kept.state / "history.db").write_bytes(b"no database at all" * 1000)
    found = reading(kept)
    assert found is not None
    assert found.trouble is not None
    assert "history.db" in found.trouble
    (tmp_path / "s").mkdir()
    (tmp_path / "s/history.db").mkdir()
    found = reading(kept, tmp_path / "s")
    assert found is not None
    assert found.trouble is not None


def test_a_verdict_tells_what_failed(task_box: Any) -> None:
    task_box.write('[jobs.bad]\nkind = "command"\ncommand = ["sh", "-c", "exit 7"]\nschedule = "0 2 * * *"\n')
    assert task_box.code("run", "bad") == 7
    code, out, err = task_box.run("--check", "--only", "job.*,backup.*", "--json")
    made = json.loads(out)
    (failed,) = [one for one in made["results"] if one["check"] == "job.failed"]
    assert (failed["state"], failed["target"], failed["reason"]) == ("WARNING", "bad", "failed")
    assert failed["data"]["exit_code"] == 7
    assert err == ""
    assert code == made["exit_code"]


def test_a_fault_of_a_job_is_a_warning_and_no_end_of_the_verdict(task_box: Any) -> None:
    task_box.write('[jobs.bad]\nkind = "command"\ncommand = ["true"]\nschedule = "61 2 * * *"\ntimeuot = "1h"\n')
    code, out, err = task_box.run("--check", "--only", "self.config", "--json")
    (one,) = json.loads(out)["results"]
    assert (code, err, one["state"], one["reason"]) == (1, "", "WARNING", "fault")
    assert "jobs.bad" in one["summary"]
    assert "(and 1 more)" in one["summary"]
