"""What is the system's and cron's: lines of /etc/crontab and /etc/cron.d, scripts of cron.daily and its kin."""

from __future__ import annotations

import stat
from pathlib import Path

from mltop.commands.jobs.asked import CommandError
from mltop.jobs.crontab.text import toggled
from mltop.jobs.foreign import PAUSED, Foreign, by_id, hidden, shown, system_crontabs, system_entries
from mltop.jobs.plan.change import Change, Kind, read


def switched(id: str, is_on: bool) -> tuple[Change, ...]:
    """What pauses or resumes one of them, for root; raises CommandError."""
    one = by_id(system_crontabs()[0]).get(id)
    if one is None:
        raise CommandError([f"no {id} in the system's crontabs: its text may have changed; see mltop jobs list --all"])
    if one.job.enabled is is_on:
        return ()
    if one.entry is None:
        here = Path(str(one.job.source))
        return script_moved(here, shown(here, PAUSED) if is_on else hidden(here, PAUSED))
    path = path_of(one)
    data = read_file(path)
    entry = next((found for found in system_entries(path, data) if found.id == id), None)
    if entry is None:
        raise CommandError([f"the line {id} is not there any more; see mltop jobs list --all"])
    return (file_changed(path, data, toggled(data, entry)),)


def path_of(one: Foreign) -> Path:
    """The file that its line stands in."""
    return Path(str(one.job.source).rpartition(":")[0])


def read_file(path: Path) -> bytes:
    """A file that has to be there; raises CommandError."""
    try:
        data = read(path)
    except OSError as error:
        raise CommandError([f"{path}: {error.strerror}"]) from None
    if data is None:
        raise CommandError([f"{path} is not there any more"])
    return data


def file_changed(path: Path, before: bytes | None, after: bytes | None, mode: int | None = None) -> Change:
    """A change of a file of cron's; a link is followed."""
    return Change(kind=Kind.CRON_D, path=str(path.resolve()), before=before, after=after, mode=mode)


def script_moved(here: Path, there: Path) -> tuple[Change, ...]:
    """A script under another name, with its mode; raises CommandError."""
    if there.exists():
        raise CommandError([f"{there} is there already"])
    if here.is_symlink():
        raise CommandError([f"{here} is a link: it is run where it leads to, and stays"])
    data = read_file(here)
    mode = stat.S_IMODE(here.stat().st_mode)
    return file_changed(there, None, data, mode), file_changed(here, data, None, mode)
