"""`mltop jobs history ID`: the runs, and how the job does."""

from __future__ import annotations

from jobs_command import Here

from mltop.jobs import moment
from mltop.jobs.history.history import History
from mltop.model.job import Run, RunState

SECONDS = (90.0, 2.0, 2.0, 2.0, 2.0, 1.0)


def fill(here: Here) -> None:
    for number, duration_s in enumerate(reversed(SECONDS)):
        started = moment.utc(1_800_000_000 + number * 3600)
        run = Run(
            id=f"r{number}", job="backup", started_at=started, duration_s=duration_s, state=RunState.OK, exit_code=0
        )
        History(here.box.state).finish(run)
    failed = Run(id="f", job="backup_db", started_at=moment.utc(1_800_000_000), state=RunState.FAILED, exit_code=1)
    History(here.box.state).finish(failed)


def test_a_job_has_its_statistics_whatever_part_is_shown(here: Here) -> None:
    fill(here)
    made = here.json("history", "backup", "-n", "2")
    assert [run["id"] for run in made["runs"]] == ["r5", "r4"]
    told = made["statistics"]
    assert (told["runs"], told["success_percent"], told["p50_s"], told["slowest_run"]) == (6, 100.0, 2.0, "r5")
    assert told["slow_runs"] == ["r5"]
    text = here("history", "backup")
    assert "100 % of 6 ended well; half within 2 s, 95 % within 90 s, the slowest 90 s (r5)" in text
    assert [line for line in text.splitlines() if line.endswith("slow")] == [text.splitlines()[1]]


def test_all_jobs_together_have_none(here: Here) -> None:
    fill(here)
    made = here.json("history")
    assert (len(made["runs"]), made["statistics"]) == (7, None)
    assert "ended well" not in here("history")
    assert "0 % of 1 ended well" in here("history", "backup_db")


def test_a_name_that_is_no_jobs_is_told_from_a_job_that_never_ran(here: Here) -> None:
    assert here("history", "hello").splitlines()[0] == "no runs"
    here("history", "helo", code=1)
    assert here.said == "mltop jobs: no job 'helo'; did you mean hello?\n"
    assert here.json("history", "helo", code=1)["errors"]


def test_a_job_that_is_removed_leaves_another_of_a_like_name_as_it_was(here: Here) -> None:
    """J44: and its own runs can still be looked at."""
    table = 'kind = "command"\ncommand = "true"\nschedule = "@daily"\nbackend = "cron"\n'
    here.config.write_text(f"version = 1\n[jobs.backup]\n{table}[jobs.backup_db]\n{table}")
    fill(here)
    here("apply")
    here("remove", "backup", "--apply")
    assert "[jobs.backup_db]" in here.config.read_text()
    assert " run backup_db " in here.box.tab.read_text()
    assert " run backup " not in here.box.tab.read_text()
    assert [run["id"] for run in here.json("history", "backup_db")["runs"]] == ["f"]
    assert len(here.json("history", "backup")["runs"]) == 6


def test_the_log_of_a_job_is_that_of_the_last_run_that_wrote_one(here: Here) -> None:
    history = History(here.box.state)
    log = here.box.folder / "a.log"
    log.write_text("done\n")
    for number, path in enumerate((str(log), None, None)):
        state = RunState.OK if path else RunState.SKIPPED
        started = moment.utc(1_800_000_000 + number)
        history.finish(
            Run(id=f"r{number}", job="hello", started_at=started, state=state, log_path=path, reason="overlap")
        )
    assert here("logs", "hello") == "done\n"
    here("logs", "hello", "--run", "r2", code=1)
    assert "the run r2 has no log: overlap" in here.said
