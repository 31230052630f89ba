"""`mltop jobs add|edit|remove|enable|disable`: the config changed, and with it the schedulers where that is asked."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mltop.commands.jobs.asked import PLAN_SCHEMA, Adder, Asked, CommandError
from mltop.commands.jobs.operate import Made, edits_of, file_changes, jobs_after, operate
from mltop.commands.parser import ExitCode
from mltop.config.assignment import assignment
from mltop.config.change import AddJob, Change, RemoveJob, RemoveKey, SetKey
from mltop.config.derived import backup_of
from mltop.config.edit import Edit, preview_text
from mltop.config.fault import Fault
from mltop.config.jobs import JOB_ID, job_files
from mltop.config.kind import KINDS
from mltop.config.location import SYSTEM_CONFIG, own_config
from mltop.jobs.adoption import came_from
from mltop.jobs.crontab.adopted import has_adopted
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.foreign import SCRIPT_FOLDERS, adopted_at
from mltop.jobs.plan.apply import ApplyError, left
from mltop.jobs.plan.plan import Plan, installed, plan
from mltop.jobs.plan.wish import wishes
from mltop.jobs.schedule.schedule import parse

_SET = 'a key of the job and its value: 5m, true, ["a", "b"]; again for more'


def add_to(one: Adder) -> None:
    """Add these subcommands to the parser."""
    added = _editing(one("add", _add, "add a job to the config", PLAN_SCHEMA, "steps"))
    added.add_argument("--kind", required=True, choices=list(KINDS), help="what it does")
    added.add_argument("--set", dest="values", action="append", default=[], metavar="KEY=VALUE", help=_SET)
    edited = _editing(one("edit", _edit, "change a job, or a line of your crontab", PLAN_SCHEMA, "steps"))
    edited.add_argument("--set", dest="values", action="append", default=[], metavar="KEY=VALUE", help=_SET)
    edited.add_argument("--unset", action="append", default=[], type=_key, metavar="KEY", help="back to its default")
    _editing(one("remove", _remove, "take a job out of the config", PLAN_SCHEMA, "steps"))
    for name, do in (("enable", _enable), ("disable", _disable)):
        _editing(one(name, do, f"{name} a job, a line of a crontab, or a timer; at once", PLAN_SCHEMA, "steps"), False)


def _editing(parser: argparse.ArgumentParser, has_apply: bool = True) -> argparse.ArgumentParser:
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--dry-run", action="store_true", help="only show the difference")
    if has_apply:
        parser.add_argument("--apply", action="store_true", help="change the scheduler too")
    return parser


def _key(text: str) -> tuple[str, ...]:
    """`keep.daily` is a key in a table."""
    parts = tuple(text.split("."))
    if not all(part and part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise argparse.ArgumentTypeError(f"expected a key as keep.daily, got {text!r}")
    return parts


def _add(asked: Asked) -> int:
    options = asked.options
    check_name(options.id)
    table: dict[str, Any] = {"kind": options.kind}
    for change in (assignment(options.id, options.kind, text) for text in options.values):
        if isinstance(change, RemoveKey):
            continue
        place = table
        for part in change.key[:-1]:
            place = place.setdefault(part, {})
        place[change.key[-1]] = change.value
    return _change(asked, lambda: [(new_file(asked), AddJob(options.id, table))], is_applied=options.apply)


def check_name(id: str) -> None:
    """Raise CommandError for what is no job's name."""
    if not JOB_ID.fullmatch(id):
        what = "a job's name is a-z, 0-9, - and _, at most 63 of them, and begins with a-z or 0-9"
        raise CommandError([f"{id!r}: {what}"], ExitCode.USAGE)


def new_file(asked: Asked) -> Path:
    """Where a new job goes: the config that is named, else the system's for root, else the user's."""
    return own_config(asked.options.config, asked.site.environment, is_root=asked.site.is_root) or SYSTEM_CONFIG


