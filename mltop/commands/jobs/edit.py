"""`mltop jobs add|edit|remove|enable|disable`: the config changed, and with it the schedulers where that is asked."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from mltop.commands.jobs.asked import PLAN_SCHEMA, Adder, Asked, CommandError, shown_done, shown_plan
from mltop.commands.parser import ExitCode
from mltop.config.change import AddJob, Change, RemoveJob, RemoveKey, SetKey
from mltop.config.document import Files, parse_document
from mltop.config.edit import Edit, preview, preview_text
from mltop.config.jobs import JOB_ID, job_files, judge
from mltop.config.kind import KINDS
from mltop.config.location import SYSTEM_CONFIG, user_config
from mltop.jobs.plan import change as file_change
from mltop.jobs.plan.apply import ApplyError, left
from mltop.jobs.plan.operation import OperationError, Operations
from mltop.jobs.plan.plan import Plan, installed, plan
from mltop.jobs.plan.wish import wishes
from mltop.jobs.schedule.schedule import parse

_TEXTS = frozenset({"command", "schedule", "description", "source", "target", "workdir", "env_file", "run_as"})


def add_to(one: Adder) -> None:
    """Add these subcommands to the parser."""
    added = _editing(one("add", _add, "add a job to the config", PLAN_SCHEMA, "steps"))
    added.add_argument("--kind", required=True, choices=list(KINDS), help="what it does")
    added.add_argument("--set", dest="values", action="append", default=[], type=_assignment, metavar="KEY=VALUE")
    edited = _editing(one("edit", _edit, "change a job, or a line of your crontab", PLAN_SCHEMA, "steps"))
    edited.add_argument("--set", dest="values", action="append", default=[], type=_assignment, metavar="KEY=VALUE")
    edited.add_argument("--unset", action="append", default=[], type=_key, metavar="KEY")
    _editing(one("remove", _remove, "take a job out of the config", PLAN_SCHEMA, "steps"))
    for name, do in (("enable", _enable), ("disable", _disable)):
        _editing(
            one(name, do, f"{name} a job, a line of your crontab, or a timer; at once", PLAN_SCHEMA, "steps"), False
        )


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


def _assignment(text: str) -> tuple[tuple[str, ...], Any]:
    """`KEY=VALUE`: what TOML reads as a value is one, anything else is a text.

    So is the value of a key that takes no number: the command `true` is a word.
    """
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        found = tomllib.loads(f"value = {value}\n")
    except tomllib.TOMLDecodeError:
        return _key(key.strip()), value
    read = found["value"] if found.keys() == {"value"} else value
    is_text = key.strip() in _TEXTS and not isinstance(read, str | list | dict)
    return _key(key.strip()), value if is_text else read


def _add(asked: Asked) -> int:
    options = asked.options
    if not JOB_ID.fullmatch(options.id):
        raise CommandError(
            ["a job's name is a-z, 0-9, - and _, at most 63 of them, and begins with a-z or 0-9"], ExitCode.USAGE
        )
    table: dict[str, Any] = {"kind": options.kind}
    for key, value in options.values:
        place = table
        for part in key[:-1]:
            place = place.setdefault(part, {})
        place[key[-1]] = value
    return _change(asked, [(_new_file(asked), AddJob(options.id, table))], is_applied=options.apply)


def _new_file(asked: Asked) -> Path:
    """Where a new job goes: the config that is named, else the system's for root, else the user's."""
    if asked.site.config is not None:
        return Path(asked.site.config)
    own = user_config(asked.site.environment)
    if asked.site.is_root or own is None:
        return SYSTEM_CONFIG
    return own


def _file(asked: Asked) -> Path:
    """The file that holds the job, which may be one that cannot be read; raises CommandError."""
    id = asked.options.id
    if id in asked.config.jobs:
        return Path(asked.config.jobs[id].file)
    for document in job_files(asked.options.config).documents:
        if id in (document.raw.get("jobs") or {}):
            return document.path
    raise CommandError([*asked.config.faults, f"no job {id!r} in the config; see mltop jobs list"])


def _edit(asked: Asked) -> int:
    options = asked.options
    if options.id not in asked.config.jobs:
        from mltop.commands.jobs import foreign as jobs_foreign

        if (code := jobs_foreign.edit(asked, dict(options.values))) is not None:
            return code
    file = _file(asked)
    changes: list[Change] = [SetKey(options.id, key, value) for key, value in options.values]
    changes += [RemoveKey(options.id, key) for key in options.unset]
    if not changes:
        return _by_editor(asked, file)
    return _change(asked, [(file, one) for one in changes], is_applied=options.apply)


def _by_editor(asked: Asked, file: Path) -> int:
    """$EDITOR on a copy; the result is judged before it takes the file's place."""
    import shlex
    import subprocess
    import tempfile

    if not (os.isatty(0) and os.isatty(1)):
        raise CommandError(["expected --set KEY=VALUE: there is no terminal for an editor"], ExitCode.USAGE)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="mltop-edit-") as folder:
        copy = Path(folder) / file.name
        copy.write_bytes(file.read_bytes())
        try:
            code = subprocess.run([*shlex.split(editor), str(copy)], check=False).returncode
        except (OSError, ValueError) as error:
            raise CommandError([f"{editor}: {error}"]) from None
        if code != 0:
            raise CommandError([f"{editor} ended with {code}: nothing was changed"])
        text = copy.read_text("utf-8")
    edit = preview_text(file, text, job_files(asked.options.config), check_schedule=parse)
    return _operate(asked, [edit], is_applied=asked.options.apply)


