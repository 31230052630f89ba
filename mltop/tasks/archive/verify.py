"""Read an archive back and compare: level 0 names and sizes, 1 the archive's hash, 2 every file's hash too."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import msgspec

from mltop.tasks.archive import manifest, name
from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.content import ZEROS
from mltop.tasks.archive.expected import Expected, is_of
from mltop.tasks.archive.member import Member, Members
from mltop.tasks.archive.record import Entry, Head, State, VerifyReport
from mltop.tasks.archive.stream import Blocks
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Control, CorruptError, Exit, Problem, TaskError, os_reason, problem

HOW = "read back from the disk: SHA-256 of the archive and of every file"


class ReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """What was on the disk."""

    sha256: str
    size: int
    files: int
    source_bytes: int
    problems: tuple[Problem, ...]


def read_back(fd: int, file_name: str, entries: Iterable[Entry] | None, control: Control) -> ReadBack:
    """Read a whole archive from `fd` and compare it with `entries` (`None`: whether it is a whole tar at all).

    They come in the order of their members, and are gone through once.

    Raises `CorruptError` when it cannot be read to its end.
    """
    check = _Comparison(entries)
    with Blocks(fd, file_name) as blocks:
        members = Members(blocks)
        for member in members:
            control.file(member.name)
            # without hashes to compare with, there is no reason to hash what may claim to be exabytes of holes
            is_hashed = member.kind == "file" and entries is not None
            check.member(member, _hash(members, member, control) if is_hashed else None)
        blocks.drain(control)
        check.finish()
        return ReadBack(
            sha256=blocks.sha256,
            size=blocks.size,
            files=check.files,
            source_bytes=check.source_bytes,
            problems=tuple(check.problems),
        )


def _hash(members: Members, member: Member, control: Control) -> str:
    digest = hashlib.sha256()
    position = 0
    for offset, piece in members.data():
        _zeros(digest, offset - position)
        digest.update(piece)
        position = offset + len(piece)
        control.advance(len(piece))
    _zeros(digest, member.size - position)
    return digest.hexdigest()


def _zeros(digest: hashlib._Hash, count: int) -> None:
    while count > 0:
        digest.update(ZEROS[:count])
        count -= len(ZEROS[:count])


class _Comparison:
    def __init__(self, entries: Iterable[Entry] | None) -> None:
        self._expected = None if entries is None else Expected(entries)
        self.problems: list[Problem] = []
        self.files = self.source_bytes = 0

    def member(self, member: Member, sha256: str | None) -> None:
        if member.kind == "file":
            self.files += 1
            self.source_bytes += member.size
        if self._expected is None:
            return
        entry = self._expected.at(member.index)
        if entry is None:
            return  # an earlier copy of a file that was read again
        if not is_of(member, entry):
            self.problems.append(problem("corrupt", entry.name, "the archive has something else in its place"))
        elif entry.sha256 != sha256:
            self.problems.append(problem("corrupt", entry.name, "its content is not what was backed up"))

    def finish(self) -> None:
        for entry in self._expected.finish() if self._expected is not None else ():
            self.problems.append(problem("missing", entry.name, "it is not in the archive"))


def verify(target: Target, archive_id: str, control: Control, level: int = 2) -> VerifyReport:
    """Verify an archive by its id, ours or a foreign one (`models_backup_…`), and note the outcome in its manifest.

    Never raises for what is wrong with the archive: the report says so, with exit code 4.
    """
    began = time.monotonic()
    file_name = archive_id
    try:
        if foreign := name.foreign(archive_id):
            file_name = foreign
            report = _foreign(target, archive_id, file_name, control)
        else:
            report = _own(target, archive_id, control, level)
    except CorruptError as error:
        report = _failed(target, archive_id, file_name, level, State.CORRUPT, str(error))
        _mark(target, archive_id)
    except FileNotFoundError:
        message = "there is no such archive, or it has no manifest"
        report = _failed(target, archive_id, file_name, level, State.MISSING, message)
    except OSError as error:
        message = f"it cannot be read: {os_reason(error)}"
        report = _failed(target, archive_id, file_name, level, State.CORRUPT, message)
    return msgspec.structs.replace(report, duration_s=time.monotonic() - began)


def _own(target: Target, archive_id: str, control: Control, level: int) -> VerifyReport:
    head = target.head(archive_id)
    target.check_entries(archive_id)
    size = target.size(head.archive)
    problems: list[Problem] = []
    sha256 = None
    if size is None:
        return _result(target, head, level, State.MISSING, (), "the archive is not there")
    if size != head.statistics.archive_bytes:
        message = f"the archive has {size} bytes, its manifest says {head.statistics.archive_bytes}"
        return _note(target, head, level, State.CORRUPT, (), message)
    if level >= 1:
        control.begin("verify", head.statistics.files, head.statistics.source_bytes if level >= 2 else size)
        try:
            sha256 = _read_own(target, head, control, level, problems)
        except CorruptError as error:
            return _note(target, head, level, State.CORRUPT, tuple(problems), str(error))
        if sha256 != head.archive_sha256:
            problems.insert(0, problem("corrupt", head.archive, "its SHA-256 is not the one in the manifest"))
        problems += _check_sums(target, head)
    if problems:
        return _note(target, head, level, State.CORRUPT, tuple(problems), problems[0].message)
    state = State.PARTIAL if head.problems else State.VERIFIED
    return _note(target, head, level, state, (), None)


def _read_own(target: Target, head: Head, control: Control, level: int, problems: list[Problem]) -> str:
    fd = target.open(head.archive)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if level < 2:
            return _plain_hash(fd, control)
        found = read_back(fd, head.archive, target.entries(head.id), control)
        problems += found.problems
        return found.sha256
    finally:
        os.close(fd)


def _plain_hash(fd: int, control: Control) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(BLOCK))
    while count := os.readv(fd, [buffer]):
        digest.update(buffer[:count])
        control.advance(count)
    return digest.hexdigest()


def _check_sums(target: Target, head: Head) -> list[Problem]:
    file_name = head.id + name.SUMS
    digest = hashlib.sha256()
    try:
        fd = target.open(file_name)
        try:
            there = _plain_hash(fd, Control())
        finally:
            os.close(fd)
        for line in manifest.sums(lambda: target.entries(head.id)):
            digest.update(line)
    except OSError as error:
        return [problem("missing", file_name, f"the checksums cannot be read: {os_reason(error)}")]
    same = there == head.sums_sha256 == digest.hexdigest()
    return [] if same else [problem("corrupt", file_name, "the checksums are not those of the manifest")]


def _foreign(target: Target, archive_id: str, file_name: str, control: Control) -> VerifyReport:
    fd = target.open(file_name)
    try:
        control.begin("verify")
        found = read_back(fd, file_name, None, control)
    finally:
        os.close(fd)
    return VerifyReport(
        id=archive_id,
        path=f"{target.path}/{file_name}",
        state=State.FOREIGN,
        exit_code=Exit.OK,
        level=1,
        files=found.files,
        source_bytes=found.source_bytes,
        archive_bytes=found.size,
        archive_sha256=found.sha256,
        message="it can be read to its end; it has no hashes to compare with",
    )


def _note(
    target: Target, head: Head, level: int, state: State, problems: tuple[Problem, ...], message: str | None
) -> VerifyReport:
    """Write the outcome into the manifest, so that a list and retention know it."""
    report = _result(target, head, level, state, problems, message)
    with contextlib.suppress(OSError, CorruptError):  # a drill may have noted something meanwhile
        head = target.head(head.id)
    verified_at = datetime.now(UTC) if state is not State.CORRUPT and level >= 2 else head.verified_at
    # a quick look does not make good what a thorough one has found
    new_state = State.CORRUPT if head.state is State.CORRUPT and level < 2 else state
    is_news = level >= 2 or new_state is not head.state
    if is_news and not restate(target, head.id, state=new_state, verified_at=verified_at):
        note = "the outcome could not be written into the manifest"
        return msgspec.structs.replace(report, message=f"{message}; {note}" if message else note)
    return report


def restate(target: Target, archive_id: str, **changes: Any) -> bool:
    """Write a manifest again with some fields of its head changed and the same entries; whether that could be done.

    The head is read now: whoever looked at it for hours does not undo what another noted meanwhile.
    """
    try:
        head = msgspec.structs.replace(target.head(archive_id), **changes)
        target.replace(
            archive_id + name.MANIFEST, chain((manifest.encode_head(head),), target.entry_blocks(archive_id))
        )
    except (OSError, TaskError):
        return False
    return True


def _mark(target: Target, archive_id: str) -> None:
    """Say `corrupt` in the head of a manifest whose entries are damaged; a damaged head says it by itself."""
    restate(target, archive_id, state=State.CORRUPT)


def _result(
    target: Target, head: Head, level: int, state: State, problems: tuple[Problem, ...], message: str | None
) -> VerifyReport:
    bad = state in (State.CORRUPT, State.MISSING)
    return VerifyReport(
        id=head.id,
        path=f"{target.path}/{head.archive}",
        state=state,
        exit_code=Exit.VERIFY_FAILED if bad else Exit.OK,
        level=level,
        files=head.statistics.files,
        source_bytes=head.statistics.source_bytes,
        archive_bytes=head.statistics.archive_bytes,
        archive_sha256=head.archive_sha256,
        problems=problems,
        message=message,
    )


def _failed(target: Target, archive_id: str, file_name: str, level: int, state: State, message: str) -> VerifyReport:
    return VerifyReport(
        id=archive_id,
        path=f"{target.path}/{file_name}",
        state=state,
        exit_code=Exit.VERIFY_FAILED,
        level=level,
        message=message,
    )
