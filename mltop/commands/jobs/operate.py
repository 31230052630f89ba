"""One operation of the command line: decided under the lock, shown, done whole, and noted for one `undo`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from mltop.commands.jobs.asked import Asked, CommandError, shown_done, shown_plan
from mltop.commands.parser import ExitCode
from mltop.config.change import Change
from mltop.config.document import Files, parse_document
from mltop.config.edit import Edit, preview
from mltop.config.jobs import Jobs, job_files, judge
from mltop.config.location import SYSTEM_CONFIG
from mltop.jobs.crontab.own import CrontabError
from mltop.jobs.plan import change as file_change
from mltop.jobs.plan.apply import ApplyError
from mltop.jobs.plan.operation import Operation, OperationError, Operations
from mltop.jobs.plan.plan import Plan
from mltop.jobs.schedule.schedule import parse
from mltop.jobs.site import warnings


class Made(msgspec.Struct, frozen=True):
    """What an operation would do."""

    plan: Plan
    left: tuple[str, ...] = ()
    """What it cannot put in step, in lines for people: then it fails, though the rest is done."""


def operate(asked: Asked, name: str, make: Callable[[], Made], target: str | None = None) -> int:
    """Do what `make` says, which is asked again under the lock; with `--dry-run` it is shown only.

    A command with `--yes` shows the difference first and asks, where there is a terminal to ask on.
    """
    operations = Operations(asked.site)
    done: Operation | None = None
    try:
        if asked.options.dry_run:
            shown_plan(asked, make().plan)
            return ExitCode.DONE
        seen = _agreed(asked, make)
        if not asked.site.state.exists():
            make()  # what is wrong is said before a first folder is made for the lock
        with operations.locked():
            made = make()
            if seen is not None and seen.changes != made.plan.changes:
                raise ApplyError(["something was changed since you looked: look again"])
            warn(asked, made.plan)
            if made.plan.changes:
                done = operations.do(name, made.plan.changes, target)
    except (CrontabError, OperationError) as error:
        raise ApplyError([str(error)]) from None
    shown_done(asked, made.plan, done, made.left)
    return ExitCode.FAILED if made.left else ExitCode.DONE


def warn(asked: Asked, made: Plan) -> None:
    """Say what may make lines and units stop working that are about to be installed."""
    is_installing = any(change.kind is not file_change.Kind.CONFIG for change in made.changes) and made.steps
    if is_installing and asked.site.program is not None:
        sys.stderr.write("".join(f"mltop jobs: warning: {line}\n" for line in warnings(asked.site.program)))


def _agreed(asked: Asked, make: Callable[[], Made]) -> Plan | None:
    """What somebody saw and agreed to; `None` where nobody is asked. Raises CommandError for a no."""
    options = asked.options
    if getattr(options, "yes", True) or options.json or not (os.isatty(0) and os.isatty(1)):
        return None
    made = make()
    if not made.plan.changes:
        return None
    shown_plan(asked, made.plan)
    sys.stderr.write(f"Do this to {options.id}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError(["nothing was changed"])
    return made.plan


def edits_of(asked: Asked, changes: Sequence[tuple[Path, Change]]) -> list[Edit]:
    """The edits of files that changes come to; raises Fault for what cannot be or brings a fault."""
    files = job_files(asked.options.config)
    by_file: dict[Path, list[Change]] = {}
    for file, change in changes:
        by_file.setdefault(file, []).append(change)
    return [preview(file, several, _with_new(files, file), check_schedule=parse) for file, several in by_file.items()]


def _with_new(files: Files, file: Path) -> Files:
    """The files, and the system's own where it is not there yet: its jobs are the system's."""
    if file != SYSTEM_CONFIG or any(one.path == file for one in files.documents):
        return files
    return Files((parse_document(file, "", str(file), "system"), *files.documents), files.faults, files.is_explicit)


def file_changes(edits: Sequence[Edit]) -> tuple[file_change.Change, ...]:
    """The edits that change something, as an operation has them."""
    kind = file_change.Kind.CONFIG
    return tuple(
        file_change.Change(kind=kind, path=str(edit.file), before=edit.before, after=edit.after)
        for edit in edits
        if edit.before != edit.after
    )


def jobs_after(asked: Asked, edits: Sequence[Edit]) -> Jobs:
    """The jobs as they will be; raises CommandError where the config would have, or has, a fault."""
    after = judge(_files_after(job_files(asked.options.config), edits), None)
    if after.faults:
        raise CommandError(after.faults, ExitCode.USAGE)
    return after


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
    return Files(tuple(documents), faults, files.is_explicit)