def file_of(asked: Asked, id: str) -> Path:
    """The file that holds the job, which may be one that cannot be read; raises CommandError."""
    if (backup := backup_of(id)) is not None:
        raise CommandError([f"{id} follows from {backup}: mltop jobs edit {backup} --set drill=SCHEDULE changes it"])
    if id in asked.config.jobs:
        return Path(asked.config.jobs[id].file)
    for document in job_files(asked.options.config).documents:
        if id in (document.raw.get("jobs") or {}):
            return document.path
    raise CommandError([*asked.config.faults, f"no job {id!r} in the config; see mltop jobs list"])


def _kind_of(asked: Asked, id: str) -> str:
    """Its kind, also of one with faults; nothing where that is what is wrong."""
    if id in asked.config.jobs:
        return asked.config.jobs[id].kind
    for document in job_files(asked.options.config).documents:
        table = (document.raw.get("jobs") or {}).get(id)
        if isinstance(table, dict):
            return str(table.get("kind", ""))
    return ""


def _edit(asked: Asked) -> int:
    options = asked.options
    if options.id not in asked.config.jobs:
        from mltop.commands.jobs import foreign as jobs_foreign

        if (code := jobs_foreign.edit(asked, options.values)) is not None:
            return code
    file = file_of(asked, options.id)
    kind = _kind_of(asked, options.id)
    changes: list[Change] = [assignment(options.id, kind, text) for text in options.values]
    changes += [RemoveKey(options.id, key) for key in options.unset]
    if not changes:
        return _by_editor(asked, file)
    return _change(asked, lambda: [(file, one) for one in changes], is_applied=options.apply)


def _by_editor(asked: Asked, file: Path) -> int:
    """$EDITOR on a copy; the result is judged before it takes the file's place, and kept where it is refused."""
    import shutil
    import tempfile

    if not (os.isatty(0) and os.isatty(1)):
        raise CommandError(["expected --set KEY=VALUE: there is no terminal for an editor"], ExitCode.USAGE)
    copy = Path(tempfile.mkdtemp(prefix="mltop-edit-")) / file.name
    try:
        before = file.read_bytes()
        copy.write_bytes(before)
    except OSError as error:
        raise CommandError([f"{error.filename}: {error.strerror}"]) from None
    try:
        code = _edited(asked, file, copy, before)
    except (CommandError, Fault, ApplyError) as error:
        if copy.exists() and copy.read_bytes() != before:
            kept = f"what you wrote is in {copy}"
            raise CommandError([*error.lines, kept], getattr(error, "code", ExitCode.USAGE)) from None
        shutil.rmtree(copy.parent)
        raise
    shutil.rmtree(copy.parent)
    return code


def _edited(asked: Asked, file: Path, copy: Path, before: bytes) -> int:
    """Have the copy edited, and take what it became; raises CommandError, Fault and ApplyError."""
    import shlex
    import subprocess

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(copy)], check=False).returncode
    except OSError as error:
        raise CommandError([f"{editor}: {error.strerror}: name an editor by EDITOR, or use --set KEY=VALUE"]) from None
    except ValueError as error:
        raise CommandError([f"EDITOR is {editor!r}, which cannot be read: {error}"]) from None
    if code != 0:
        raise CommandError([f"{editor} ended with {code}: nothing was changed"])
    try:
        text = copy.read_bytes().decode()  # its line ends are its own
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError([f"what {editor} left cannot be read: {error}; nothing was changed"]) from None

    def edits() -> list[Edit]:
        made = preview_text(file, text, job_files(asked.options.config), check_schedule=parse)
        if made.before != before:
            raise CommandError([f"{file} was changed while you edited it: nothing of yours is written; edit it again"])
        return [made]

    return _operate(asked, edits, is_applied=asked.options.apply)


def _remove(asked: Asked) -> int:
    id = asked.options.id
    notes = _left(asked, id)
    return _change(asked, lambda: [(file_of(asked, id), RemoveJob(id))], is_applied=asked.options.apply, notes=notes)


