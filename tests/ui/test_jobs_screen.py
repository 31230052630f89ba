"""The Jobs screen over a scripted command line: what it shows, what it asks, what it never does."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.model.job import Drift, Job, Origin
from mltop.model.verdict import Mishap
from mltop.ui.answers import Jobs, Plan
from mltop.ui.jobs_line import jobs_line
from mltop.ui.line import Role, text_of
from mltop.ui.screens.job_rows import scope_of
from mltop.ui.screens.jobs import JobsScreen

Start = Callable[..., Any]
LIST = ["jobs", "list", "--json"]
WRITES = {"add", "edit", "remove", "enable", "disable", "apply", "undo", "run", "adopt"}


def wrote(asked: list[list[str]]) -> list[list[str]]:
    """What was asked that writes."""
    return [words for words in asked if len(words) > 1 and words[1] in WRITES and "--dry-run" not in words]


async def on_jobs(bench: Any, row: int = 0) -> None:
    await bench.press("3")
    await bench.shows("models-backup", "certbot")
    await bench.press(*["down"] * row)


async def test_one_list_of_all_that_is_scheduled(kept: Start) -> None:
    async with kept(size=(160, 40)) as bench:
        await on_jobs(bench)
        rows = bench.text().splitlines()
        backup = next(row for row in rows if "models-backup" in row)
        for text in ("0 2 * * *", "01:38 in 11h", "12h ago", "4m", "✓✓✓✓✓✓✓✗✓✓", "config.toml:12"):
            assert text in backup
        assert "never seen" in next(row for row in rows if "crontab-3f9c21" in row)
        assert "suspended" in next(row for row in rows if row.startswith(" = logs"))
        await bench.shows("systemd does not run here: no timers")


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (40, 12), (200, 60), (20, 5), (1, 1)])
async def test_every_size_draws(kept: Start, size: tuple[int, int]) -> None:
    async with kept(size=size) as bench:
        for key in "234":
            await bench.press(key)
            await bench.until(lambda: bench.app.screen.is_shown, "shown")
            await bench.until(lambda: bench.asked, "asked")


async def test_browsing_and_cancelling_writes_nothing(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 4)
        for keys, text in (
            (("e",), "Next runs"),
            (("n",), "New job"),
            (("ctrl+d",), "Delete push-weights"),
            (("p",), "Enter Apply"),
        ):
            await bench.press(*keys)
            await bench.shows(text)
            await bench.press("escape")
            await bench.until(lambda: isinstance(bench.app.screen, JobsScreen), "back")
        await bench.press("slash", *"cert")
        await bench.until(lambda: "models-backup" not in bench.text(), "filtered")
        await bench.press("escape", "escape")
        await bench.shows("models-backup")
        assert wrote(bench.asked) == []


async def test_trigger_starts_the_job_under_the_cursor(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 1)
        await bench.press("t")
        await bench.was_asked("jobs", "run", "temp-cleanup", "--json")
        await bench.shows("started temp-cleanup")


async def test_suspend_and_resume(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench)
        await bench.press("s")
        await bench.was_asked("jobs", "disable", "models-backup", "--json")
        await bench.press(*["down"] * 5, "s")
        await bench.was_asked("jobs", "enable", "logs", "--json")


async def test_a_refusal_is_told(kept: Start) -> None:
    async with kept() as bench:
        bench.order("jobs-run-models-backup", "exit 1")
        bench.answer("jobs-run-models-backup", Jobs(errors=(Mishap(message="no room on /var"),)))
        await on_jobs(bench)
        await bench.press("t")
        await bench.shows("no room on /var")


async def test_a_job_that_nothing_will_start_has_no_next_run(kept: Start) -> None:
    async with kept() as bench:
        listed = msgspec.json.decode((bench.folder / "jobs-list.json").read_bytes(), type=Jobs)
        missing = [msgspec.structs.replace(job, drift=Drift.MISSING) for job in listed.jobs[:2]]
        bench.answer("jobs-list", Jobs(jobs=tuple(missing)))
        await bench.press("3")
        await bench.shows("! models-backup", "not scheduled", "once it is in the scheduler")
        assert " in 11h" not in bench.text()
        assert jobs_line(missing) == "✓ temp-cleanup 11:38  ! none scheduled"
        scheduled = jobs_line([*missing, listed.jobs[2]])
        assert scheduled is not None
        assert scheduled.endswith("next health-check 14:38")


async def test_a_scheduler_that_stands_is_told_first(kept: Start) -> None:
    async with kept(size=(80, 24)) as bench:
        listed = msgspec.json.decode((bench.folder / "jobs-list.json").read_bytes(), type=Jobs)
        notes = ("no systemd runs on this box", "x", "y", "cron is not running: nothing in a crontab runs")
        bench.answer("jobs-list", msgspec.structs.replace(listed, notes=notes))
        await bench.press("3")
        await bench.shows("cron is not running")
        (line,) = (line for line in bench.app.screen._pane.lines if "cron is not running" in text_of(line))
        assert [role for _, role in line] == [Role.WARNING]
        assert bench.text().index("cron is not running") < bench.text().index("no systemd")


async def test_what_is_wrong_with_the_config_is_told_whole(kept: Start) -> None:
    why = "/etc/mltop/config.toml:4: jobs.nightly.scedule: unknown key; did you mean schedule? (and this is the end)"
    async with kept(size=(80, 24)) as bench:
        bench.answer("jobs-list", Jobs(errors=(Mishap(message=why),)))
        await bench.press("3")
        await bench.shows("this is the end)")
        assert "".join(why.split()) in "".join(bench.text().split())


async def test_why_an_order_was_refused_is_told_whole(kept: Start) -> None:
    why = "the crontab was changed meanwhile by somebody else; nothing was written; look at it and try again, please"
    async with kept(size=(80, 24)) as bench:
        bench.order("jobs-run-models-backup", "exit 1")
        bench.answer("jobs-run-models-backup", Jobs(errors=(Mishap(message=why),)))
        await on_jobs(bench)
        await bench.press("t")
        await bench.shows("try again, please")
        assert "".join(why.split()) in "".join(bench.text().split())
        await bench.press("escape")
        await bench.until(lambda: "try again" not in bench.text(), "the note is gone")


async def test_a_job_is_described(kept: Start) -> None:
    async with kept() as bench:
        bench.answer(
            "jobs-show-models-backup",
            b"job  models-backup\nrendered     0 2 * * * " + b"mltop " * 90 + b"to the very end\n",
        )
        await on_jobs(bench)
        await bench.press("d")
        await bench.shows("rendered     0 2 * * *", "to the very end")
        await bench.press("escape")
        await bench.shows("temp-cleanup")


async def test_a_foreign_line_is_adopted_after_a_look(kept: Start) -> None:
    async with kept() as bench:
        long = "x" * 99 + "to-the-very-end-of-a-long-command"
        bench.answer("jobs-adopt-crontab-3f9c21.dry", Plan(diff=f"--- a\n+++ b\n@@ -7 +7 @@\n-a\n+b\n+{long}\n"))
        await on_jobs(bench, 0)
        await bench.press("A")
        await bench.shows("models-backup is mltop's already")
        await bench.press(*["down"] * 6, "A")
        await bench.shows("Adopt crontab-3f9c21", "+b")
        assert "to-the-very-end-of-a-long-command" in "".join(bench.text().split())
        change = ["jobs", "adopt", "crontab-3f9c21", "--json"]
        assert [*change, "--dry-run"] in bench.asked
        assert wrote(bench.asked) == []
        await bench.press("enter")
        await bench.was_asked(*change, "--yes")
        await bench.shows("u takes it back")


async def test_the_last_change_is_taken_back_after_a_yes(kept: Start) -> None:
    async with kept() as bench:
        bench.order("jobs-undo", "exit 1")
        bench.answer("jobs-undo", Plan(errors=(Mishap(message="there is nothing to take back"),)))
        await on_jobs(bench)
        await bench.press("u")
        await bench.shows("The last change", "Take it back")
        await bench.press("escape", "u")
        assert wrote(bench.asked) == []
        await bench.press("enter")
        await bench.was_asked("jobs", "undo", "--json")
        await bench.shows("there is nothing to take back")


async def test_enter_shows_the_logs_of_the_job(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 3)
        await bench.press("enter")
        await bench.shows("gpu-metrics · 2 runs", "written /var/ml/backups")


async def test_an_edit_is_seen_as_a_diff_before_it_is_done(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 4)
        await bench.press("e")
        await bench.shows("Next runs", "nothing is changed yet")
        await bench.press("ctrl+u", *"0 4 * *")
        await bench.until(lambda: bench.app.screen.preview and bench.app.screen.preview.fault, "a fault")
        await bench.press("ctrl+s")
        assert wrote(bench.asked) == []
        await bench.press("space", "asterisk")
        await bench.shows("Tue 2026-03-03 04:00")
        await bench.press("ctrl+s")
        await bench.shows("what would change", '+schedule = "0 4 * * *"', "-30 3 * * 1-5")
        change = ["jobs", "edit", "push-weights", "--set", 'schedule="0 4 * * *"', "--apply", "--json"]
        assert [*change, "--dry-run"] in bench.asked
        assert wrote(bench.asked) == []
        await bench.press("enter")
        await bench.was_asked(*change)
        await bench.shows("push-weights is saved")


async def test_what_is_being_written_is_not_left_half_done(kept: Start) -> None:
    """Neither Esc nor a second Ctrl-S ends the child that writes."""
    async with kept() as bench:
        bench.order("jobs-edit-push-weights", "make begun", "until go", "make done")
        await on_jobs(bench, 4)
        await bench.press("e")
        await bench.shows("nothing is changed yet")
        await bench.press("ctrl+u", *"0 4 * * *")
        await bench.shows("Tue 2026-03-03 04:00")
        await bench.press("ctrl+s")
        await bench.shows("what would change")
        await bench.press("enter")
        await bench.until((bench.folder / "begun").exists, "begun")
        await bench.shows("it is being written")
        await bench.press("escape", "ctrl+s")
        await bench.shows("Edit push-weights")
        (bench.folder / "go").touch()
        await bench.shows("push-weights is saved")
        assert (bench.folder / "done").exists()


async def test_an_order_outlives_the_dashboard(kept: Start) -> None:
    """Whoever asks for an apply and quits at once has it applied, and not half of it."""
    async with kept() as bench:
        bench.order("jobs-disable-temp-cleanup", "make begun", "until go", "say a warning", "make done")
        await on_jobs(bench, 1)
        await bench.press("s")
        await bench.shows("at work: mltop jobs disable temp-cleanup …")
        await bench.until((bench.folder / "begun").exists, "begun")
        bench.app.ask.close()
        (bench.folder / "go").touch()
        await bench.until((bench.folder / "done").exists, "done")
        await bench.until(lambda: not bench.app.ask._children, "collected")


async def test_an_edit_that_is_refused_stays_in_the_form(kept: Start) -> None:
    async with kept() as bench:
        bench.answer(
            "jobs-edit-push-weights.dry", Plan(errors=(Mishap(message="cron cannot say it" + " at all" * 20),))
        )
        await on_jobs(bench, 4)
        await bench.press("e")
        await bench.shows("nothing is changed yet")
        await bench.press("ctrl+u", *"@daily")
        await bench.until(lambda: not bench.app.screen.fault, "sound")
        await bench.press("ctrl+s")
        await bench.shows("cron cannot say it", "Edit push-weights")
        assert bench.text().count(" at all") == 20


async def test_what_to_know_of_a_schedule(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 0)
        await bench.press("e")
        await bench.shows("Next runs")
        await bench.press("ctrl+u", *"* * * * *")
        await bench.shows("the last run took 254 s, longer than the 60 s")
        await bench.press("ctrl+u", *"0 4 13 * 5")
        await bench.shows("on either of them")


async def test_a_line_of_the_crontab_is_edited_too(kept: Start) -> None:
    async with kept() as bench:
        bench.answer("jobs-edit-crontab-3f9c21.dry", Plan(diff="--- crontab\n+++ crontab\n@@ -7 +7 @@\n-a\n+b\n"))
        await on_jobs(bench, 6)
        await bench.press("e")
        await bench.shows("nothing is changed yet")
        await bench.press("tab", "end", *" -v", "ctrl+s")
        await bench.shows("+++ crontab")
        command = 'command="/home/mlu1/bin/sync-datasets --quiet -v"'
        assert ["jobs", "edit", "crontab-3f9c21", "--set", command, "--json", "--dry-run"] in bench.asked


async def test_what_is_not_ours_is_not_edited(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 7)
        await bench.press("e")
        await bench.shows("not edited")
        await bench.press("ctrl+d")
        await bench.shows("not deleted")


async def test_a_new_job(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench)
        await bench.press("n")
        await bench.shows("a job needs a name")
        await bench.press(*"nightly", "enter", *"every 15m", "enter", *"echo hi", "enter")
        await bench.shows("what would change")
        await bench.press("y")
        await bench.was_asked(
            "jobs", "add", "nightly", "--kind", "command",
            "--set", 'schedule="every 15m"', "--set", 'command="echo hi"', "--apply", "--json",
        )  # fmt: skip


async def test_delete_and_plan_are_done_after_their_diff(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench, 4)
        await bench.press("ctrl+d")
        await bench.shows("Delete push-weights", "@@")
        await bench.press("enter")
        await bench.was_asked("jobs", "remove", "push-weights", "--apply", "--json")
        await bench.press("p")
        await bench.shows("Apply")
        await bench.press("enter")
        await bench.was_asked("jobs", "apply", "--json")


async def test_a_plan_without_a_difference_has_nothing_to_accept(kept: Start) -> None:
    async with kept() as bench:
        bench.answer("jobs-plan", Plan())
        await on_jobs(bench)
        await bench.press("p")
        await bench.shows("Nothing to do")
        await bench.press("enter")
        await bench.until(lambda: isinstance(bench.app.screen, JobsScreen), "back")
        assert wrote(bench.asked) == []


async def test_a_dry_run_runs_nothing(kept: Start) -> None:
    async with kept() as bench:
        bench.answer("run-models-backup.dry", b"would run: mltop task backup\n\x1b[31menv\x1b[0m HOME=/\n")
        await on_jobs(bench)
        await bench.press("D")
        await bench.shows("would run: mltop task backup", "env")
        assert wrote(bench.asked) == []


async def test_before_init_the_standard_jobs_are_not_set_up(kept: Start) -> None:
    async with kept() as bench:
        bench.answer("jobs-list", Jobs(jobs=(Job(id="crontab-1", origin=Origin.CRONTAB, command="x"),)))
        await bench.press("3")
        await bench.shows("models-backup", "not set up", "gpu-metrics", "writes a config with these jobs")
        await bench.press("t")
        await bench.shows("is not set up")
        assert wrote(bench.asked) == []
        await bench.press("i")
        await bench.shows("Set up the standard jobs")
        await bench.press("y")
        await bench.was_asked("init")


async def test_readonly_has_no_keys_that_change(kept: Start) -> None:
    async with kept(readonly=True) as bench:
        await on_jobs(bench, 4)
        await bench.press("t", "s", "e", "n", "ctrl+d", "p", "i")
        assert isinstance(bench.app.screen, JobsScreen)
        assert "t Run" not in bench.text()
        await bench.press("question_mark")
        await bench.shows("mltop: keys")
        assert "Run the job now" not in bench.text()
        assert wrote(bench.asked) == []


async def test_another_box_has_no_jobs(kept: Start) -> None:
    async with kept(remote="gpu-08", readonly=True) as bench:
        await bench.press("2", "3", "4")
        assert bench.app.current_mode == "monitor"
        assert bench.asked == []


async def test_a_command_line_that_hangs_does_not_delay_keys(kept: Start) -> None:
    async with kept() as bench:
        bench.order("jobs-list", "sleep 30")
        await bench.press("3")
        await bench.shows("Looking at the schedulers")
        await bench.press("1")
        await bench.until(lambda: bench.app.current_mode == "monitor", "the monitor")


async def test_a_wrong_config_is_told(kept: Start) -> None:
    async with kept() as bench:
        bench.order("jobs-list", "exit 2")
        bench.answer("jobs-list", Jobs(errors=(Mishap(message="jobs.x: unknown key", where="config.toml:9"),)))
        await bench.press("3")
        await bench.shows("config.toml:9: jobs.x: unknown key")
        assert "not set up" not in bench.text()


async def test_the_monitor_has_a_line_of_jobs(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench)
        line = bench.app.view.jobs_line
        assert (
            line
            == "✗ gpu-metrics 13:59 exit 3  > push-weights 13:50 running  ✓ health-check 13:38  next gpu-metrics 14:04"
        )
        bench.answer("jobs-list", Jobs())
        await bench.press("r")
        await bench.until(lambda: bench.app.view.jobs_line is None, "no line")


async def test_the_line_of_jobs_outlives_a_config_that_is_being_edited(
    kept: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list with a fault, or none in time, is not the end of the line; jobs set up later come into it."""
    from mltop.ui import jobs_line as line_module

    for name in ("FIRST_S", "EVERY_S", "RARELY_S"):
        monkeypatch.setattr(line_module, name, 0.05)
    async with kept() as bench:
        whole = (bench.folder / "jobs-list.json").read_bytes()
        await bench.shows("✗ gpu-metrics 13:59 exit 3")
        bench.answer("jobs-list", Jobs(errors=(Mishap(message="Invalid value", where="config.toml:118"),)))
        await bench.shows("✗ gpu-metrics 13:59 exit 3", line_module.WRONG)
        bench.order("jobs-list", "exit 3")
        bench.answer("jobs-list", b"")
        count = len(bench.asked)
        await bench.until(lambda: len(bench.asked) > count + 1, "asked on")
        bench.answer("jobs-list", Jobs())
        await bench.until(lambda: bench.app.view.jobs_line is None, "no jobs, no line")
        bench.answer("jobs-list", whole)
        await bench.shows("✗ gpu-metrics 13:59 exit 3")
        await bench.until(lambda: line_module.WRONG not in bench.text(), "the fault is gone")


