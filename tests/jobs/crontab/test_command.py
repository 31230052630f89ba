"""The command of a line and what it reads, parted as Debian's cron does; with the real one: integration."""

from __future__ import annotations

import subprocess

import pytest

from mltop.jobs.crontab.command import command_and_input, shell_argv


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (b"date", (b"date", None)),
        (rb"date +\%F", (b"date +%F", None)),
        (b"mail root%hello%there", (b"mail root", b"hello\nthere\n")),
        (rb"a\%b%c\%d", (b"a%b", b"c%d\n")),
        (b"cat%one%", (b"cat", b"one\n")),
        (b"cat%", (b"cat", b"")),
        (rb"echo 'a\\b'", (rb"echo 'a\b'", None)),
        (rb"echo a\\%b", (b"echo a\\", b"b\n")),
        (rb"echo 'a\\\%b'", (rb"echo 'a\%b'", None)),
        (rb"echo '\\\\' \x", (rb"echo '\\' \x", None)),
        (rb"cat%a\%b\\c\x%z\\", (b"cat", rb"a%b\\c\x" + b"\n" + rb"z\\" + b"\n")),
        (b"echo \\", (b"echo \\", None)),
    ],
)
def test_percent_signs_part_command_and_input(command: bytes, expected: tuple[bytes, bytes | None]) -> None:
    assert command_and_input(command) == expected


@pytest.mark.parametrize("given", ["one\ntwo\n", "", 'it\'s "$HOME" `x` \\n %s\n', "-n\n"])
def test_what_it_reads_comes_through_as_it_is_and_its_code_is_its_own(given: str) -> None:
    argv = shell_argv("/bin/bash", "cat; exit 7 # said", given)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
    assert (done.stdout.decode(), done.returncode) == (given, 7)
