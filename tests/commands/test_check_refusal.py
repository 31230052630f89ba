"""What is no verdict, at every moment of a run: code 3 and one line, and for JSON one document (C2)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from patience import assert_within

from mltop.commands.check.plugin import main as plugin
from mltop.commands.check.refuse import NoVerdictError, guarded
from mltop.model.verdict import SCHEMA, Verdict

ENTRY = "import sys; from mltop.cli import main; sys.exit(main())"
PLUGIN = "import sys; from mltop.commands.check.plugin import main; sys.exit(main())"
MISSING = "import sys; sys.modules[{0!r}] = None\n"
SIGNALLED = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {0!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {1})
sys.meta_path.insert(0, Finder())
"""


def run(code: str, *arguments: str, folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "MLTOP_STATE_DIR": str(folder / "state"),
        "MLTOP_KMSG": os.devnull, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    values: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **more}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, text=True, timeout=30, check=False, cwd=folder, **values)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a run that came to nothing."""
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("mltop: ")
    return done.stderr.removeprefix("mltop: ").rstrip()


def documented(done: subprocess.CompletedProcess[str]) -> str:
    """The same of one that was to give a document."""
    line = refused(done)
    made = json.loads(done.stdout)
    assert list(made) == list(msgspec.to_builtins(Verdict()))
    assert list(made["counts"]) == list(msgspec.to_builtins(Verdict().counts))
    assert msgspec.convert(made, Verdict).schema == SCHEMA
    assert (made["state"], made["exit_code"], made["complete"], made["results"]) == ("UNKNOWN", 3, False, [])
    assert [error["message"] for error in made["errors"]] == [line]
    return line


# --- a broken install


@pytest.mark.parametrize(
    "module",
    [
        "msgspec", "argparse", "mltop.system.stdio", "mltop.system.text", "mltop.system.process", "mltop.config.load",
        "mltop.config.fault", "mltop.commands.parser", "mltop.commands.check.command", "mltop.commands.check.write",
        "mltop.commands.check.read", "mltop.checks.catalogue", "mltop.sampling.look", "mltop.model.verdict",
        "mltop.reports.json",
    ],
)  # fmt: skip
def test_a_module_that_is_missing(tmp_path: Path, module: str) -> None:
    line = documented(run(MISSING.format(module) + ENTRY, "--check", "--json", folder=tmp_path))
    assert "ModuleNotFoundError" in line
    assert module in line


def test_what_refuses_may_be_missing_itself(tmp_path: Path) -> None:
    missing = MISSING.format("mltop.commands.check.refuse")
    done = run(missing + ENTRY, "--check", folder=tmp_path)
    assert "ModuleNotFoundError" in refused(done)
    done = run(missing + PLUGIN, folder=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("MLTOP UNKNOWN - ModuleNotFoundError")


# --- signals, early and late


@pytest.mark.parametrize(
    "module",
    ["mltop.commands.check.refuse", "mltop.system.stdio", "argparse", "mltop.commands.check.command", "msgspec"],
)
def test_ctrl_c_at_an_early_moment(tmp_path: Path, module: str) -> None:
    done = run(SIGNALLED.format(module, int(signal.SIGINT)) + ENTRY, "--check", folder=tmp_path)
    assert refused(done) in ("ended by SIGINT", "interrupted")
    done = run(SIGNALLED.format(module, int(signal.SIGINT)) + ENTRY, "--check", "--json", folder=tmp_path)
    assert documented(done) in ("ended by SIGINT", "interrupted")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("module", ["mltop.system.stdio", "mltop.config.load", "mltop.reports.json"])
def test_a_signal_at_any_moment(tmp_path: Path, module: str, number: signal.Signals) -> None:
    done = run(SIGNALLED.format(module, int(number)) + ENTRY, "--check", "--json", folder=tmp_path)
    assert documented(done) == f"ended by {number.name}"


def test_a_signal_that_python_loses_ends_the_run_all_the_same() -> None:
    class Deaf:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)  # what is raised here has nobody to go to

    def judge() -> int:
        from mltop.commands.check.write import write

        unraisable, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            Deaf()
        finally:
            sys.unraisablehook = unraisable
        return write("fine\n", "/nowhere/to/be", 0)

    assert guarded([], judge) == 3


def test_signals_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    assert guarded([], lambda: 1) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before


# --- the output


@pytest.mark.parametrize("words", ["--help", "--version", "--list", "--schema", "--only self.config"])
def test_a_full_disk(tmp_path: Path, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(ENTRY, "--check", *words.split(), folder=tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (3, "mltop: standard output: No space left on device\n")


def test_a_closed_standard_output_and_error(tmp_path: Path) -> None:
    def closed(*fds: int) -> int:
        command = [sys.executable, "-c", ENTRY, "--check", "--only", "self.config", "--no-state"]
        words = " ".join(f"{fd}>&-" for fd in fds)
        shell = ["/bin/sh", "-c", f'exec "$@" {words}', "sh", *command]
        return subprocess.run(shell, cwd=tmp_path, timeout=30, check=False, stdin=subprocess.DEVNULL).returncode

    assert closed(1) == 3
    assert closed(1, 2) == 3
    assert closed(2) == 0


def test_a_reader_that_takes_half_of_it_gets_no_second_document(tmp_path: Path) -> None:
    """A report that does not fit into the pipe, a reader that takes none of it, and the run's time: it ends."""
    code = (
        "import os, sys\nfrom mltop.commands.check import refuse\n"
        "def judge():\n    import signal; signal.setitimer(signal.ITIMER_REAL, 0.3)\n"
        "    refuse.write_out('x' * 1000000); return 0\n"
        "os._exit(refuse.guarded(['--json'], judge, is_process=True))\n"
    )
    read, write = os.pipe()
    started = time.monotonic()
    done = run(code, folder=tmp_path, stdout=write)
    os.close(write)
    os.close(read)
    assert_within(5, started)
    assert refused(done) == "not done in the time of this run (-t)"