async def test_a_fault_alone_is_a_line_too(kept: Start) -> None:
    from mltop.ui.jobs_line import WRONG

    async with kept() as bench:
        bench.app.take_jobs((), "no answer in 15 s")
        await bench.shows(f"JOBS {WRONG}")


async def test_nothing_is_asked_while_nobody_looks(kept: Start) -> None:
    async with kept() as bench:
        await on_jobs(bench)
        screen = bench.app.screen
        await bench.press("1")
        await bench.until(lambda: not screen.is_shown, "hidden")
        assert screen._timer._task is None or screen._timer._task.done() or screen._timer._task.cancelling()


@pytest.mark.parametrize(
    ("environment", "uid", "name"),
    [
        ({"USER": "mlu1"}, 1000, "user mlu1"),
        ({"LOGNAME": "mlu2"}, 1000, "user mlu2"),
        ({}, 0, "user root"),
        ({}, 1000, "user 1000"),
    ],
)
def test_whose_jobs_they_are(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], uid: int, name: str) -> None:
    """`docker exec` sets neither USER nor LOGNAME."""
    for variable in ("USER", "LOGNAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert scope_of([Job(id="x", origin=Origin.MLTOP)]) == name


def test_the_standard_jobs_are_those_of_init(tmp_path: Path) -> None:
    from mltop.ui.screens.job_rows import STANDARD

    environment = {"PATH": os.environ["PATH"], "MLTOP_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-P", "-m", "mltop", "init", "--config", str(tmp_path / "config.toml")]
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=30)
    made = tomllib.loads((tmp_path / "config.toml").read_text())["jobs"]
    assert {(id, job["kind"], job["schedule"]) for id, job in made.items()} == {one[:3] for one in STANDARD}


async def test_escape_drops_a_plan_that_is_slow(kept: Start) -> None:
    async with kept() as bench:
        bench.order("jobs-plan", "sleep 30")
        await on_jobs(bench)
        await bench.press("p")
        await bench.shows("Esc leaves it")
        await bench.press("escape")
        await bench.until(lambda: "Esc leaves it" not in bench.text(), "dropped")
        assert isinstance(bench.app.screen, JobsScreen)
