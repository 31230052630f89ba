"""`mltop backup list`: each target read in a child with a deadline, for it may lie on a mount that answers no more."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import msgspec

from mltop.commands.backup.answer import PATIENCE_S, answer_of
from mltop.commands.backup.document import BackupsDocument, Place, no_more
from mltop.commands.backup.drill import last_drill_line, last_drills
from mltop.commands.output import Complaint, complain, complaints_of, table, write_document, write_lines
from mltop.commands.parser import ExitCode
from mltop.config.fault import Fault
from mltop.config.job import BackupSpec
from mltop.config.jobs import load_job, load_jobs
from mltop.reports.plain import size
from mltop.tasks.archive import shelf
from mltop.tasks.archive.record import Archive, State
from mltop.tasks.archive.target import Target
from mltop.tasks.configured import local_target, wrong_kind
from mltop.tasks.outcome import TaskError, many, os_reason


def list_archives(options: argparse.Namespace) -> int:
    """List; 0, also where there is nothing yet; 1 where a target cannot be read."""
    asked, faults = _asked(options)
    places = tuple(_with_drills(_place(target, jobs), options.state_dir) for target, jobs in asked.items())
    bad = tuple(
        Complaint(message=f"{each.target}: {each.reason}", where=each.target)
        for each in places
        if each.status not in ("ok", "absent")
    )
    complain(faults + bad, options.prog)
    code = ExitCode.FAILED if bad else ExitCode.DONE
    if options.json:
        return write_document(BackupsDocument(action="list", targets=places, errors=faults + bad)) or code
    lines = [line for each in places for line in (*_lines(each), "")][:-1]
    return write_lines(lines or ["no backup jobs"]) or code


def _asked(options: argparse.Namespace) -> tuple[dict[str, tuple[str, ...]], tuple[Complaint, ...]]:
    """The targets and the jobs that write to each; what is wrong with the config besides."""
    if options.target is not None:
        no_more(options.words)
        return {local_target(options.target): ()}, ()
    no_more(options.words[1:])
    if options.words:
        job = load_job(options.words[0], options.config)
        if not isinstance(job.spec, BackupSpec):
            raise wrong_kind(job, "backup")
        return {job.spec.target: (job.id,)}, ()
    found = load_jobs(options.config)
    asked: dict[str, tuple[str, ...]] = {}
    for job in found.jobs.values():
        if isinstance(job.spec, BackupSpec):
            asked[job.spec.target] = (*asked.get(job.spec.target, ()), job.id)
    faults = complaints_of(Fault(found.faults)) if found.faults else ()
    return asked, faults


def _place(target: str, jobs: tuple[str, ...]) -> Place:
    try:
        folder = local_target(target)
    except TaskError as error:
        return Place(target=target, jobs=jobs, status="unsupported", reason=str(error))
    said = answer_of(lambda: msgspec.json.encode(_read(folder, jobs)))
    if said is None:
        reason = f"it does not answer within {PATIENCE_S:.0f} s"
        return Place(target=folder, jobs=jobs, status="timeout", reason=reason)
    try:
        return msgspec.json.decode(said, type=Place)
    except msgspec.MsgspecError:
        return Place(target=folder, jobs=jobs, status="error", reason="it could not be read")


def _with_drills(place: Place, state_dir: str | None) -> Place:
    return msgspec.structs.replace(place, drills=last_drills(place.jobs, place.archives, state_dir))


def _read(folder: str, jobs: tuple[str, ...]) -> Place:
    """What is there: of these jobs, what none of ours made, and with no job named everything."""
    if not os.path.lexists(folder):
        return Place(target=folder, jobs=jobs, status="absent", reason="no backup yet: the folder is not there")
    try:
        with Target(folder) as target:
            found = [each for each in shelf.archives(target) if not jobs or each.job is None or each.job in jobs]
            return Place(target=folder, jobs=jobs, archives=tuple(found), free_bytes=target.free_bytes())
    except TaskError as error:
        return Place(target=folder, jobs=jobs, status="error", reason=str(error))
    except OSError as error:
        return Place(target=folder, jobs=jobs, status="error", reason=os_reason(error))


def _lines(place: Place) -> list[str]:
    """A heading, a table, and why what is not good is not."""
    drills = [f"  {last_drill_line(each)}" for each in place.drills]
    whose = f"{', '.join(place.jobs)} in " if place.jobs else ""
    if place.status != "ok":
        return [f"{whose}{place.target}: {place.reason}", *drills]
    taken = sum(each.archive_bytes or 0 for each in place.archives)
    heading = f"{whose}{place.target}: {many(len(place.archives), 'archive')}, {size(taken)}"
    lines = [f"{heading}, {size(place.free_bytes)} free"]
    if place.archives:
        lines += table(("CREATED (UTC)", "STATE", "SIZE", "FILES", "ID"), _rows(place.archives), right=(2, 3))
    return lines + [f"  {each.id}: {each.reason}" for each in place.archives if each.reason] + drills


def _rows(archives: Sequence[Archive]) -> list[tuple[str, ...]]:
    return [
        (
            f"{each.created:%Y-%m-%d %H:%M}" if each.created else "-",
            each.state.value + ("!" if each.state in (State.CORRUPT, State.MISSING) else ""),
            size(each.archive_bytes) if each.archive_bytes is not None else "-",
            "-" if each.files is None else str(each.files),
            each.id,
        )
        for each in archives
    ]
