"""A line's command as cron starts it (crontab(5)): what the shell gets, and what it reads."""

from __future__ import annotations

import re

from mltop.jobs.crontab.text import ended

_INPUT = 'printf %s "$1" | "$2" -c "$3"'
"""Gives a command its standard input from the arguments: nothing in either needs quotes."""


def shell_argv(shell: str, command: str, given: str | None) -> tuple[str, ...]:
    """The command in its shell, with what it reads; the exit code is the command's."""
    if given is None:
        return shell, "-c", command
    return "/bin/sh", "-c", _INPUT, "sh", given, shell, command


def command_and_input(command: bytes) -> tuple[bytes, bytes | None]:
    r"""What the shell gets, and its standard input, as Debian's cron parts them; `None`: there is no `%`.

    The first `%` parts them, later ones are line ends, `\%` is a `%`. Two backslashes are one in the command, and two
    in the input (crontab(5) is silent on that; cron 3.0pl1 does it). The input ends with a line end, if it is any.
    """
    place = 0
    head = bytearray()
    while place < len(command) and command[place : place + 1] != b"%":
        pair = command[place : place + 2]
        if pair[:1] == b"\\" and len(pair) == 2:
            head += pair[1:] if pair in (b"\\%", b"\\\\") else pair
            place += 2
        else:
            head += pair[:1]
            place += 1
    if place == len(command):
        return bytes(head), None
    given = re.sub(rb"(\\?)%", lambda match: b"%" if match[1] else b"\n", command[place + 1 :])
    return bytes(head), ended(given)
