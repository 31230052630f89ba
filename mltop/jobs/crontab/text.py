"""A crontab as bytes: mltop's block in it, and one line at a time of what is not mltop's. Every other byte stays (D28).

A file is cut at line feeds alone, and what cron itself would make of a line decides: a carriage return is part of the
command, a `#` after the schedule too (crontab(5)).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

BEGIN = b"# >>> mltop managed (do not edit) >>>"
END = b"# <<< mltop managed <<<"
OFF = b"# mltop:off "
"""Before a foreign line that mltop paused."""
_VARIABLE = re.compile(
    rb"""[ \t]*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s='"]+))[ \t]*=[ \t]*(?P<value>.*?)[ \t\r]*""",
    re.DOTALL,
)
_ENTRY = rb"[ \t]*(?P<schedule>@[^ \t]+|[^ \t@#][^ \t]*(?:[ \t]+[^ \t]+){4})[ \t]+"
_OWN_ENTRY = re.compile(_ENTRY + rb"(?P<command>[^ \t].*)", re.DOTALL)
_SYSTEM_ENTRY = re.compile(_ENTRY + rb"(?P<user>[^ \t]+)[ \t]+(?P<command>[^ \t].*)", re.DOTALL)


class BlockFault(Exception):  # noqa: N818 - what is wrong, for a reader
    """mltop's block is not whole: nothing may be written. The text names the lines."""


class Parts(msgspec.Struct, frozen=True):
    """A crontab around mltop's block."""

    before: bytes
    block: tuple[bytes, ...] | None
    """The lines between the markers, without their ends; `None`: there is no block."""
    after: bytes
    first: int = 1
    """The number of the block's first line in the file."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line that cron runs, or ran until it was paused."""

    id: str
    number: int
    """Its line in the file, from 1."""
    raw: bytes
    """The line as it is, with its end."""
    schedule: bytes
    command: bytes
    user: bytes | None = None
    """In /etc/crontab and /etc/cron.d."""
    is_enabled: bool = True
    environment: dict[str, str] = {}
    """The variables that stand above it."""


