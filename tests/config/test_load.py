from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltop.config.fault import Fault
from mltop.config.limit import Range
from mltop.config.load import load
from mltop.config.settings import Settings


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]
    def reading(user: str | None, system: str | None = None) -> Settings:
        base = tmp_path / "mltop"
        base.mkdir(exist_ok=True)
        if user is not None:
            (base / "config.toml").write_text(user)
        etc = tmp_path / "etc.toml"
        if system is not None:
            etc.write_text(system)
        return load(None, {"XDG_CONFIG_HOME": str(tmp_path)}, etc)

    return reading


def faults(read, text: str) -> tuple[str, ...]:  # type: ignore[no-untyped-def]
    with pytest.raises(Fault) as caught:
        read(text)
    return caught.value.lines


def test_no_config_at_all_is_the_defaults(read) -> None:  # type: ignore[no-untyped-def]
    settings = read(None)
    assert settings == Settings()
    assert settings.ui.interval == 2.0
    assert settings.limits["disk.space"].warn == Range.from_number(85, "high")
    assert load(None, {}, Path("/nonexistent/config.toml")) == Settings()


def test_what_is_said_holds(read) -> None:  # type: ignore[no-untyped-def]
    settings = read(
        """
version = 1
[ui]
theme = "light"
interval = 1
graphs = "ascii"
hidden = ["network"]
[expect]
gpus = 8
mounts = ["/data"]
[remote]
ssh_command = "/opt/mltop/bin/mltop"
[limits]
"disk.space" = { warn = 80, crit = 90, for = "5m", unless_free = "1TiB" }
mem.swap = 50
[limits.cpu]
load = "0:150"
"""
    )
    assert settings.ui.theme == "light"
    assert settings.ui.interval == 1.0
    assert settings.ui.hidden == ("network",)
    assert settings.expect.gpus == 8
    assert settings.limits.mounts == ("/data",)
    assert settings.remote.ssh_command == "/opt/mltop/bin/mltop"
    assert settings.limits["disk.space"].for_s == 300
    assert settings.limits["disk.space"].unless_free == 1 << 40
    assert settings.limits["mem.swap"].warn == Range.from_number(50, "high")
    assert settings.limits["cpu.load"].warn == Range(0, 150)
    assert settings.limits.is_configured("mem.swap")
    assert not settings.limits.is_configured("gpu.temp")


def test_the_users_file_goes_over_that_of_etc_key_by_key_of_a_table(read) -> None:  # type: ignore[no-untyped-def]
    settings = read(
        '[ui]\ninterval = 5\n[limits]\n"gpu.temp" = 80\n',
        '[ui]\ninterval = 9\ntheme = "dark"\n[expect]\ngpus = 4\n[limits]\n"gpu.temp" = 70\n"mem.swap" = 10\n',
    )
    assert (settings.ui.interval, settings.ui.theme, settings.expect.gpus) == (5.0, "dark", 4)
    assert settings.limits["gpu.temp"].warn == Range.from_number(80, "high")
    assert settings.limits["mem.swap"].warn == Range.from_number(10, "high")
    assert len(settings.files) == 2


def test_tables_of_other_parts_are_accepted_unread(read) -> None:  # type: ignore[no-untyped-def]
    read("[jobs.x]\nanything = 1\n[notify]\n[defaults]\n")


