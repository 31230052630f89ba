"""`mltop doctor` as a person and a script meet it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from scheduler_box import CRONTAB

Box = Any


@pytest.fixture
def box(task_box: Box) -> Box:
    """A box with a crontab program of its own."""
    folder: Path = task_box.folder / "bin"
    folder.mkdir()
    program = folder / "crontab"
    program.write_text(f"#!/bin/sh\n{CRONTAB}\n")
    program.chmod(0o755)
    task_box.environment |= {"PATH": f"{folder}:/usr/bin:/bin", "TAB": str(task_box.folder / "tab")}
    return task_box


def symptoms(made: dict[str, Any], id: str) -> list[dict[str, Any]]:
    return [one for one in made["symptoms"] if one["id"] == id]


def test_a_document_with_every_finding_and_the_checklist(box: Box) -> None:
    script = box.folder / "job.sh"
    script.write_text("true\n")
    script.chmod(0o777)
    box.write(
        f'[jobs.a]\nkind = "command"\ncommand = ["{script}"]\nschedule = "@daily"\nbackend = "cron"',
        '[jobs.b]\nkind = "command"\ncommand = "true"\nshedule = "@daily"',
        '[jobs.c]\nkind = "command"\ncommand = "true"\nenv_file = "~/open.env"',
    )
    (box.folder / "open.env").write_text("A=1\n")
    (box.folder / "open.env").chmod(0o644)
    (box.folder / "tab").write_text(f"0 1 * * * {script}\n")
    code, made = box.document("doctor")
    assert (code, made["schema"], made["exit_code"], made["errors"]) == (1, "mltop.doctor/1", 1, [])
    (typo,) = symptoms(made, "config.faults")
    assert (typo["where"], "did you mean schedule?" in typo["summary"]) == (f"{box.config}:10", True)
    assert [one["state"] for one in symptoms(made, "job.script")] == ["fault"]
    assert "chmod 600" in symptoms(made, "job.env_file")[0]["summary"]
    assert symptoms(made, "schedule.duplicate")[0]["summary"] == "crontab:1 runs a too"
    assert symptoms(made, "schedule.applied")[0]["summary"] == "a is not in its scheduler"
    assert [one["state"] for one in symptoms(made, "wrapper.path")] == ["ok"]  # it was really run
    assert all(one["remedy"] for one in made["symptoms"] if one["state"] != "ok")
    ids = ["backup", "cleanup", "check", "metrics", "services", "rotate", "retention", "alerts", "drill"]
    assert [one["id"] for one in made["checklist"]] == ids
    assert not box.state.exists()


def test_a_crontab_that_is_refused_is_told_with_its_words(box: Box) -> None:
    program = box.folder / "bin" / "crontab"
    program.write_text("#!/bin/sh\necho 'You (ann) are not allowed to use this program (crontab)' >&2\nexit 1\n")
    box.write('[jobs.a]\nkind = "command"\ncommand = "true"\nschedule = "@daily"\nbackend = "cron"')
    _, made = box.document("doctor")
    (found,) = symptoms(made, "cron.program")
    assert found["state"] == "fault"
    assert "not allowed" in found["summary"]


def test_lines_for_people_have_one_remedy_each(box: Box) -> None:
    box.write('[jobs.a]\nkind = "command"\ncommand = "true"\nnice = "high"')
    code, out, err = box.run("doctor")
    found, _, checklist = out.partition("A kept box:\n")
    lines = [line for line in found.splitlines() if line.startswith(("fault", "warning", "unknown"))]
    assert (code, err) == (1, "")
    assert lines[0].startswith("fault    config.faults")
    assert all(line.count("; remedy: ") == 1 for line in lines)
    assert checklist.splitlines()[0].startswith("[ ] a daily backup: no job does it (mltop init")


@pytest.mark.skipif(os.geteuid() == 0, reason="root's state needs no HOME")
def test_without_a_home_that_is_said_once(box: Box) -> None:
    del box.environment["HOME"], box.environment["MLTOP_STATE_DIR"]
    _, made = box.document("doctor")
    assert [one["state"] for one in symptoms(made, "state.home")] == ["fault"]


def test_wrong_usage_is_2(box: Box) -> None:
    code, out, err = box.run("doctor", "--bogus")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
