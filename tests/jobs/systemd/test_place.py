"""mltop's units beside what was done to them without touching their files: timers stopped, drop-ins laid over them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scheduler_box import Box, command

from mltop.jobs import scheduler
from mltop.jobs.inventory import inventory
from mltop.jobs.plan.plan import Plan, plan
from mltop.jobs.systemd import place, timer
from mltop.model.job import Drift

JOBS = {id: command(id, "*-*-* 03:30", backend="systemd") for id in ("one", "two")}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A user's manager in which both timers of the config are installed, and `two` is stopped."""
    monkeypatch.setattr(scheduler, "_BOOTED", tmp_path)
    monkeypatch.setattr(scheduler, "runtime_directory", lambda environment: tmp_path)
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    made = Box(tmp_path)
    rows = [{"next": 1795564800000000, "last": 0, "unit": "mltop-one.timer", "activates": "mltop-one.service"}]
    (tmp_path / "rows").write_text(json.dumps(rows))
    calendar = "TimersCalendar={ OnCalendar=*-*-* 09:00:00 ; next_elapse=n/a }"
    (tmp_path / "shown").write_text(
        f"Id=mltop-one.timer\nActiveState=active\n{calendar}\n\nId=mltop-two.timer\nActiveState=inactive\n"
    )
    answers = f'*list-timers*) cat {tmp_path}/rows ;; *" show "*) cat {tmp_path}/shown ;; *) echo "[]" ;;'
    made.program("systemctl", f'echo "$*" >> {tmp_path}/asked; case "$*" in {answers} esac')
    for change in look(made).changes:
        path = Path(change.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if place.is_link(change.path):
            path.symlink_to(path.parent.parent / path.name)
        else:
            path.write_bytes(change.after or b"")
    return made


def look(box: Box) -> Plan:
    return plan(JOBS.values(), box.site(is_root=False))


def test_a_timer_that_somebody_stopped_is_a_hand_edit(box: Box) -> None:
    found = look(box)
    assert {step.id: step.drift for step in found.steps} == {"one": Drift.IN_SYNC, "two": Drift.DRIFTED}
    assert found.changes == ()
    assert found.notes == ("two: mltop-two.timer is stopped: nothing starts it",)
    (change,) = plan(JOBS.values(), box.site(is_root=False), "mine").changes
    assert place.is_link(change.path)
    assert (change.before or b"").endswith(b"/mltop-two.timer (stopped)\n")
    assert (change.after or b"").endswith(b"/mltop-two.timer\n")


@pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "exec sleep 60"])
def test_a_manager_that_does_not_tell_leaves_them_as_their_files_are(
    box: Box, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_DEADLINE_S", 0.5)
    asked = box.folder / "asked"
    box.program("systemctl", f'echo "$*" >> {asked}; {script}')
    monkeypatch.setattr(timer, "_DEADLINE_S", 0.5)
    assert {step.drift for step in look(box).steps} == {Drift.IN_SYNC}
    asked.unlink()
    assert {job.drift for job in inventory(JOBS, box.site(is_root=False)).jobs if job.kind} == {Drift.IN_SYNC}
    questions = asked.read_text().splitlines()
    assert len(questions) == len(set(questions)), "each is asked once"
    if "sleep" in script:
        assert len(questions) == 2, "one of each manager, for what does not answer is asked nothing more"


def test_the_list_has_the_next_runs_of_what_runs_and_asks_no_program_more(box: Box) -> None:
    beside = box.home / ".config" / "systemd" / "user" / "mltop-one.timer.d"
    beside.mkdir()
    (beside / "own.conf").write_text("[Timer]\nOnCalendar=*-*-* 09:00\n")
    found = inventory(JOBS, box.site(is_root=False))
    one, two = (next(job for job in found.jobs if job.id == id) for id in ("one", "two"))
    assert [time[11:16] for time in one.next_runs] == ["09:00"]
    assert (two.drift, two.next_runs) == (Drift.DRIFTED, ())
    assert f"one: {beside}/own.conf changes what mltop wrote: it stays" in found.notes
    asked = (box.folder / "asked").read_text().splitlines()
    assert len([line for line in asked if "--user" in line]) == 3


def test_no_program_is_asked_where_nothing_is_installed(box: Box) -> None:
    (box.folder / "asked").write_text("")
    plan((), box.site(is_root=False, environment=box.environment | {"HOME": str(box.folder / "bin")}))
    assert (box.folder / "asked").read_text() == ""


@pytest.mark.parametrize("how", ["a mask", "somebody's unit"])
def test_what_stands_in_a_jobs_place_is_said_and_stays(box: Box, how: str) -> None:
    path = box.home / ".config" / "systemd" / "user" / "mltop-two.timer"
    path.unlink()
    if how == "a mask":
        path.symlink_to("/dev/null")
    else:
        path.write_text("[Timer]\nOnCalendar=daily\n")
    found = plan(JOBS.values(), box.site(is_root=False), "mine")
    (fault,) = found.faults
    assert str(path) in fault
    assert ("a mask perhaps" if how == "a mask" else "is not mltop's") in fault
    assert found.changes == ()
    job = next(job for job in inventory(JOBS, box.site(is_root=False)).jobs if job.id == "two")
    assert (job.state, job.next_runs, job.description) == ("not scheduled", (), fault)
