"""What cron takes of a file of the system's, and for what it leaves out all of it (cron 3.0pl1, tried; and cronie).

Debian's cron reads more than is meant (`1-2-3`, `*5`) and less (`5/10`, `A=`), and one line that it cannot read stops
its whole file, which only its log tells. cronie leaves out the line alone, and is stricter with a file's mode.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Collection, Mapping
from datetime import tzinfo
from pathlib import Path

from mltop.jobs.crontab.line import LONGEST_COMMAND
from mltop.jobs.crontab.text import lines
from mltop.jobs.schedule.cron_field import FIELDS, Field
from mltop.system.text import clean

_BLANK = b" \t"
_SPACE = b" \t\n\r\v\f"
_AT = frozenset({b"@reboot", b"@yearly", b"@annually", b"@monthly", b"@weekly", b"@daily", b"@midnight", b"@hourly"})
_LONGEST_WORD = 99
_TERM = re.compile(rb"(?P<all>\*)|(?P<first>[A-Za-z0-9]+)(?P<slash>/)?(?:-(?P<last>[A-Za-z0-9]*))?")
_STEP = re.compile(rb"/(?P<step>[A-Za-z0-9]*)")
_LOCAL = frozenset({"files", "compat", "systemd"})
"""Sources of users that are on this box (nsswitch.conf(5)); others may know more users than /etc/passwd."""


def is_debians(sbin: Path = Path("/usr/sbin")) -> bool:
    """Whether the box's cron is Debian's, by its name: cronie's is `crond`."""
    return (sbin / "cron").exists() or not any((folder / "crond").exists() for folder in (sbin, sbin.with_name("bin")))


def zone_of(variables: Mapping[str, str], *, is_debian: bool) -> tzinfo | None:
    """The zone that cron counts in for what stands below these variables; `None`: the box's.

    cronie goes by CRON_TZ (crontab(5)); Debian's cron gives it to the job, and counts as ever.
    """
    from zoneinfo import ZoneInfo

    name = "" if is_debian else variables.get("CRON_TZ", "")
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None


def local_users(etc: Path = Path("/etc")) -> frozenset[bytes] | None:
    """The names of all users; `None` where a name service may know more, which is not asked: it may hang (D4)."""
    try:
        services = (etc / "nsswitch.conf").read_text("utf-8", "replace")
        found = re.search(r"^passwd:(.*)$", services, re.MULTILINE)
        if found and not _LOCAL.issuperset(re.sub(r"\[[^]]*\]", "", found[1].partition("#")[0]).split()):
            return None
        return frozenset(line.split(b":")[0] for line in (etc / "passwd").read_bytes().splitlines())
    except OSError:
        return None


def refused_file(path: Path, *, owner: int = 0, is_debian: bool) -> str | None:
    """Why cron runs nothing of a file of /etc/cron.d, whatever stands in it; `None` where it reads it. Raises OSError.

    `owner` is root, or who has /etc where that is another folder.
    """
    status = path.stat()
    if status.st_uid != owner:
        return "it is not root's"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others than root can write it"
    if is_debian:
        return "it has another hard link" if status.st_nlink > 1 else None
    return None if status.st_mode & 0o7533 == 0o400 else f"its mode is {stat.S_IMODE(status.st_mode):04o}"


def why_stopped(
    path: Path,
    data: bytes,
    *,
    owner: Path,
    is_debian: bool,
    users: Callable[[], Collection[bytes] | None] = lambda: None,
) -> tuple[int | None, str] | None:
    """The line for which cron runs nothing of a file of the system's (`None`: its mode or owner), and why.

    `owner` is the folder whose owner has to have it; `users` is asked where a line's user matters. `None`: it is run,
    or gone by now.
    """
    try:
        why = refused_file(path, owner=owner.stat().st_uid, is_debian=is_debian)
    except OSError:
        return None
    if why is not None:
        return None, why
    return wrong_line(data, users()) if is_debian else None


def wrong_line(data: bytes, users: Collection[bytes] | None = None) -> tuple[int, str] | None:
    """The first line for which Debian's cron leaves out a whole file of the system's, and why; `None`: there is none.

    `users` are all that there are; `None`: not known.
    """
    for number, raw in enumerate(lines(data), 1):
        if (why := refused(raw, users)) is not None:
            return number, why
    return None


def refused(raw: bytes, users: Collection[bytes] | None = None) -> str | None:
    """Why Debian's cron cannot read a line (with its end) of /etc/crontab; `None` where it makes anything of it."""
    text = raw.removesuffix(b"\n").lstrip(_BLANK)
    if not text or text.startswith(b"#"):
        return None
    if not raw.endswith(b"\n"):
        return "it has no line end"
    if is_variable(text):
        return None
    if text.startswith(b"@"):
        word, rest = _parted(text)
        why = None if word in _AT else f'"{clean(word, 40)}" is no time of cron\'s'
    else:
        why, rest = _of_fields(text)
    return why or _of_command(rest, users)


def _of_fields(text: bytes) -> tuple[str | None, bytes]:
    for field in FIELDS:
        word, text = _parted(text)
        if not _is_list(word, field):
            return f'"{clean(word, 40)}" is no {field.name}', b""
    return None, text


def _of_command(text: bytes, users: Collection[bytes] | None) -> str | None:
    user, command = re.fullmatch(rb"([^ \t]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if not user or not command:
        return "it has no user, or no command"
    if users is not None and user not in users:
        return f"there is no user {clean(user, 40)}"
    return "its command is too long" if len(command) - 1 > LONGEST_COMMAND else None


def _parted(text: bytes) -> tuple[bytes, bytes]:
    """A word, and what follows it."""
    word = re.match(rb"[^ \t]*", text)[0]  # type: ignore[index]
    return word, text[len(word) :].lstrip(_BLANK)


def _is_list(word: bytes, field: Field) -> bool:
    """Whether cron reads a field: what follows a whole term, and is no comma, it skips; a range may run backwards."""
    while True:
        term = _TERM.match(word)
        if term is None or term["slash"]:
            return False
        word = word[term.end() :]
        step = _STEP.match(word) if term["all"] or term["last"] is not None else None
        if step is not None:
            if not _number(step["step"], ()):
                return False
            word = word[step.end() :]
        ends = [term[end] for end in ("first", "last") if term[end] is not None]
        if not all(_is_value(end, field) for end in ends):
            return False
        if not word.startswith(b","):
            return True
        word = word[1:]


def _is_value(word: bytes, field: Field) -> bool:
    number = _number(word, field.names, field.low)
    return number is not None and field.low <= number <= field.high


def _number(word: bytes, names: tuple[str, ...], low: int = 0) -> int | None:
    """A number or a name; `None` for neither."""
    if not 0 < len(word) <= _LONGEST_WORD:
        return None
    text = word.decode("ascii", "replace").lower()
    if text in names:
        return names.index(text) + low
    return int(text) if word.isdigit() else None


def is_variable(text: bytes) -> bool:
    """Whether cron reads `NAME = value`: a value has to be there, and a quote to be closed, with nothing behind it."""
    name = rb"""(?:"[^"=]*"|'[^'=]*'|(?!["'])[^\s=]*)"""
    value = rb"""(?:"[^"]*"\s*|'[^']*'\s*|(?!["'\s]).+)"""
    return re.fullmatch(name + rb"\s*=\s*" + value, text, re.DOTALL) is not None
