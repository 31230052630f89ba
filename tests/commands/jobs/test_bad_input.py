"""What is wrong in a config or on a command line: a line with its file, its line and what to do; nothing written."""

from __future__ import annotations

import os

import pytest
from jobs_command import MINE, Here

HEAD = 'version = 1\n[jobs.hello]\nkind = "command"\ncommand = "true"\nbackend = "cron"\n'

CONFIGS = {
    "a day that never comes": ('schedule = "0 0 31 2 *"\n', 1, "config.toml:6", "never run"),
    "a date that is over": ('schedule = ["@daily", "*-02-30 03:00"]\n', 1, "config.toml:6", "never run"),
    "a range backwards": ('schedule = "5-1 * * * *"\n', 1, "config.toml:6", "backwards"),
    "four fields": ('schedule = "0 2 * *"\n', 1, "config.toml:6", "five fields"),
    "a step of nothing": ('schedule = "*/0 * * * *"\n', 1, "config.toml:6", "1 or more"),
    "a user where cron.d has one": ('schedule = "0 2 * * * root"\n', 1, "config.toml:6", "five fields, this has 6"),
    "what the scheduler cannot say": ('nice = 5\nschedule = "*:*:30"\n', 1, "config.toml:7", "smallest step"),
    "a job twice": (
        '[jobs.hello]\nkind = "command"\ncommand = "x"\n',
        2,
        "config.toml:6",
        "jobs.hello is there twice: rename",
    ),
    "a key twice": ('kind = "check"\n', 2, "config.toml:6", "a key is there twice: take one of them out"),
    "a table that is none": ('[job.other]\nkind = "command"\n', 2, "config.toml:6", "did you mean jobs?"),
    "bytes of another encoding": ("# caf\udce9\n", 2, "config.toml:6", "save it as UTF-8"),
    "an unknown kind": ('[jobs.x]\nkind = "fly"\n', 2, "config.toml:7", 'expected "backup", "cleanup"'),
    "no kind": ('[jobs.x]\ncommand = "x"\n', 2, "config.toml:6", "kind is missing: backup"),
    "an unknown key": ('shedule = "@daily"\n', 2, "config.toml:6", "did you mean schedule?"),
    "a slash in a name": ('[jobs."a/b"]\nkind = "command"\ncommand = "x"\n', 2, "config.toml:6", "a job's name is"),
    "a dot in a name": ('[jobs."a.b"]\nkind = "command"\ncommand = "x"\n', 2, "config.toml:6", "a job's name is"),
    "a value of another kind": ("enabled = 1\n", 2, "config.toml:6", "true or false"),
    "a line that is no TOML": ("schedule = @daily\n", 2, "config.toml:6", "Invalid value"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_with_a_fault_is_never_applied(here: Here, name: str) -> None:
    text, code, place, what = CONFIGS[name]
    here.config.write_text(HEAD + text, "utf-8", "surrogateescape")
    found = here.json("apply", code=code)
    (line,) = [line for line in here.said.splitlines() if line.startswith("mltop jobs: ")]
    assert place in line
    assert what in line
    assert found["errors"][0]["where"].endswith(place)
    assert here.box.tab.read_bytes() == MINE
    assert not here.box.state.exists()
    here("list", code=0 if code == 1 else 2)


def test_a_scheduler_that_is_not_here_is_named_with_the_line_that_asks_for_it(here: Here) -> None:
    here.config.write_text(HEAD.replace('"cron"', '"systemd"') + 'schedule = "@daily"\n')
    here("apply", code=1)
    place = f"{here.config}:5: jobs.hello"
    assert here.said == f'mltop jobs: {place}: no systemd runs on this box; backend = "auto" takes what is here\n'
    assert not here.box.state.exists()


def test_a_config_of_another_version_is_not_applied(here: Here) -> None:
    here.config.write_text(HEAD.replace("version = 1", "version = 2"))
    here("apply", code=2)
    assert "config.toml:1: version: expected 1, got 2" in here.said


def test_what_a_second_reader_cannot_read_is_not_told_to_the_terminal(here: Here) -> None:
    here.config.write_text(HEAD + 'schedule = "*/90 * * * *"\n')
    here("apply")
    assert "not in 0-59" not in here.said
    assert "the step of 90 goes beyond the minute's 59: only 0 is left" in here("next", "hello") + here.said


def test_a_config_that_is_not_utf_8_is_said(here: Here) -> None:
    here.config.write_bytes(HEAD.encode() + b"# caf\xe9\n")
    here("apply", code=2)
    assert "config.toml" in here.said
    assert "not UTF-8" in here.said
    assert here.box.tab.read_bytes() == MINE


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_is_not_yours_to_write_is_said(here: Here) -> None:
    here.box.folder.chmod(0o555)
    here("apply", code=1)
    assert "Permission denied" in here.said
    here.box.folder.chmod(0o755)


def test_a_state_that_cannot_hold_a_lock_is_a_line(here: Here) -> None:
    here.box.state.mkdir()
    locks = here.box.state / "locks"
    locks.write_text("")
    here("apply", code=1)
    assert str(locks) in here.said
    assert here.box.tab.read_bytes() == MINE


def test_a_config_that_is_a_folder_or_a_pipe_is_said(here: Here) -> None:
    here.config.unlink()
    here.config.mkdir()
    here("apply", code=2)
    assert "is a directory" in here.said
    here.config.rmdir()
    os.mkfifo(here.config)
    here("list", code=2)
    assert "not a file" in here.said
    here.config.unlink()
    here("list", code=2)
    assert "no such file" in here.said


@pytest.mark.parametrize("id", ["a/b", "../x", "A", "", "-x", "x" * 64, "a b", "é"])
def test_a_name_that_is_none_is_refused_before_anything_is_written(here: Here, id: str) -> None:
    before = here.config.read_bytes()
    try:
        here("add", "--kind", "command", "--set", "command=true", "--", id, code=2)
    finally:
        assert (here.config.read_bytes(), here.box.tab.read_bytes()) == (before, MINE)
    assert len(here.said.splitlines()) == 1
    assert not here.box.state.exists()


def test_a_schedule_line_is_named_where_it_stands_in_a_long_table(here: Here) -> None:
    here.config.write_text(HEAD + 'timeout = "5m"\n# why\nnice = 5\nschedule = "61 * * * *"\n')
    here("plan", code=1)
    assert "config.toml:9: jobs.hello.schedule: minute" in here.said + here("plan", code=1)


@pytest.mark.parametrize("option", ["--config", "--state-dir"])
@pytest.mark.parametrize("words", [("list",), ("add", "new", "--kind", "command", "--set", "command=true"), ("undo",)])
def test_a_path_that_is_not_utf_8_is_refused_in_a_line(here: Here, words: tuple[str, ...], option: str) -> None:
    before = here.config.read_bytes()
    here(*words, option, str(here.box.folder / "h\udcf6m"), "--json", code=2)
    assert "expected a path in UTF-8, got " in here.said
    assert here.config.read_bytes() == before
