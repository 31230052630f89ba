"""What is scheduled on the box and is not mltop's: crontabs, their folders, timers; as they are, never copied."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path

import msgspec

from mltop.jobs.crontab.adopted import has_adopted
from mltop.jobs.crontab.line import Call
from mltop.jobs.crontab.stray import strays
from mltop.jobs.crontab.taken import is_debians, local_users, why_stopped, zone_of
from mltop.jobs.crontab.text import BlockFault, Entry, entries
from mltop.jobs.schedule.schedule import Schedule, ScheduleFault, parse
from mltop.jobs.systemd.timer import Timer
from mltop.jobs.systemd.unit import id_of
from mltop.model.job import Job, Origin
from mltop.system.text import clean

_MAX_BYTES = 4 << 20
SCRIPT_FOLDERS = {
    "cron.hourly": Origin.CRON_HOURLY,
    "cron.daily": Origin.CRON_DAILY,
    "cron.weekly": Origin.CRON_WEEKLY,
    "cron.monthly": Origin.CRON_MONTHLY,
}
PAUSED, ADOPTED = ".mltop-off", ".mltop"
"""What a hidden script's name ends with."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Names that Debian's cron and run-parts take; a file with a dot in its name is none to them (cron(8))."""
_NO_NAME = re.compile(r"[.#].*|.*(?:~|,|\.rpm(?:save|orig|new)|\.sw[a-z])")
"""Names that cronie's leave out."""


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is somebody else's, with what listing it needs."""

    job: Job
    schedules: tuple[Schedule, ...] = ()
    """As cron has them; a timer's next run is told by its manager."""
    zone: tzinfo | None = None
    """What these count in; `None`: the box's."""
    entry: Entry | None = None
    timer: Timer | None = None


def own_crontab(data: bytes, calls: Collection[Call] = (), *, is_debian: bool | None = None) -> list[Foreign]:
    """The lines of one's own crontab that are not mltop's, wherever those stand; `calls` tell which are.

    `is_debian` says whose cron reads them; `None`: look.
    """
    is_debian = is_debians() if is_debian is None else is_debian
    try:
        numbers = {one.number for one in strays(data, calls)}
    except BlockFault:
        numbers = set()
    found = [entry for entry in entries(data, "crontab") if entry.number not in numbers]
    return [_of_entry(entry, Origin.CRONTAB, "crontab", "user", is_debian) for entry in found]


def system_crontabs(
    etc: Path = Path("/etc"), own: str = "mltop", *, is_debian: bool | None = None
) -> tuple[list[Foreign], list[str]]:
    """/etc/crontab, /etc/cron.d and cron.hourly and its kin; with a line for each that cannot be read.

    `is_debian` says whose cron reads them; `None`: look.
    """
    is_debian = is_debians() if is_debian is None else is_debian
    found: list[Foreign] = []
    notes: list[str] = []
    files = [(etc / "crontab", Origin.CRONTAB)]
    files += [(path, Origin.CRON_D) for path in _listed(etc / "cron.d", notes, is_debian) if path.name != own]
    for path, origin in files:
        if (data := _read(path, notes)) is not None:
            made = [_of_entry(one, origin, str(path), "system", is_debian) for one in system_entries(path, data)]
            if (stopped := _stopped(path, data, etc, is_debian)) is not None:
                notes.append(f"{path}{stopped[0]}")
                made = [_not_run(one, stopped[1]) for one in made]
            found += made
    for name, folder_origin in SCRIPT_FOLDERS.items():
        scripts = [path for path in _listed(etc / name, notes, is_debian) if os.access(path, os.X_OK)]
        found += [_of_script(path, folder_origin) for path in scripts]
        found += [_of_script(path, folder_origin, enabled=False) for path in sorted((etc / name).glob(f".*{PAUSED}"))]
    return found, notes


def _stopped(path: Path, data: bytes, etc: Path, is_debian: bool) -> tuple[str, str] | None:
    """Why cron runs nothing of a file, for the file and for what stands in it (cron logs it, and says no more)."""
    read = data if len(data) < _MAX_BYTES else b""  # of one that was not read whole no line is known to be wrong
    stopped = why_stopped(path, read, owner=etc, is_debian=is_debian, users=lambda: local_users(etc))
    if stopped is None:
        return None
    line, why = stopped
    if line is None:
        return f": {why}, so cron runs nothing of it", f"cron runs nothing of its file: {why}"
    what = f":{line}: cron cannot read this line ({why}), and so runs nothing of the file"
    return what, f"line {line} of its file stops all of it: {why}"


def _not_run(one: Foreign, why: str) -> Foreign:
    job = msgspec.structs.replace(one.job, state="not run", description=why)
    return msgspec.structs.replace(one, job=job, schedules=())


def hidden(script: Path, ending: str) -> Path:
    """Where a script of cron.daily is out of run-parts' reach: none of its kinds takes a name with a dot in front."""
    return script.with_name(f".{script.name}{ending}")