def _left(asked: Asked, id: str) -> tuple[str, ...]:
    """What is to know of the place that a job came from: nothing runs it from then on, if it is there still."""
    origin = came_from(asked.config.jobs[id].tags) if id in asked.config.jobs else None
    if origin is None:
        return ()
    place = origin[0]
    if place.endswith(".timer"):
        return (f"{place}, which it was adopted from, stays off: mltop jobs enable {place}",)
    path = Path(place)
    is_script = path.parent.name in SCRIPT_FOLDERS
    name = f"{path.parent.name}-{path.name}" if is_script else id
    is_there = False
    if place != "crontab":
        is_there = adopted_at(name) == path
    else:
        with contextlib.suppress(CrontabError):  # the line may be there all the same: not for this command to say
            is_there = has_adopted(Crontab(asked.site.state, asked.site.environment).read(), id)
    what = f"what it was adopted from ({place}) stays out of cron's reach: mltop jobs unadopt {name} gives it back"
    return (what,) if is_there else ()


def _enable(asked: Asked) -> int:
    return _switch(asked, True)


def _disable(asked: Asked) -> int:
    return _switch(asked, False)


def _switch(asked: Asked, is_on: bool) -> int:
    id = asked.options.id
    if id not in asked.config.jobs:
        from mltop.commands.jobs import foreign as jobs_foreign

        if (code := jobs_foreign.pause(asked, is_on)) is not None:
            return code
    return _change(asked, lambda: [(file_of(asked, id), SetKey(id, ("enabled",), is_on))], is_applied=True)


def take_theirs(asked: Asked) -> int:
    """Take what was edited by hand in the scheduler into the config, then put both in step."""
    return _change(asked, lambda: _hand_edits(asked), is_applied=True, is_theirs=True)


def _hand_edits(asked: Asked) -> list[tuple[Path, Change]]:
    from mltop.jobs.plan.hand_edit import HandEditError, changes_of

    jobs = asked.config.jobs
    have = installed(asked.site)
    drifted = plan(jobs.values(), asked.site, have=have).drifted
    changes: list[tuple[Path, Change]] = []
    for wish in wishes((jobs[id] for id in drifted if id in jobs), asked.site):
        try:
            changes += [(Path(wish.job.file), one) for one in changes_of(wish, asked.site, have)]
        except HandEditError as error:
            raise CommandError([str(error)]) from None
    return changes


def _change(
    asked: Asked,
    changes: Callable[[], list[tuple[Path, Change]]],
    *,
    is_applied: bool,
    is_theirs: bool = False,
    notes: Sequence[str] = (),
) -> int:
    return _operate(asked, lambda: edits_of(asked, changes()), is_applied=is_applied, is_theirs=is_theirs, notes=notes)


def _operate(
    asked: Asked,
    edits: Callable[[], list[Edit]],
    *,
    is_applied: bool,
    is_theirs: bool = False,
    notes: Sequence[str] = (),
) -> int:
    """Config and schedulers in one operation, which one `undo` takes back."""
    options = asked.options

    def make() -> Made:
        made = _planned(asked, edits(), is_applied, is_theirs)
        made = msgspec.structs.replace(made, notes=(*notes, *made.notes))
        return Made(made, tuple(left(made, "mine" if is_theirs else "keep")) if is_applied else ())

    name = "apply" if is_theirs else options.do.__name__.strip("_")
    code = operate(asked, name, make, getattr(options, "id", None))
    if not is_applied and not options.dry_run and not options.json:
        sys.stderr.write("mltop jobs: the scheduler is as it was: mltop jobs apply\n")
    return code


def _planned(asked: Asked, edits: Sequence[Edit], is_applied: bool, is_theirs: bool) -> Plan:
    if not is_applied:
        return Plan(changes=file_changes(edits))
    after = jobs_after(asked, edits)
    only = None if is_theirs else (asked.options.id,)
    made = plan(after.jobs.values(), asked.site, "mine" if is_theirs else "keep", only=only)
    steps = made.steps if is_theirs else tuple(step for step in made.steps if step.id == asked.options.id)
    return msgspec.structs.replace(made, steps=steps, changes=(*file_changes(edits), *made.changes))
