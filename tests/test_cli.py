"""The command line from outside: what it prints, where, and the code it ends with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import wait_until

MLTOP = [sys.executable, "-m", "mltop"]


def mltop(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 30, "stdin": subprocess.DEVNULL} | more
    return subprocess.run([*MLTOP, *arguments], **options)  # type: ignore[call-overload,no-any-return]


def test_version_and_help_work_with_nothing_around(tmp_path: Path) -> None:
    bare = {"PATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    version = mltop("--version", env=bare, cwd=tmp_path)
    assert re.fullmatch(r"mltop \d+\.\d+\.\d+\n", version.stdout)
    assert (version.returncode, version.stderr) == (0, "")
    described = mltop("--help", env=bare, cwd=tmp_path)
    assert described.returncode == 0
    assert all(len(line) <= 80 for line in described.stdout.splitlines())
    for flag in ("--once", "--stream", "--host", "--readonly", "--theme", "--ascii", "--no-color", "--interval"):
        assert flag in described.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bogus",),
        ("frobnicate",),
        ("-i", "0"),
        ("-i", "-1"),
        ("-i", "abc"),
        ("-i", "nan"),
        ("--interval", "1e9"),
        ("--stream", "--count", "0"),
        ("--stream", "--count", "x"),
        ("--count", "3"),
        ("--json",),
        ("--once", "--stream"),
        ("--host", "-oProxyCommand=true", "--once"),
        ("--host=-oProxyCommand=true", "--once"),
        ("--host", "", "--once"),
        ("--config", "/nonexistent/config.toml", "--once"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_code_2(arguments: tuple[str, ...]) -> None:
    ended = mltop(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(r"mltop: [^\n]+\n", ended.stderr)


def test_once_json_is_one_document_with_every_key() -> None:
    ended = mltop("--once", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert document["schema"] == "mltop.snapshot/1"
    assert document["cpu"]["usage_percent"] is not None, "--once takes two readings, so rates are known"
    assert document["memory"]["used_bytes"] > 0
    assert "/" in [disk["mount"] for disk in document["disks"]]
    assert document["processes"]["top"]


@pytest.mark.parametrize("terminal", [{}, {"TERM": "dumb"}], ids=["no terminal", "dumb"])
def test_without_a_terminal_the_dashboard_is_the_text_of_once(terminal: dict[str, str]) -> None:
    ended = mltop(env=os.environ | terminal)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout
    assert ended.stdout.isascii()
    lines = ended.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    for label in ("host", "cpu", "memory", "disk", "process"):
        assert any(line.startswith(label + " ") for line in lines), label


def test_stream_writes_count_lines_and_ends() -> None:
    ended = mltop("--stream", "--count", "3", "-i", "0.25")
    lines = ended.stdout.splitlines()
    assert (ended.returncode, len(lines)) == (0, 3)
    first, *later = map(json.loads, lines)
    assert first["cpu"]["usage_percent"] is None, "one reading has no rate"
    assert all(snapshot["cpu"]["usage_percent"] is not None for snapshot in later)
    assert [snapshot["interval_s"] for snapshot in (first, *later)] == [0.25] * 3


def children(pid: int) -> set[int]:
    """The processes below `pid`, without `pid` itself."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) in {pid, *found}:
            found.add(int(stat.parent.name))
    return found


def are_gone(pids: set[int]) -> bool:
    def is_there(pid: int) -> bool:
        try:
            return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False

    return not any(is_there(pid) for pid in pids)


def test_stream_ends_when_its_reader_goes_away_and_leaves_no_process() -> None:
    with subprocess.Popen([*MLTOP, "--stream", "-i", "60"], stdout=subprocess.PIPE) as stream:
        assert stream.stdout is not None
        assert json.loads(stream.stdout.readline())["schema"] == "mltop.snapshot/1"
        below = children(stream.pid)
        stream.stdout.close()
        assert stream.wait(timeout=20) == 0, "long before the next line is due"
    wait_until(lambda: are_gone(below))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_stream_ends_by_signal_with_its_code_and_leaves_no_process(number: signal.Signals) -> None:
    with subprocess.Popen([*MLTOP, "--stream", "-i", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stream:
        assert stream.stdout is not None
        assert stream.stderr is not None
        stream.stdout.readline()
        below = children(stream.pid)
        stream.send_signal(number)
        assert stream.wait(timeout=20) == 128 + number
        assert stream.stderr.read() == b""
    wait_until(lambda: are_gone(below))


@pytest.mark.parametrize(
    "words",
    [
        ("--once",),
        ("--once", "--json"),
        ("--stream",),
        ("--schema",),
        ("config", "check"),
        ("config", "check", "--json"),
        ("config", "show"),
    ],
)
def test_a_full_standard_output_is_one_line_and_code_1(words: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    (tmp_path / "config.toml").write_text("version = 1\n")
    command = [*MLTOP, "--config", str(tmp_path / "config.toml"), *words]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, env=environment)
    assert ended.returncode == 1
    assert re.fullmatch(r"mltop: standard output: [^\n]+\n", ended.stderr)


def test_headless_commands_load_neither_textual_nor_rich() -> None:
    code = (
        "import sys; from mltop.cli import main; main(sys.argv[1:]);"
        "heavy = {'textual', 'rich', 'pynvml', 'asyncio', 'humanize'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    for flags in (("--once",), ("--stream", "--count", "1")):
        ended = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, timeout=30)
        assert (ended.returncode, ended.stderr) == (0, "")


def test_schema_is_that_of_the_snapshot() -> None:
    schema = json.loads(mltop("--schema").stdout)
    assert set(schema["$defs"]) >= {"Snapshot", "Gpu", "Disk", "Process"}


def test_a_wrong_config_is_one_json_document_where_json_was_asked_for(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[ui]\ninterval = 'x'\n")
    ended = mltop("--config", str(config), "--once", "--json")
    assert ended.returncode == 2
    document = json.loads(ended.stdout)
    assert document["schema"] == "mltop.snapshot/1"
    assert "ui.interval" in document["errors"][0]["message"]


@pytest.mark.parametrize(
    "words",
    [
        ("--config", "{config}", "config", "check", "--json"),
        ("--config={config}", "--state-dir", "{state}", "config", "check", "--json"),
        ("config", "--config", "{config}", "check", "--json"),
        ("config", "--config={config}", "check", "--json"),
        ("config", "check", "--json", "--config", "{config}"),
    ],
    ids=" ".join,
)
def test_where_files_are_is_said_before_a_command_or_behind_it(words: tuple[str, ...], tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("version = 1\n")
    ended = mltop(*(word.format(config=config, state=tmp_path / "state") for word in words))
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["files"][0].endswith("mine.toml") or str(config) in ended.stdout


def test_a_word_that_is_no_command_is_told_the_nearest() -> None:
    assert mltop("job").stderr == "mltop: no command 'job'; did you mean jobs? (see mltop --help)\n"
    assert "unrecognized arguments: --bogus" in mltop("--bogus").stderr
    assert mltop("--config").returncode == 2
    assert mltop("--config", "jobs").returncode == 2