def shown(script: Path, ending: str) -> Path:
    """Where it belongs."""
    return script.with_name(script.name.removeprefix(".").removesuffix(ending))


def adopted_at(name: str, etc: Path = Path("/etc")) -> Path | None:
    """Where among the system's something became a job, told without the job: its file, or the script as it was called.

    A script keeps its own name, which its job may not have had: the id that it was listed by finds it too.
    """
    notes: list[str] = []  # what cannot be read tells nothing here
    for path in (etc / "crontab", *_listed(etc / "cron.d", notes, is_debian=False)):
        data = _read(path, notes)
        if data is not None and has_adopted(data, name):
            return path
    for folder in SCRIPT_FOLDERS:
        for path in sorted((etc / folder).glob(f".*{ADOPTED}")):
            if (script := shown(path, ADOPTED)).name == name or f"{folder}-{script.name}" == name:
                return script
    return None


def run_name(id: str) -> str:
    """What a foreign job is called in the history: as the wrapper takes names, which have no dots and no capitals."""
    return re.sub(r"[^a-z0-9_-]", "-", id.lower())[:63] if id.startswith("cron") else id


def system_entries(path: Path, data: bytes) -> list[Entry]:
    """The lines of /etc/crontab, or of a file of /etc/cron.d."""
    prefix = f"cron.d-{path.name}" if path.parent.name == "cron.d" else "crontab-system"
    return entries(data, prefix, has_user=True)


def _listed(folder: Path, notes: list[str], is_debian: bool) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if _is_taken(path.name, is_debian) and path.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        notes.append(f"{folder}: {error.strerror}")


def _is_taken(name: str, is_debian: bool) -> bool:
    return bool(_NAME.fullmatch(name)) if is_debian else not _NO_NAME.fullmatch(name)


def _read(path: Path, notes: list[str]) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        notes.append(f"{path}: {error.strerror}")
        return None


def _of_entry(entry: Entry, origin: Origin, source: str, scope: str, is_debian: bool) -> Foreign:
    text = clean(b" ".join(entry.schedule.split()), 200)
    schedules: tuple[Schedule, ...] = ()
    fault = None
    try:
        schedules = (parse(text),)
    except ScheduleFault as error:
        fault = clean(str(error), 200)
    user = f"as {clean(entry.user, 32)}: " if entry.user else ""
    job = Job(
        id=entry.id,
        origin=origin,
        scope=scope,
        source=f"{source}:{entry.number}",
        schedule=(text,),
        enabled=entry.is_enabled,
        state=None if entry.is_enabled else "paused",
        command=user + clean(entry.command, 1000),
        description=fault,
    )
    zone = zone_of(entry.environment, is_debian=is_debian)
    return Foreign(job=job, schedules=schedules if entry.is_enabled else (), zone=zone, entry=entry)


def _of_script(path: Path, origin: Origin, *, enabled: bool = True) -> Foreign:
    return Foreign(
        job=Job(
            id=f"{origin}-{path.name if enabled else shown(path, PAUSED).name}",
            origin=origin,
            scope="system",
            source=str(path),
            schedule=(str(origin),),
            enabled=enabled,
            state=None if enabled else "paused",
            command=clean(str(path), 1000),
            description="run with its folder, by cron or anacron",
        )
    )


def of_timers(found: Iterable[Timer], scope: str, *, is_all: bool, own: Iterable[str]) -> list[Foreign]:
    """Those timers of a scope that are not of this config; a vendor's only with `is_all`."""
    mine = set(own)
    kept = [one for one in found if id_of(one.unit) not in mine and (is_all or _is_home_made(one.path))]
    return [_of_timer(one, scope) for one in kept]


def _is_home_made(path: str | None) -> bool:
    return path is not None and not path.startswith(("/lib/", "/usr/", "/run/", "/nix/"))


def _of_timer(timer: Timer, scope: str) -> Foreign:
    state = None
    if not timer.is_enabled:
        state = "disabled"
    elif timer.last_run is None and timer.last_trigger:
        state = f"went off {timer.last_trigger}, how it ended is not known"
    job = Job(
        id=f"user/{timer.unit}" if scope == "user" else timer.unit,
        origin=Origin.SYSTEMD,
        scope=scope,
        source=timer.path,
        schedule=tuple(clean(text, 200) for text in timer.schedule),
        next_runs=(timer.next_run,) if timer.next_run and timer.is_enabled else (),
        enabled=timer.is_enabled,
        last_run=timer.last_run,
        streak=(timer.last_run.state,) if timer.last_run else (),
        state=state or (timer.last_run.state if timer.last_run else None),
        command=clean(timer.command or "", 1000),
        description=clean(timer.description, 200) if timer.description else None,
    )
    return Foreign(job=job, timer=timer)


def by_id(found: Iterable[Foreign]) -> Mapping[str, Foreign]:
    """Foreign jobs by id."""
    return {one.job.id: one for one in found}