def lines(data: bytes) -> list[bytes]:
    """The lines with their ends."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def parts(data: bytes) -> Parts:
    """Find the block; raises BlockFault for half a block, two, or one in another (D28)."""
    all_lines = lines(data)
    marks = [(number, mark) for number, line in enumerate(all_lines) if (mark := line.rstrip(b"\r\n")) in (BEGIN, END)]
    if not marks:
        return Parts(data, None, b"")
    if [mark for _, mark in marks] != [BEGIN, END]:
        where = ", ".join(str(number + 1) for number, _ in marks)
        raise BlockFault(f"mltop's block in the crontab is not whole (markers in line {where}); make it one, or none")
    begin, end = marks[0][0], marks[1][0]
    inner = tuple(line.rstrip(b"\n") for line in all_lines[begin + 1 : end])
    return Parts(b"".join(all_lines[:begin]), inner, b"".join(all_lines[end + 1 :]), begin + 2)


def with_block(data: bytes, block: Sequence[bytes]) -> bytes:
    """The crontab with these lines in the block; with no lines, without one. Raises BlockFault."""
    found = parts(data)
    before = found.before
    if not block:
        return before + found.after
    if found.block is None:
        before = ended(before)
    return before + b"".join(line + b"\n" for line in (BEGIN, *block, END)) + found.after


def ended(data: bytes) -> bytes:
    """With the final line feed, without which cron takes no crontab."""
    return data if not data or data.endswith(b"\n") else data + b"\n"


def entries(data: bytes, prefix: str, *, has_user: bool = False) -> list[Entry]:
    """What cron runs of a file, mltop's own block left out; an id stays while schedule and command do.

    A block that is not whole is read as lines like others.
    """
    try:
        found = parts(data)
    except BlockFault:
        found = Parts(data, None, b"")
    own = range(found.first, found.first + len(found.block)) if found.block is not None else range(0)
    numbered = [(number, line) for number, line in enumerate(lines(data), 1) if number not in own]
    return list(_numbered_entries(numbered, prefix, has_user))


def _numbered_entries(numbered: Iterable[tuple[int, bytes]], prefix: str, has_user: bool) -> Iterator[Entry]:
    environment: dict[str, str] = {}
    seen: dict[str, int] = {}
    form = _SYSTEM_ENTRY if has_user else _OWN_ENTRY
    for number, raw in numbered:
        line = raw.rstrip(b"\n")
        is_enabled = not line.startswith(OFF)
        text = line if is_enabled else line.removeprefix(OFF)
        if text.lstrip(b" \t").startswith(b"#") or not text.strip():
            continue
        if is_enabled and (variable := _variable(text)):
            environment = environment | dict([variable])
        elif match := form.fullmatch(text):
            groups = match.groupdict()
            yield Entry(
                id=_id(prefix, groups, seen),
                number=number,
                raw=raw,
                schedule=match["schedule"],
                command=match["command"],
                user=groups.get("user"),
                is_enabled=is_enabled,
                environment=environment,
            )


def _id(prefix: str, groups: dict[str, bytes], seen: dict[str, int]) -> str:
    words = b"\0".join((b" ".join(groups["schedule"].split()), groups.get("user") or b"", groups["command"]))
    name = f"{prefix}-{hashlib.sha256(words).hexdigest()[:8]}"
    seen[name] = count = seen.get(name, 0) + 1
    return name if count == 1 else f"{name}-{count}"


def _variable(line: bytes) -> tuple[str, str] | None:
    """`NAME = value` as cron reads it: quotes around name or value taken off."""
    match = _VARIABLE.fullmatch(line)
    if match is None:
        return None
    name = next(group for group in (match["double"], match["single"], match["bare"]) if group is not None)
    value = match["value"]
    if len(value) > 1 and value[:1] == value[-1:] and value[:1] in (b'"', b"'"):
        value = value[1:-1]
    return name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")


def variables(data: bytes) -> dict[str, str]:
    """The variables above mltop's block, or in the whole file where there is none: they count for its jobs (D28)."""
    return dict(found for line in lines(parts(data).before) if (found := _variable(line.rstrip(b"\n"))))


def toggled(data: bytes, entry: Entry) -> bytes:
    """The file with one line paused, or running again as it was."""
    raw = OFF + entry.raw if entry.is_enabled else entry.raw.removeprefix(OFF)
    return replaced(data, entry, raw)


def edited(data: bytes, entry: Entry, schedule: str | None = None, command: str | None = None) -> bytes:
    """The file with the schedule or the command of one line replaced; raises ValueError for what cannot stand there."""
    text = entry.raw
    start = text.index(entry.schedule, len(OFF) if not entry.is_enabled else 0)
    end = text.rindex(entry.command)
    for word in (schedule, command):
        if word is not None and ("\n" in word or "\0" in word or not word.strip()):
            raise ValueError("a schedule and a command are one line each, and not empty")
    new_schedule = entry.schedule if schedule is None else schedule.encode()
    old_command = entry.command.rstrip(b"\r")
    new_command = old_command if command is None else command.strip().encode()
    between = text[start + len(entry.schedule) : end]
    rest = text[end + len(old_command) :]
    return replaced(data, entry, text[:start] + new_schedule + between + new_command + rest)


def replaced(data: bytes, entry: Entry, raw: bytes) -> bytes:
    """The file with another text in place of one line; raises ValueError where that is not there any more."""
    all_lines = lines(data)
    if not 0 < entry.number <= len(all_lines) or all_lines[entry.number - 1] != entry.raw:
        raise ValueError(f"line {entry.number} is not what it was")
    all_lines[entry.number - 1] = raw
    return b"".join(all_lines)
