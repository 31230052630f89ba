"""What may make the installed mltop vanish, or be another's, is said before it is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltop.jobs import site
from mltop.jobs.site import SiteError, warnings


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that only its own folders can be warned of: those above are the tests'."""
    made = tmp_path / "opt" / "bin" / "mltop"
    made.parent.mkdir(parents=True)
    made.write_text("#!/bin/sh\n")
    return made


def about(program: Path, folder: Path) -> list[str]:
    """What is said of a folder, without where the tests lie."""
    return [line for line in warnings(str(program)) if str(folder) in line and "temporary" not in line]


def test_a_quiet_place_is_not_warned_of(program: Path, tmp_path: Path) -> None:
    assert about(program, tmp_path) == []


def test_a_checkout_is(program: Path, tmp_path: Path) -> None:
    (tmp_path / "opt" / ".git").mkdir()
    assert about(program, tmp_path) == [f"{program} lies in a checkout: jobs stop when it moves"]


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_folder_that_others_can_write_is(program: Path, tmp_path: Path, mode: int) -> None:
    (tmp_path / "opt").chmod(mode)
    assert about(program, tmp_path) == [f"{tmp_path}/opt can be written by other users, and {program} lies below it"]
    (tmp_path / "opt").chmod(mode | 0o1000)
    assert about(program, tmp_path) == [], "in one with the sticky bit nobody takes another's place"


def test_a_folder_for_temporary_files_is() -> None:
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        assert any("for temporary files" in line for line in warnings(f"{folder}/venv/bin/mltop"))
    assert not any("for temporary files" in line for line in warnings("/usr/local/bin/mltop"))


def test_a_link_is_warned_of_for_where_it_leads(program: Path, tmp_path: Path) -> None:
    (tmp_path / "opt" / ".git").mkdir()
    link = tmp_path / "mltop"
    link.symlink_to(program)
    assert about(link, tmp_path) == [f"{link} lies in a checkout: jobs stop when it moves"]


def test_without_a_command_no_scheduler_can_call_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "program", lambda environment: None)
    here = site.site(str(tmp_path / "c.toml"), str(tmp_path), {"HOME": str(tmp_path)})
    with pytest.raises(SiteError, match="not installed as a command"):
        here.call("user")


@pytest.mark.parametrize(
    ("environment", "option"),
    [
        ({"MLTOP_STATE_DIR": "/tmp/h\udcf6m"}, "--state-dir"),
        ({"MLTOP_STATE_DIR": "/tmp/state", "MLTOP_CONFIG": "/tmp/h\udcf6m/config.toml"}, "--config"),
        ({"MLTOP_STATE_DIR": "/tmp/state", "HOME": "/tmp/h\udcf6m"}, "--config"),
    ],
)
def test_a_place_that_no_history_can_name_is_said(
    environment: dict[str, str], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are Latin-1; JSON, TOML and the history hold text."""
    monkeypatch.setattr(os, "geteuid", lambda: 1234567)
    with pytest.raises(SiteError, match=rf"/tmp/h\?m.* is not UTF-8: name another by {option}"):
        site.site(environment=environment)


def test_a_config_named_from_a_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    environment = {"MLTOP_STATE_DIR": "/tmp/state", "HOME": "/home/x"}
    with pytest.raises(SiteError, match="working directory is gone"):
        site.site("config.toml", environment=environment)
    with pytest.raises(SiteError, match=r"^state: the working directory is gone"):
        site.site("/config.toml", "state", environment=environment)
    assert site.site("/config.toml", environment=environment).config == "/config.toml"
