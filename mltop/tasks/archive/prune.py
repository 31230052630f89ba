"""Retention applied: what to keep is `retention.choose`; here are the guards, the trash, and the way back from it.

Deleting is a rename into `.trash/<time>/`; what lies there longer than the job says is removed for good. Only files
that are ours by manifest, job and name are ever touched, each by its name in the folder's descriptor.
"""

# Descriptors
# ruff: noqa: PTH208

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mltop.tasks.archive import name, shelf
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.lock import Lock, clock, clock_fault, last_stamp, path_of
from mltop.tasks.archive.record import Archive, Clock, PruneReport, State
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Exit, RefusedError, TaskError, os_reason
from mltop.tasks.retention import Dated, choose

_STAMP = "%Y%m%dT%H%M%SZ"


def prune(target: Target, job: BackupJob, now: Clock, last: Clock | None, dry_run: bool = False) -> PruneReport:
    """Apply the retention of `job`; a dry run is the same without the last step.

    `last` is the clock at the end of the last run, from the lock's stamp. Never raises for a guard: the report says it.
    """
    try:
        if not dry_run:
            _finish_moves(target, job.job)
        owned = [each for each in shelf.archives(target, job.job) if each.state in (State.VERIFIED, State.PARTIAL)]
        if not job.accept_clock and (fault := clock_fault(now, last)):
            # R6: with a clock that is wrong every age is wrong
            raise RefusedError(fault, "check the clock; to go on with it, accept it once (--accept-clock)")
        dated = [_dated(each) for each in owned]
        choices = choose(dated, job.keep, now.wall.astimezone())
        gone = [choice.id for choice in choices if not choice.keep]
        _refuse_last(owned, gone)
        size = sum(target.size(each) or 0 for archive_id in gone for each in shelf.files_of(target, archive_id))
        if gone and not dry_run:
            _to_trash(target, gone, now)
        purged, purged_bytes = purge(target, job.job, now.wall - timedelta(seconds=job.trash_s), dry_run)
    except TaskError as error:
        return PruneReport(exit_code=error.code, dry_run=dry_run, message=str(error), hint=error.hint)
    except OSError as error:
        return PruneReport(exit_code=Exit.FAILED, dry_run=dry_run, message=os_reason(error))
    return PruneReport(
        dry_run=dry_run,
        choices=choices,
        removed=tuple(gone),
        removed_bytes=size,
        purged=tuple(purged),
        purged_bytes=purged_bytes,
    )


def prune_by_hand(job: BackupJob, dry_run: bool = False) -> PruneReport:
    """Apply the retention of `job` outside of a backup, under its lock. A dry run takes no lock and makes no file."""
    try:
        with Target(job.target) as target:
            path = path_of(job, target)
            last = last_stamp(path) or last_clock(target, job.job)
            if dry_run:
                return prune(target, job, clock(), last, dry_run=True)
            with Lock(path) as lock:
                report = prune(target, job, clock(), last)
                if job.accept_clock:
                    lock.stamp(clock())
                return report
    except TaskError as error:
        return PruneReport(exit_code=error.code, dry_run=dry_run, message=str(error), hint=error.hint)


def last_clock(target: Target, job: str) -> Clock | None:
    """Return when the newest archive was begun: where no stamp is, it tells of the last run."""
    return max((head.created for head in shelf.heads(target, job)), key=lambda each: each.wall, default=None)


def _dated(archive: Archive) -> Dated:
    created = archive.created or datetime.now(UTC)
    return Dated(
        id=archive.id,
        sequence=archive.sequence or 0,
        created=created.astimezone(),
        is_verified=archive.state is State.VERIFIED,
    )


def _refuse_last(owned: list[Archive], gone: list[str]) -> None:
    """R3, checked once more on what is really to go: the policy's code is not the only one that watches."""
    verified = [each.id for each in owned if each.state is State.VERIFIED]
    if gone and (not verified or verified[-1] in gone):
        raise RefusedError("this would delete the newest verified archive")


def _to_trash(target: Target, gone: list[str], now: Clock) -> None:
    folder = f"{now.wall.astimezone(UTC):{_STAMP}}"
    _make_folder(target.fd, name.TRASH)
    trash_fd = _trash_fd(target)
    try:
        _make_folder(trash_fd, folder)
    finally:
        os.close(trash_fd)
    # the manifest goes first: from then on the archive is no backup, whatever happens in between
    _move(target, [each for one in gone for each in reversed(shelf.files_of(target, one))], folder)