def _remove(asked: Asked) -> int:
    return _change(asked, [(_file(asked), RemoveJob(asked.options.id))], is_applied=asked.options.apply)


def _enable(asked: Asked) -> int:
    return _switch(asked, True)


def _disable(asked: Asked) -> int:
    return _switch(asked, False)


def _switch(asked: Asked, is_on: bool) -> int:
    if asked.options.id not in asked.config.jobs:
        from mltop.commands.jobs import foreign as jobs_foreign

        if (code := jobs_foreign.switch(asked, is_on)) is not None:
            return code
    return _change(asked, [(_file(asked), SetKey(asked.options.id, ("enabled",), is_on))], is_applied=True)


def take_theirs(asked: Asked) -> int:
    """Take what was edited by hand in the scheduler into the config, then put both in step."""
    from mltop.jobs.plan.hand_edit import HandEditError, changes_of

    jobs = asked.config.jobs
    drifted = plan(jobs.values(), asked.site).drifted
    have = installed(asked.site)
    changes: list[tuple[Path, Change]] = []
    for wish in wishes((jobs[id] for id in drifted if id in jobs), asked.site):
        try:
            changes += [(Path(wish.job.file), one) for one in changes_of(wish, asked.site, have)]
        except HandEditError as error:
            raise CommandError([str(error)]) from None
    return _change(asked, changes, is_applied=True, is_theirs=True)


def _change(asked: Asked, changes: Sequence[tuple[Path, Change]], *, is_applied: bool, is_theirs: bool = False) -> int:
    files = job_files(asked.options.config)
    by_file: dict[Path, list[Change]] = {}
    for file, change in changes:
        by_file.setdefault(file, []).append(change)
    edits = [preview(file, several, files, check_schedule=parse) for file, several in by_file.items()]
    return _operate(asked, edits, is_applied=is_applied, is_theirs=is_theirs)


def _operate(asked: Asked, edits: Sequence[Edit], *, is_applied: bool, is_theirs: bool = False) -> int:
    """Config and schedulers in one operation, which one `undo` takes back."""
    options = asked.options
    name = "apply" if is_theirs else options.do.__name__.strip("_")
    target = getattr(options, "id", None)
    operations = Operations(asked.site)
    lines: list[str] = []
    try:
        if options.dry_run:
            made = _planned(asked, edits, is_applied, is_theirs)
            shown_plan(asked, made)
            return ExitCode.DONE
        with operations.locked():
            made = _planned(asked, edits, is_applied, is_theirs)
            lines = left(made, "mine" if is_theirs else "keep") if is_applied else []
            done = operations.do(name, made.changes, target) if made.changes else None
    except OperationError as error:
        raise ApplyError([str(error)]) from None
    shown_done(asked, made, done, lines)
    if not is_applied and done is not None and not options.json:
        sys.stderr.write("mltop jobs: the scheduler is as it was: mltop jobs apply\n")
    return ExitCode.FAILED if lines else ExitCode.DONE


def _planned(asked: Asked, edits: Sequence[Edit], is_applied: bool, is_theirs: bool) -> Plan:
    changes = tuple(
        file_change.Change(kind=file_change.Kind.CONFIG, path=str(edit.file), before=edit.before, after=edit.after)
        for edit in edits
        if edit.before != edit.after
    )
    if not is_applied:
        return Plan(changes=changes)
    after = judge(_files_after(job_files(asked.options.config), edits), None)
    if after.faults:
        raise CommandError(after.faults, ExitCode.USAGE)
    only = None if is_theirs else (asked.options.id,)
    made = plan(after.jobs.values(), asked.site, "mine" if is_theirs else "keep", only=only)
    steps = made.steps if is_theirs else tuple(step for step in made.steps if step.id == asked.options.id)
    return msgspec.structs.replace(made, steps=steps, changes=(*changes, *made.changes))


def _files_after(files: Files, edits: Sequence[Edit]) -> Files:
    """The files as they will be."""
    by_path = {edit.file: edit for edit in edits}
    documents = []
    for document in files.documents:
        edit = by_path.pop(document.path, None)
        if edit is not None:
            text = edit.after.decode("utf-8-sig")
            document = parse_document(document.path, text, document.source.name, document.scope)
        documents.append(document)
    for path, edit in by_path.items():
        scope = "system" if path == SYSTEM_CONFIG else "user"
        documents.append(parse_document(path, edit.after.decode("utf-8-sig"), str(path), scope))  # type: ignore[arg-type]
    faults = tuple(line for line in files.faults if not any(str(path) in line for path in by_path))
    return msgspec.structs.replace(files, documents=tuple(documents), faults=faults)
