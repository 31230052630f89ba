"""The restore test: the newest good archive restored to a scratch folder, read again there, compared, and removed."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from mltop.tasks.archive import shelf
from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.lock import Lock, path_of
from mltop.tasks.archive.place import Place, parts_of
from mltop.tasks.archive.record import DrillReport, Entry, Head, RestoreReport, State
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.scratch import Scratch
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import restate
from mltop.tasks.outcome import Control, Exit, Problem, TaskError, os_reason, problem


def drill(job: BackupJob, elsewhere: Sequence[str] = (), control: Control | None = None) -> DrillReport:
    """Restore what the newest good archive of `job` holds, compare it with the manifest, and remove it again.

    Under the backup's lock. The scratch folder is made in the target, or in the first folder of `elsewhere` that has
    the room. Nothing that a disk or an archive can do is raised.
    """
    began = time.monotonic()
    blank = DrillReport(job=job.job, exit_code=Exit.FAILED, started_at=datetime.now(UTC))
    try:
        with Target(job.target) as target, Lock(path_of(job, target)):
            report = _drill(job, target, elsewhere, control or Control(), blank)
    except TaskError as error:
        report = msgspec.structs.replace(blank, exit_code=error.code, message=str(error), hint=error.hint)
    except OSError as error:
        report = msgspec.structs.replace(blank, message=os_reason(error))
    return msgspec.structs.replace(report, duration_s=time.monotonic() - began)


def _drill(
    job: BackupJob, target: Target, elsewhere: Sequence[str], control: Control, blank: DrillReport
) -> DrillReport:
    archive_id = shelf.newest(target, job.job).id
    head, entries = target.manifest(archive_id)
    needed = sum(entry.size if entry.stored_bytes is None else entry.stored_bytes for entry in entries)
    with Scratch(job.job, (target.path, *elsewhere), needed) as scratch:
        restored = restore(target, RestoreJob(archive_id=archive_id, to=scratch.path), control)
        problems = _failed(restored)
        if restored.exit_code in (Exit.OK, Exit.PARTIAL):
            problems += _compare(scratch.path, entries, control)
    code = Exit.VERIFY_FAILED if any(each.kind == "corrupt" for each in problems) else restored.exit_code
    if restored.exit_code is Exit.VERIFY_FAILED:
        restate(target, archive_id, state=State.CORRUPT)
    elif code is Exit.OK:
        restate(target, archive_id, restored_at=datetime.now(UTC))
    return msgspec.structs.replace(
        blank,
        exit_code=code,
        id=archive_id,
        created=head.created.wall,
        files=_files(restored, head),
        restored_bytes=restored.restored_bytes,
        problems=tuple(problems),
        message=restored.message or (problems[0].message if problems else None),
        hint=restored.hint,
    )


def _files(restored: RestoreReport, head: Head) -> int:
    return head.statistics.files if restored.exit_code is Exit.OK else 0


def _failed(restored: RestoreReport) -> list[Problem]:
    bad = [each for each in restored.entries if each.result not in ("restored", "same")]
    return [problem(each.result, each.path, each.reason or each.kind) for each in bad]


def _compare(folder: str, entries: Sequence[Entry], control: Control) -> list[Problem]:
    """Read everything in the scratch folder again, and say what is not as the manifest has it."""
    control.begin("compare", len(entries), sum(entry.size for entry in entries))
    by_name = {entry.name: entry for entry in entries}
    problems = []
    with Place(folder, dry_run=True) as place:
        for entry in by_name.values():
            control.file(entry.name)
            if entry.status == "unreadable":
                continue  # not restored, and said so
            try:
                fault = _fault(place, entry, by_name, control)
            except OSError as error:
                fault = os_reason(error)
            if fault is not None:
                problems.append(problem("corrupt", entry.name, fault))
    return problems


def _fault(place: Place, entry: Entry, by_name: Mapping[str, Entry], control: Control) -> str | None:
    parts = parts_of(entry.name)
    there = place.existing(parts)
    if there is None:
        return "it was not restored"
    if entry.kind == "dir":
        return _folder_fault(place, parts, there.st_mode)
    if entry.kind == "symlink":
        return None if place.link_of(parts) == entry.link else "it does not link to what it linked to"
    content = by_name.get(entry.link or "", entry) if entry.kind == "hardlink" else entry
    if not stat.S_ISREG(there.st_mode) or there.st_size != content.size:
        return f"it has {there.st_size} bytes, {content.size} were backed up"
    if not there.st_mode & stat.S_IRUSR:
        os.chmod(parts[-1], 0o600, dir_fd=place.folder(parts[:-1]))
    return None if _sha256(place, parts, control) == content.sha256 else "its content is not what was backed up"


def _folder_fault(place: Place, parts: tuple[str, ...], mode: int) -> str | None:
    if not stat.S_ISDIR(mode):
        return "it is no folder any more"
    if mode & stat.S_IRWXU != stat.S_IRWXU:  # what is in it comes next
        os.chmod(parts[-1], 0o700, dir_fd=place.folder(parts[:-1]))
    return None


def _sha256(place: Place, parts: tuple[str, ...], control: Control) -> str:
    digest = hashlib.sha256()
    fd = place.open(parts)
    try:
        while block := os.read(fd, BLOCK):
            digest.update(block)
            control.advance(len(block))
    finally:
        os.close(fd)
    return digest.hexdigest()