def _finish_moves(target: Target, job: str) -> None:
    """Move the rest of what a killed run left between the shelf and the trash after its manifest, which is there."""
    for archive_id, at in trash(target, job):
        left = shelf.files_of(target, archive_id)
        if not left or archive_id + name.MANIFEST in left:
            continue
        _move(target, left, f"{at:{_STAMP}}")


def _move(target: Target, files: Iterable[str], folder: str) -> None:
    """Move files of the shelf into a folder of the trash, in this order, and both to the disk."""
    into = _trash_fd(target, folder)
    try:
        for each in files:
            os.rename(each, each, src_dir_fd=target.fd, dst_dir_fd=into)
        os.fsync(into)
    finally:
        os.close(into)
    target.sync()


def _make_folder(fd: int, folder: str) -> None:
    try:
        os.mkdir(folder, 0o700, dir_fd=fd)
    except FileExistsError:
        return


def _trash_fd(target: Target, folder: str | None = None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    trash = os.open(name.TRASH, flags, dir_fd=target.fd)
    if folder is None:
        return trash
    try:
        return os.open(folder, flags, dir_fd=trash)
    finally:
        os.close(trash)


def _trashed(target: Target) -> list[tuple[str, datetime]]:
    """Return the folders in the trash that are ours, oldest first."""
    try:
        fd = _trash_fd(target)
    except OSError:
        return []
    try:
        names = os.listdir(fd)
    finally:
        os.close(fd)
    found = []
    for each in sorted(names):
        try:
            found.append((each, datetime.strptime(each, _STAMP).replace(tzinfo=UTC)))
        except ValueError:
            continue  # not ours
    return found


def purge(target: Target, job: str, before: datetime, dry_run: bool = False) -> tuple[list[str], int]:
    """Remove for good what `job` put in the trash before a moment; return names and bytes."""
    purged: list[str] = []
    size = 0
    for folder, at in _trashed(target):
        if at >= before:
            continue
        fd = _trash_fd(target, folder)
        try:
            for each in sorted(os.listdir(fd)):
                if not _is_of(each, job):
                    continue
                size += os.stat(each, dir_fd=fd, follow_symlinks=False).st_size
                purged.append(each)
                if not dry_run:
                    os.unlink(each, dir_fd=fd)
            is_empty = not os.listdir(fd)
        finally:
            os.close(fd)
        if is_empty and not dry_run:
            os.rmdir(f"{name.TRASH}/{folder}", dir_fd=target.fd)
    return purged, size


def _is_of(file_name: str, job: str) -> bool:
    parts = name.split(file_name)
    parsed = name.parse_id(parts[0]) if parts else None
    return parsed is not None and parsed[0] == job


def trash(target: Target, job: str) -> list[tuple[str, datetime]]:
    """Return the ids of `job` in the trash and when they went there, oldest first."""
    found = []
    for folder, at in _trashed(target):
        fd = _trash_fd(target, folder)
        try:
            ids = {
                each[: -len(name.MANIFEST)]
                for each in os.listdir(fd)
                if each.endswith(name.MANIFEST) and _is_of(each, job)
            }
        finally:
            os.close(fd)
        found += [(each, at) for each in sorted(ids)]
    return found


def undelete(target: Target, archive_id: str) -> tuple[str, ...]:
    """Bring an archive back from the trash, the manifest last; return its files. Raises `TaskError`."""
    parsed = name.parse_id(archive_id)
    places = [folder for folder, _ in _trashed(target) if parsed and _holds(target, folder, archive_id)]
    if not places:
        raise TaskError(f"{archive_id} is not in the trash")
    fd = _trash_fd(target, places[-1])
    try:
        files = sorted((each for each in os.listdir(fd) if _id_of(each) == archive_id), key=_manifest_last)
        for each in files:
            if target.size(each) is not None:
                raise RefusedError(f"{each} is in the target already")
        for each in files:
            os.rename(each, each, src_dir_fd=fd, dst_dir_fd=target.fd)
    finally:
        os.close(fd)
    target.sync()
    return tuple(files)


def _id_of(file_name: str) -> str | None:
    parts = name.split(file_name)
    return parts[0] if parts else None


def _manifest_last(file_name: str) -> tuple[bool, str]:
    return file_name.endswith(name.MANIFEST), file_name


def _holds(target: Target, folder: str, archive_id: str) -> bool:
    fd = _trash_fd(target, folder)
    try:
        return any(_id_of(each) == archive_id for each in os.listdir(fd))
    finally:
        os.close(fd)
