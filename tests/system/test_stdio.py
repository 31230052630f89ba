from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from mltop.system.stdio import hold_standard_streams
closed = [int(fd) for fd in sys.argv[1:]]
report = os.dup(1)
for fd in closed:
    os.close(fd)
hold_standard_streams()
failed = []
for fd, use in ((0, lambda: os.read(0, 1)), (1, lambda: os.write(1, b"x"))):
    if fd in closed:
        try:
            use()
        except OSError as error:
            failed.append(error.errno)
pipe = os.pipe()
os.write(report, repr((min(pipe) > 2, failed)).encode())
"""
EBADF = 9


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_no_pipe_gets_the_number_of_a_stream_that_was_closed(closed: tuple[int, ...]) -> None:
    command = [sys.executable, "-c", SCRIPT, *map(str, closed)]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout == repr((True, [EBADF for fd in (0, 1) if fd in closed]))


@pytest.mark.parametrize(("redirection", "code"), [("2>&-", 2), (">&- 2>&-", 2), ("<&- >&- 2>&-", 2)])
def test_a_message_that_nobody_can_read_changes_no_exit_code(redirection: str, code: int) -> None:
    command = f"{sys.executable} -m mltop --config /nonexistent/config.toml --once {redirection}"
    assert subprocess.run(["sh", "-c", command], timeout=20, check=False).returncode == code


def test_a_stream_without_an_output_says_so() -> None:
    command = f"{sys.executable} -m mltop --stream -n 1 >&-"
    run = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert (run.returncode, run.stderr) == (1, "mltop: standard output: Bad file descriptor\n")


@pytest.mark.parametrize(("redirection", "code"), [("", 7), (">&-", 7), (">/dev/full", 7), (">&- 2>&-", 7)])
def test_leaving_writes_what_was_printed_and_keeps_the_code(redirection: str, code: int) -> None:
    script = "import sys; from mltop.system.stdio import leave; print('said'); leave(7)"
    command = ["sh", "-c", f'exec "$0" -E -c "{script}" {redirection}', sys.executable]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (run.returncode, run.stdout) == (code, "said\n" if not redirection else "")