# --- the words


def test_a_reason_is_one_line_whatever_is_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    def judge() -> int:
        raise ValueError('two\nlines \x1b[31m \u202e "and" \\ more' + "x" * 1000)

    assert guarded(["--json"], judge) == 3
    out, error = capfd.readouterr()
    assert json.loads(out)["errors"][0]["message"] in error
    assert error.count("\n") == 1
    assert "\u202e" not in error
    assert "\x1b" not in error
    assert len(error) < 500


def test_all_faults_of_a_config_are_told() -> None:
    with pytest.raises(NoVerdictError) as raised:
        raise NoVerdictError("one", "two")
    assert raised.value.lines == ("one", "two")


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        ("-f nagios", "MLTOP UNKNOWN - unrecognized arguments: --bogus"),
        ("-f checkmk", '3 "mltop" - unrecognized arguments: --bogus'),
        ("-f human", ""),
    ],
)
def test_monitoring_servers_get_a_line_on_standard_output(tmp_path: Path, words: str, shape: str) -> None:
    done = run(ENTRY, "--check", "--bogus", *words.split(), folder=tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith(shape)
    assert len(done.stdout.splitlines()) == bool(shape)


# --- the plugin


@pytest.mark.parametrize(
    ("words", "code", "shape"),
    [
        ("--help", 3, "usage: check_mltop"),
        ("-h", 3, "usage: check_mltop"),
        ("--version", 3, "check_mltop "),
        ("-V", 3, "check_mltop "),
        ("--bogus", 3, "MLTOP UNKNOWN - unrecognized arguments: --bogus"),
        ("-f json", 3, "MLTOP UNKNOWN - "),
        ("--config /none/c.toml", 3, "MLTOP UNKNOWN - "),
        ("--only nope", 3, "MLTOP UNKNOWN - "),
        ("--only redis", 3, "MLTOP UNKNOWN - "),
        ("--only self.config", 0, "MLTOP OK - 1 checks ok | "),
    ],
)
def test_the_plugin_says_all_on_standard_output(tmp_path: Path, words: str, code: int, shape: str) -> None:
    done = run(PLUGIN, *words.split(), folder=tmp_path)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(shape)
    if not shape.startswith("usage"):
        assert done.stdout.count("\n") == 1


def test_the_plugin_takes_a_range_alone_for_the_one_check_that_it_makes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--only", "disk.shm", "--no-state", "--config", os.devnull]
    assert plugin([*words, "-w", "101:", "-c", "~:101"]) == 1  # less than 101 % is used anywhere
    assert capfd.readouterr().out.startswith("MLTOP WARNING - /dev/shm ")
    assert plugin([*words, "-w", "~:101", "-c", "101:"]) == 2
    assert plugin(["--only", "mem.*", "--no-state", "-w", "5"]) == 3
    assert "ID=RANGE" in capfd.readouterr().out
