from __future__ import annotations

from pathlib import Path

import pytest

from mltop.config.location import explicit_config, machine_id, own_config, state_directory, user_config


def test_the_config_is_where_xdg_says() -> None:
    assert user_config({"HOME": "/home/a"}) == Path("/home/a/.config/mltop/config.toml")
    assert user_config({"HOME": "/home/a", "XDG_CONFIG_HOME": "/x"}) == Path("/x/mltop/config.toml")
    assert user_config({"HOME": "/home/a", "XDG_CONFIG_HOME": "rel"}) == Path("/home/a/.config/mltop/config.toml")
    assert user_config({}) is None


def test_a_named_config_goes_first() -> None:
    assert explicit_config("/a", {"MLTOP_CONFIG": "/b"}) == Path("/a")
    assert explicit_config(None, {"MLTOP_CONFIG": "/b"}) == Path("/b")
    assert explicit_config(None, {"MLTOP_CONFIG": ""}) is None


def test_state_is_used_as_named_and_else_has_a_folder_a_machine() -> None:
    assert state_directory("/s", {"MLTOP_STATE_DIR": "/t"}) == Path("/s")
    assert state_directory(None, {"MLTOP_STATE_DIR": "/t"}, is_root=True) == Path("/t")
    assert state_directory(None, {"HOME": "/root"}, is_root=True) == Path("/var/lib/mltop")
    assert state_directory(None, {"HOME": "/h"}, is_root=False) == Path("/h/.local/state/mltop") / machine_id()
    assert state_directory(None, {}, is_root=False) is None


def test_a_state_that_is_named_from_here_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert state_directory("state", {}) == gone / "state"
    assert state_directory(None, {"MLTOP_STATE_DIR": "./state"}) == gone / "state"
    gone.rmdir()
    assert state_directory("state", {}) == Path("state")


def test_a_machine_without_an_id_has_its_name(tmp_path: Path) -> None:
    assert machine_id(tmp_path / "none")
    assert "/" not in machine_id(tmp_path / "none")
    named = tmp_path / "machine-id"
    named.write_text("0123456789abcdef0123456789abcdef\n")
    assert machine_id(named) == "0123456789abcdef0123456789abcdef"
    named.write_text("../../etc\n")
    assert machine_id(named) == machine_id(tmp_path / "none")


def test_new_settings_go_where_their_owner_reads_them() -> None:
    assert own_config("/a", {"MLTOP_CONFIG": "/b"}, is_root=True) == Path("/a")
    assert own_config(None, {"MLTOP_CONFIG": "/b"}, is_root=True) == Path("/b")
    assert own_config(None, {"HOME": "/root"}, is_root=True) == Path("/etc/mltop/config.toml")
    assert own_config(None, {"HOME": "/h"}, is_root=False) == Path("/h/.config/mltop/config.toml")
    assert own_config(None, {}, is_root=False) is None
