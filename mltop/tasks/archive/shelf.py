"""What archives there are: ours by their manifests, those without one, and those of the scripts before."""

# ruff: noqa: PTH118, PTH208

from __future__ import annotations

import os
from datetime import UTC, datetime

from mltop.tasks.archive import name
from mltop.tasks.archive.record import Archive, Head, State
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import CorruptError, TaskError, os_reason

_OLDEST = datetime.min.replace(tzinfo=UTC)


def archives(target: Target, job: str | None = None) -> list[Archive]:
    """Return all archives in `target` (of `job` alone, and then nothing foreign), oldest first.

    An archive that is not as long as its manifest says is `corrupt`; nothing is read but the manifests' heads.
    """
    names = target.names()
    ids = {parts[0] for each in names if (parts := name.split(each)) and parts[1] != name.SUMS}
    found = [_own(target, archive_id) for archive_id in ids]
    if job is None:
        found += [_foreign(target, each) for each in names if name.is_foreign(each) and target.size(each) is not None]
    wanted = [each for each in found if job is None or each.job == job]
    return sorted(wanted, key=lambda each: (each.job or "", each.sequence or 0, each.created or _OLDEST, each.id))


def newest(target: Target, job: str | None) -> Archive:
    """Return the newest verified archive (of a job), else the newest partial one; raises `TaskError`."""
    found = [each for each in archives(target) if job is None or each.job == job]
    for state in (State.VERIFIED, State.PARTIAL):
        good = [each for each in found if each.state is state]
        if good:
            return max(good, key=lambda each: (each.created or _OLDEST, each.sequence or 0))
    whose = f" of {job}" if job else ""
    raise TaskError(f"no archive{whose} in {target.path} that could be restored", "mltop backup list has what is there")


def heads(target: Target, job: str) -> list[Head]:
    """Return the readable manifests of `job` whose archive is there in full length, oldest first."""
    found = []
    for each in archives(target, job):
        if each.state in (State.VERIFIED, State.PARTIAL):
            found.append(target.head(each.id))
    return found


def next_sequence(target: Target, job: str) -> int:
    """Return a number above that of every file of `job`, in the trash too."""
    names = target.names()
    try:
        for folder in os.listdir(os.path.join(target.path, name.TRASH)):
            names += os.listdir(os.path.join(target.path, name.TRASH, folder))
    except OSError:
        pass  # no trash, or not ours to read: only a number that has gone is used again
    numbers = [0]
    for each in names:
        parts = name.split(name.whole(each) or each)
        parsed = name.parse_id(parts[0]) if parts else None
        if parsed and parsed[0] == job:
            numbers.append(parsed[1])
    return max(numbers) + 1


def files_of(target: Target, archive_id: str) -> list[str]:
    """Return the names of all files of one archive, the archive itself first and its manifest last."""
    endings = [*name.ENDINGS.values(), name.SUMS, name.MANIFEST]
    return [archive_id + ending for ending in endings if target.size(archive_id + ending) is not None]


def _own(target: Target, archive_id: str) -> Archive:
    job, sequence = name.parse_id(archive_id) or (None, None)
    blank = Archive(
        id=archive_id, state=State.CORRUPT, path=os.path.join(target.path, archive_id), job=job, sequence=sequence
    )
    try:
        head = target.head(archive_id)
    except FileNotFoundError:
        return _without_manifest(target, blank)
    except CorruptError as error:
        return _with(blank, State.CORRUPT, str(error))
    except OSError as error:
        return _with(blank, State.CORRUPT, f"the manifest cannot be read: {os_reason(error)}")
    state, reason = head.state, None
    size = target.size(head.archive)
    if size is None:
        state, reason = State.MISSING, "the archive is not there"
    elif size != head.statistics.archive_bytes:
        state, reason = (
            State.CORRUPT,
            f"the archive has {size} bytes, its manifest says {head.statistics.archive_bytes}",
        )
    return Archive(
        id=archive_id,
        state=state,
        path=os.path.join(target.path, head.archive),
        job=head.job,
        sequence=head.sequence,
        created=head.created.wall,
        verified_at=head.verified_at,
        restored_at=head.restored_at,
        archive_bytes=size,
        source_bytes=head.statistics.source_bytes,
        files=head.statistics.files,
        problems=len(head.problems),
        reason=reason,
    )


def _without_manifest(target: Target, blank: Archive) -> Archive:
    for ending in name.ENDINGS.values():
        if (size := target.size(blank.id + ending)) is not None:
            return Archive(
                id=blank.id,
                state=State.UNSEALED,
                path=blank.path + ending,
                job=blank.job,
                sequence=blank.sequence,
                archive_bytes=size,
                reason="no manifest: not known to be whole",
            )
    return _with(blank, State.MISSING, "neither archive nor manifest is a regular file")


def _with(archive: Archive, state: State, reason: str) -> Archive:
    return Archive(
        id=archive.id, state=state, path=archive.path, job=archive.job, sequence=archive.sequence, reason=reason
    )


def _foreign(target: Target, file_name: str) -> Archive:
    path = os.path.join(target.path, file_name)
    status = os.lstat(path)
    return Archive(
        id=name.foreign_id(file_name),
        state=State.FOREIGN,
        path=path,
        created=datetime.fromtimestamp(status.st_mtime, UTC),
        archive_bytes=status.st_size,
        reason="not made by mltop: listed, never deleted",
    )
