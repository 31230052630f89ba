"""`mltop jobs adopt|unadopt`: what is somebody's in a scheduler becomes a job, and back; one operation each (J23)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mltop.commands.jobs.asked import PLAN_SCHEMA, Adder, Asked, CommandError, found_job
from mltop.commands.jobs.edit import check_name, file_of, new_file
from mltop.commands.jobs.foreign import timer_brought, timer_changes, timer_state
from mltop.commands.jobs.operate import Made, edits_of, file_changes, jobs_after, operate
from mltop.commands.jobs.system_file import file_changed, path_of, read_file, script_moved
from mltop.commands.parser import ExitCode
from mltop.config.change import AddJob, RemoveJob
from mltop.config.change import Change as ConfigChange
from mltop.config.location import SYSTEM_CONFIG
from mltop.jobs.adoption import Adoption, AdoptionError, came_from, name_for, of_entry, of_script, of_timer
from mltop.jobs.crontab.adopted import adopted, has_adopted, restored
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.crontab.text import BlockFault, Entry, ended, entries, variables
from mltop.jobs.foreign import ADOPTED, SCRIPT_FOLDERS, Foreign, adopted_at, by_id, hidden, system_entries
from mltop.jobs.plan.change import Change, Kind
from mltop.jobs.plan.plan import Plan, Step, installed, plan
from mltop.jobs.scheduler import runtime_directory
from mltop.system.text import clean

_DOCUMENT = (PLAN_SCHEMA, "steps")


class _Original(msgspec.Struct, frozen=True):
    """What becomes of the place that a job comes from."""

    changes: tuple[Change, ...] = ()
    crontab: bytes | None = None
    """One's own crontab as it will be, before mltop's block is put in step; `None`: as it is."""


def add_to(one: Adder) -> None:
    """Add these subcommands to the parser."""
    taking = one("adopt", _adopt, "make a job of a crontab's line, a script of cron.daily, or a timer", *_DOCUMENT)
    taking.add_argument("id", metavar="ID", help="as mltop jobs list --all has it")
    taking.add_argument("--as", dest="name", metavar="NAME", help="the job's name (default: from its command)")
    giving = one("unadopt", _unadopt, "give a job back to where it was adopted from", *_DOCUMENT)
    giving.add_argument("id", metavar="ID", help="the name that it was adopted under")
    for parser in (taking, giving):
        parser.add_argument("--dry-run", action="store_true", help="only show the difference")
        parser.add_argument("--yes", "-y", action="store_true", help="do not ask, also on a terminal")


def _adopt(asked: Asked) -> int:
    return adopt(asked, "adopt", lambda one, adoption: adoption)


def adopt(asked: Asked, operation: str, altered: Callable[[Foreign, Adoption], Adoption]) -> int:
    """Make a job of what is somebody's, as `altered` has it; raises CommandError."""
    taken = set(asked.sound().jobs)
    job, seen = found_job(asked, asked.options.id, 1)
    one = by_id(seen.foreign).get(job.id)
    if one is None:
        raise CommandError([f"{job.id} is mltop's own job already"])
    name = asked.options.name or name_for(one, taken | {found.id for found in seen.jobs})
    check_name(name)
    _check_scope(asked, one)
    try:
        adoption = altered(one, _adoption(asked, one, seen.foreign))
    except (AdoptionError, BlockFault, CrontabError) as error:
        raise CommandError([f"{job.id} cannot be adopted: {error}"]) from None

    def make() -> Made:
        change = AddJob(name, adoption.table)
        return Made(_moved(asked, name, (new_file(asked), change), _taken(asked, one, name), adoption.notes))

    return operate(asked, operation, make, name)


def _check_scope(asked: Asked, one: Foreign) -> None:
    """What is the system's becomes a job of the system, which only root's own config has."""
    if one.job.scope == "system" and "system" not in asked.site.scopes():
        how = "without --config" if asked.site.is_root else f"sudo mltop jobs adopt {one.job.id}"
        raise CommandError([f"{one.job.id} is the system's: its job is the system's too ({how})"])


def _adoption(asked: Asked, one: Foreign, others: Sequence[Foreign]) -> Adoption:
    if one.timer is not None:
        state = timer_state(asked, one.job.id).decode().strip()
        return of_timer(one, state, str(runtime_directory(asked.site.environment)))
    if one.entry is not None:
        made = of_entry(one)
        more = [*_later(asked, one.entry), *_exposed(new_file(asked))] if one.entry.user is None else []
        return msgspec.structs.replace(made, notes=(*made.notes, *more))
    if not one.job.enabled:
        raise AdoptionError(f"it is paused: mltop jobs enable {one.job.id} first")
    return of_script(one, hidden(Path(str(one.job.source)), ADOPTED), others)


def _later(asked: Asked, entry: Entry) -> list[str]:
    """The variables that the job meets in mltop's block and the line did not."""
    found = variables(Crontab(asked.site.state, asked.site.environment).read())
    return [
        f"{clean(name, 60)} is set below the line and above mltop's block: the job sees it"
        for name in found
        if name not in entry.environment
    ]