def test_every_fault_is_named_with_its_line(read) -> None:  # type: ignore[no-untyped-def]
    found = faults(
        read,
        """version = 2
colour = true
[ui]
# interval = 3
intervall = 3
interval = "x"
graphs = "dots"
hidden = "cpu"
[expect]
gpus = -1
mounts = ["data"]
[limits]
"disk.spice" = 3
"disk.space" = { warm = 3 }
"mem.swap" = { warn = "a:b" }
"gpu.temp" = { for = "5 parsecs" }
[remote]
ssh_command = ""
[serices]
""",
    )
    assert found == (
        "config.toml:1: version: expected 1, got 2",
        "config.toml:2: colour: unknown key",
        "config.toml:5: ui.intervall: unknown key; did you mean interval?",
        'config.toml:6: ui.interval: expected a number >= 0.25 (seconds, at most 3600), got "x"',
        'config.toml:7: ui.graphs: expected "braille", "block" or "ascii", got "dots"',
        'config.toml:8: ui.hidden: expected a list of panes, got "cpu"',
        "config.toml:10: expect.gpus: expected a whole number >= 0, got -1",
        "config.toml:11: expect.mounts: expected a list of absolute paths, got a list",
        'config.toml:13: limits."disk.spice": unknown key; did you mean disk.space?',
        'config.toml:14: limits."disk.space".warm: unknown key; did you mean warn?',
        'config.toml:15: limits."mem.swap": warn: expected a number or a range such as 10:20',
        'config.toml:16: limits."gpu.temp": for: expected a duration such as 5m',
        "config.toml:18: remote.ssh_command: expected a command, got a string".replace("a string", '""'),
        "config.toml:19: serices: unknown key; did you mean services?",
    )


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "inf", "true", "1e9"])
def test_an_interval_that_is_none(read, interval: str) -> None:  # type: ignore[no-untyped-def]
    (line,) = faults(read, f"[ui]\ninterval = {interval}\n")
    assert line.startswith("config.toml:2: ui.interval: expected a number >= 0.25")


def test_a_table_that_is_none(read) -> None:  # type: ignore[no-untyped-def]
    assert faults(read, "ui = 3\nlimits = []\n") == (
        "config.toml:1: ui: expected a table, got 3",
        "config.toml:2: limits: expected a table, got a list",
    )


def test_faults_of_both_files_are_told(read) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Fault) as caught:
        read("[ui]\ninterval = 0\n", "x = 1\n")
    assert len(caught.value.lines) == 2


def test_no_toml(read) -> None:  # type: ignore[no-untyped-def]
    (line,) = faults(read, "[ui]\ninterval =\n")
    assert line.startswith("config.toml:2: ")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    def lines(path: Path) -> str:
        with pytest.raises(Fault) as caught:
            load(str(path), {}, tmp_path / "none")
        (line,) = caught.value.lines
        return line

    missing, binary, pipe = tmp_path / "a.toml", tmp_path / "b.toml", tmp_path / "c.toml"
    binary.write_bytes(b"x = '\xff'")
    os.mkfifo(pipe)
    assert lines(missing) == f"{missing}: no such file"
    assert lines(binary) == f"{binary}:1: not UTF-8 (byte 5): save it as UTF-8"
    assert lines(pipe) == f"{pipe}: cannot be read: not a file"
    assert lines(tmp_path) == f"{tmp_path}: is a directory"
    deep = tmp_path / "d.toml"
    deep.write_text("x = " + "[" * 5000)
    assert lines(deep).startswith(str(deep))


def test_dev_null_is_an_empty_config(tmp_path: Path) -> None:
    assert load("/dev/null", {}, tmp_path / "none").ui == Settings().ui
    assert load(None, {"MLTOP_CONFIG": "/dev/null"}, tmp_path / "none").files == ("/dev/null",)


def test_a_file_written_with_a_mark_of_byte_order(read, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert read("\ufeff[ui]\ninterval = 3\n").ui.interval == 3.0


def test_a_folder_of_another_user_holds_no_config_of_ours(tmp_path: Path) -> None:
    """`sudo -u nobody` keeps HOME: what cannot even be looked into is not ours."""
    if os.geteuid() == 0:
        pytest.skip("root may look into every folder")
    closed = tmp_path / "config" / "mltop"
    closed.mkdir(parents=True)
    (closed / "config.toml").write_text("version = 1\n")
    closed.chmod(0)
    try:
        assert load(None, {"XDG_CONFIG_HOME": str(tmp_path / "config")}, tmp_path / "none").files == ()
    finally:
        closed.chmod(0o700)
