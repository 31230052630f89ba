"""mltop's lines in a crontab: `<schedule> <mltop> run <id> # mltop:v1:<hash>`; nothing in them needs quotes (J15)."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Collection, Sequence

import msgspec

from mltop.jobs.schedule.schedule import ScheduleFault

CATCH_UP = "--catch-up"
"""In place of an id: the lines that make up what was missed (D31)."""
_SAFE = re.compile(r"[A-Za-z0-9_./@:#=* ,~-]+")
_MARK = " # mltop:v1:"
_DIGITS = 12
"""Of the hash."""
LONGEST_COMMAND = 998
"""Bytes of a command, what follows a `#` in it too (cron 3.0pl1, tried)."""
_SHORTER = "put config and state under shorter paths (--config, --state-dir)"
_CALL = re.compile(
    r"(?P<schedule>@[a-z]+|\S+(?:\s+\S+){4})\s+(?:[a-z_][a-z0-9_-]*\s+)?(?P<program>/\S*)\s+run\s+(?P<id>\S+)(?P<rest>.*)"
)


class Call(msgspec.Struct, frozen=True):
    """How mltop is called by a scheduler (D20)."""

    program: str
    """The absolute path of mltop."""
    config: str | None = None
    """`--config`, where cron's bare environment would find another."""
    state: str | None = None
    """`--state-dir`, likewise."""

    def argv(self, job: str) -> tuple[str, ...]:
        """The whole command of a job."""
        named = (("--config", self.config), ("--state-dir", self.state))
        return (self.program, "run", job, *(word for option, value in named if value for word in (option, value)))


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A line that mltop wrote, as it is found."""

    id: str
    schedule: str
    call: Call
    is_intact: bool
    """It is byte for byte what was written."""
    is_paused: bool = False
    """Somebody put a `#` before it."""


def line(schedule: str, argv: Sequence[str], user: str | None = None) -> bytes:
    """One line with its hash; raises ScheduleFault for a path or an id that a crontab cannot hold as it is.

    One line that is too long keeps cron from reading the others of its file.
    """
    command = " ".join(argv)
    if not _SAFE.fullmatch(command) or any(" " in word for word in argv):
        bad = next((word for word in argv if not _SAFE.fullmatch(word) or " " in word), command)
        raise ScheduleFault(f"{bad!r} cannot stand in a crontab without quotes: use a path without special characters")
    room = LONGEST_COMMAND - len(_MARK) - _DIGITS - (0 if CATCH_UP in argv else len(CATCH_UP))
    if len(command) > room:  # where a job's line has room, so have those for what it missed
        raise ScheduleFault(f"cron takes no command of over {LONGEST_COMMAND} bytes: {_SHORTER}")
    text = " ".join(part for part in (schedule, user, command) if part)
    return f"{text}{_MARK}{_hash(text)}".encode()


def catch_up(call: Call, user: str | None = None) -> list[bytes]:
    """The lines that start what was missed: when the box starts, and hourly for a cron that was off (D31)."""
    minute = int(_hash(call.program), 16) % 60
    return [line(schedule, call.argv(CATCH_UP), user) for schedule in ("@reboot", f"{minute} * * * *")]


def is_marked(raw: bytes) -> bool:
    """Whether mltop's mark is in it."""
    return _MARK.encode() in raw


def owned(raw: bytes) -> Owned | None:
    """What a line in mltop's place says, edited or not; `None` for one that does not call mltop for a job."""
    whole = raw.decode("utf-8", "replace")
    bare = whole.lstrip("# \t\r") if whole.lstrip().startswith("#") else whole
    text, _, tag = bare.partition(_MARK)
    call = _CALL.fullmatch(text.strip())
    if call is None:
        return None
    words = call["rest"].split()
    named = {option: value for option, value in itertools.pairwise(words) if option in ("--config", "--state-dir")}
    return Owned(
        id=call["id"],
        schedule=call["schedule"],
        call=Call(call["program"], named.get("--config"), named.get("--state-dir")),
        is_intact=whole == bare and tag == _hash(text),
        is_paused=whole.lstrip().startswith("#"),
    )


def is_ours(found: Owned, calls: Collection[Call]) -> bool:
    """Whether a line is of this config and this state: another's, of the same user, is left alone."""
    return any((found.call.config, found.call.state) == (call.config, call.state) for call in calls)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