def _exposed(file: Path) -> list[str]:
    """A crontab is its owner's alone to read: whether the config is not."""
    try:
        is_open = bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        is_open = file == SYSTEM_CONFIG  # which is made for all to read
    return [f"others can read {file}, and no crontab: a secret in the line belongs in an env_file"] if is_open else []


def _taken(asked: Asked, one: Foreign, name: str) -> _Original:
    """The original out of its scheduler's reach; raises CommandError where it is not what was looked at."""
    if one.timer is not None:
        return _Original(timer_changes(asked, one.job.id, False))
    if one.entry is None:
        script = Path(str(one.job.source))
        return _Original(script_moved(script, hidden(script, ADOPTED)))
    if one.entry.user is None:
        data = Crontab(asked.site.state, asked.site.environment).read()
        return _Original(crontab=ended(_commented(data, entries(data, "crontab"), one.job.id, name)))
    path = path_of(one)
    data = read_file(path)
    after = _commented(data, system_entries(path, data), one.job.id, name)
    return _Original((file_changed(path, data, after),))


def _commented(data: bytes, found: Sequence[Entry], id: str, name: str) -> bytes:
    entry = next((one for one in found if one.id == id), None)
    if entry is None:
        raise CommandError([f"the line {id} is not there any more; see mltop jobs list"])
    try:
        return adopted(data, entry, name)
    except ValueError as error:
        raise CommandError([str(error)]) from None


def _unadopt(asked: Asked) -> int:
    name = asked.options.id
    jobs = asked.sound().jobs
    origin = came_from(jobs[name].tags) if name in jobs else None

    def make() -> Made:
        change = (file_of(asked, name), RemoveJob(name)) if name in jobs else None
        return Made(_moved(asked, name, change, _given_back(asked, name, origin)))

    return operate(asked, "unadopt", make, name)


def _found(asked: Asked, name: str) -> tuple[str, str]:
    """Where something became this job, which is in no config any more; raises CommandError where another is."""
    data = Crontab(asked.site.state, asked.site.environment).read()
    place = adopted_at(name) if "system" in asked.site.scopes() and not has_adopted(data, name) else None
    for job in asked.config.jobs.values():  # a script by its own name: one file is one job
        if place is not None and place.parent.name in SCRIPT_FOLDERS and came_from(job.tags) == (str(place), ""):
            raise CommandError([f"{place} became {job.id}: mltop jobs unadopt {job.id}"])
    return ("crontab" if place is None else str(place), "")


def _given_back(asked: Asked, name: str, origin: tuple[str, str] | None) -> _Original:
    """The original as it was; raises CommandError where there is none."""
    place, state = origin or _found(asked, name)
    if place.endswith(".timer"):
        return _Original(timer_brought(asked, place, f"{state}\n".encode()))
    if place.startswith("/"):
        path = Path(place)
        if path.parent.name.startswith("cron.") and path.parent.name != "cron.d":
            return _Original(script_moved(hidden(path, ADOPTED), path))
        data = read_file(path)
        if has_adopted(data, name):
            return _Original((file_changed(path, data, restored(data, name)),))
        raise CommandError([f"{path} has no line that became {name}: mltop jobs remove {name} takes the job away"])
    data = Crontab(asked.site.state, asked.site.environment).read()
    if not has_adopted(data, name):
        gone = f"the line that became {name} is gone from your crontab: mltop jobs remove {name} takes the job away"
        raise CommandError([gone if origin else f"{name} was not adopted: no line of your crontab became it"])
    return _Original(crontab=restored(data, name))


def _moved(
    asked: Asked,
    name: str,
    config: tuple[Path, ConfigChange] | None,
    original: _Original,
    notes: Sequence[str] = (),
) -> Plan:
    """Config, original and schedulers as one plan; raises CommandError where the job would run nowhere."""
    edits = edits_of(asked, [config] if config is not None else [])
    jobs = jobs_after(asked, edits).jobs
    before = Crontab(asked.site.state, asked.site.environment).read() if original.crontab is not None else None
    made = plan(jobs.values(), asked.site, have=installed(asked.site, original.crontab), only=(name,))
    steps = tuple(step for step in made.steps if step.id == name)
    _check_scheduled(steps, is_wanted=name in jobs and jobs[name].enabled)
    changes = list(made.changes)
    if original.crontab is not None:
        planned = [change.after for change in changes if change.kind is Kind.CRONTAB]
        after = planned[0] if planned else original.crontab
        changes = [change for change in changes if change.kind is not Kind.CRONTAB]
        changes.append(Change(kind=Kind.CRONTAB, path="crontab", before=before, after=after))
    all_changes = (*file_changes(edits), *original.changes, *changes)
    return msgspec.structs.replace(made, steps=steps, changes=all_changes, notes=(*notes, *made.notes))


def _check_scheduled(steps: Sequence[Step], *, is_wanted: bool) -> None:
    """Nothing is taken from one scheduler that the other would not run."""
    for step in steps:
        if is_wanted and (step.is_fault or step.backend is None):
            raise CommandError([step.note or f"{step.id} would run nowhere"], ExitCode.FAILED)
