"""What is somebody's in a scheduler as a job of mltop's: its table in the config, and what that cannot say (J23).

Nothing about a run changes that is not asked for: the same command in the same shell, with the variables of its place,
and no time limit where there was none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mltop.jobs.crontab.command import command_and_input, shell_argv
from mltop.jobs.crontab.taken import is_debians
from mltop.jobs.crontab.text import Entry
from mltop.jobs.foreign import Foreign
from mltop.jobs.schedule.schedule import ScheduleFault, local_zone, parse
from mltop.model.job import Origin
from mltop.system.text import clean

TAG = "adopted:"
"""Before the place that a job came from, among its tags."""
ANACRONTAB = Path("/etc/anacrontab")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_THE_PROGRAM = frozenset(
    {
        *("bash", "cd", "chronic", "chrt", "command", "dash", "env", "exec", "flock", "ionice", "nice", "nohup"),
        *("setsid", "sh", "su", "sudo", "test", "timeout"),
    }
)
"""What runs another program, or says where."""


class AdoptionError(Exception):
    """Why something cannot become a job; the text says what to do."""


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """A job's table as the config has it."""

    table: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What is another way for a job, in lines for people."""


def of_entry(one: Foreign) -> Adoption:
    """A line of a crontab; raises AdoptionError."""
    entry = one.entry
    assert entry is not None
    notes: list[str] = []
    environment = _environment(entry, notes)
    table: dict[str, Any] = {
        "kind": "command",
        "schedule": _schedule(one.job.schedule),
        "command": _command(entry, environment.get("SHELL", "/bin/sh"), notes),
        "backend": "cron" if entry.user is None else "cron.d",
        "timeout": "0",
    }
    if not entry.is_enabled:
        table["enabled"] = False
    if entry.user not in (None, b"root"):
        table["run_as"] = clean(entry.user or b"", 64)
    if "HOME" in environment:
        table["workdir"] = environment["HOME"]
    if environment:
        table["env"] = environment
    notes.append('two runs of it never overlap now; on_overlap = "allow" lets them')
    table["tags"] = [TAG + (one.job.source or "crontab").rpartition(":")[0]]
    return Adoption(table=table, notes=tuple(notes))


def _schedule(texts: Sequence[str]) -> str | list[str]:
    try:
        for text in texts:
            parse(text)
    except ScheduleFault as fault:
        raise AdoptionError(f"its schedule is no job's: {fault}") from None
    return texts[0] if len(texts) == 1 else list(texts)


def _environment(entry: Entry, notes: list[str]) -> dict[str, str]:
    """The variables in force at the line, as cron takes them (crontab(5))."""
    found = {}
    for name, value in entry.environment.items():
        if name == "LOGNAME":  # cron lets nobody change it
            continue
        if name == "CRON_TZ" and value != getattr(local_zone(), "key", None) and not is_debians():
            raise AdoptionError(f"it runs by CRON_TZ={clean(value, 60)}, and a job has no zone of its own")
        if not _NAME.fullmatch(name):
            notes.append(f"the variable {clean(name, 60)} is left out: no shell can read it")
            continue
        found[name] = _text(value.encode("utf-8", "surrogateescape"), f"its variable {name}")
    return found


def _command(entry: Entry, shell: str, notes: list[str]) -> str | list[str]:
    """The command as a job has it. What cron gives it as standard input, a shell does."""
    raw, given = command_and_input(entry.command.removesuffix(b"\r"))
    if entry.command.endswith(b"\r"):
        notes.append("the line ends in a carriage return, which cron gives to the command: the job's has none")
    command = _text(raw, "its command")
    if not command.strip():
        raise AdoptionError("there is no command before its %")
    if given is None and shell == "/bin/sh":
        return command
    return list(shell_argv(shell, command, None if given is None else _text(given, "its input")))


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise AdoptionError(f"{what} is not UTF-8 (byte {error.start}), which a config has to be") from None


def of_script(one: Foreign, path: Path, others: Iterable[Foreign]) -> Adoption:
    """A script of cron.daily or its kin, that will stand at `path`; `others` have the line that runs its folder."""
    folder = str(Path(str(one.job.source)).parent)
    schedule, environment = _of_folder(folder, one.job.origin, others)
    table: dict[str, Any] = {
        "kind": "command",
        "schedule": schedule,
        "command": [str(path)],
        "backend": "cron.d",
        "timeout": "0",
    }
    if ANACRONTAB.exists():
        table["persistent"] = True
    if environment:
        table["env"] = environment
    table["tags"] = [TAG + str(one.job.source)]
    return Adoption(table=table, notes=("a package that owns the script will find it moved",))


def _of_folder(folder: str, origin: Origin, others: Iterable[Foreign]) -> tuple[str, dict[str, str]]:
    """When cron runs a folder, and with what; else what its name says."""
    for other in others:
        if other.entry is not None and folder.encode() in other.entry.command:
            try:
                parse(other.job.schedule[0])
            except ScheduleFault:
                continue
            return other.job.schedule[0], _environment(other.entry, [])
    return f"@{origin.removeprefix('cron.')}", {}


def of_timer(one: Foreign, state: str, runtime: str) -> Adoption:
    """A timer: the job starts its service and waits for it, so that all that the unit says goes on to hold.

    `state` is that of the timer, as `switch` has it; `runtime` is the folder in which a user's manager is found.
    """
    timer = one.timer
    assert timer is not None
    if timer.unit.startswith("mltop-"):
        raise AdoptionError("it is mltop's own")
    clockless = [text for text in timer.schedule if "=" in text]
    if clockless or not timer.schedule:
        what = ", ".join(clean(text, 60) for text in clockless) or "no OnCalendar"
        raise AdoptionError(f"it runs by {what}, and a job runs by the clock alone")
    user = ["--user"] if one.job.scope == "user" else []
    table: dict[str, Any] = {
        "kind": "command",
        "schedule": _schedule(timer.schedule),
        "command": ["systemctl", *user, "--no-ask-password", "start", "--wait", timer.service],
        "backend": "systemd",
        "timeout": "0",
    }
    if not timer.is_enabled:
        table["enabled"] = False
    if timer.is_persistent:
        table["persistent"] = True
    if timer.jitter_s:
        table["jitter"] = _duration(timer.jitter_s)
    if user:
        table["env"] = {"XDG_RUNTIME_DIR": runtime}
    table["tags"] = [f"{TAG}{one.job.id}: {state}"]
    return Adoption(table=table, notes=("its output stays in the journal: the job starts the unit",))


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(1, round(seconds))}s"


def came_from(tags: Iterable[str]) -> tuple[str, str] | None:
    """The place that a job came from, by its tags, and the state in which a timer was."""
    found = next((tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)), None)
    if found is None:
        return None
    place, _, state = found.partition(": ")
    return place, state


def name_for(one: Foreign, taken: Collection[str]) -> str:
    """A job's name from what it runs, that no other has."""
    if one.timer is not None:
        words = [one.timer.unit.removesuffix(".timer")]
    elif one.entry is not None:
        words = _programs(clean(command_and_input(one.entry.command)[0], 400))
    else:
        words = [Path(str(one.job.source)).name]
    names = [re.sub(r"[^a-z0-9_-]+", "-", word.lower()).strip("-_")[:50].strip("-_") for word in words]
    first = next((name for name in names if name), "job")
    more = (f"{first}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([first], more) if name not in taken)


def _programs(command: str) -> list[str]:
    """The words that name a program, the likeliest first: without assignments, options and what runs others."""
    words = re.split(r"[\s;&|(){}<>]+", re.sub(r"\bcd\s+\S+", "", command))
    found = []
    for word in words:
        bare = word.strip("\"'`$").rpartition("/")[2].partition(".")[0]
        if word and not re.match(r"-|\w+=|\d", word) and bare not in _NOT_THE_PROGRAM:
            found.append(bare)
    return found
