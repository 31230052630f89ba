"""One backup from the first guard to the last line of its report.

lock, sweep, walk, skip when unchanged, space, write, sync, read back, commit, retention. Until the commit nothing has
a final name; whatever ends the run before it, only files at work are left, and the next run removes them.
"""

# ruff: noqa: PTH110, PTH111, PTH118

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from mltop import __version__
from mltop.tasks.archive import compression, name, shelf
from mltop.tasks.archive.fill import Filling
from mltop.tasks.archive.found import Scan
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.last import LastNames
from mltop.tasks.archive.ledger import Ledger
from mltop.tasks.archive.lock import Lock, clock, clock_fault, path_of
from mltop.tasks.archive.prune import prune, purge
from mltop.tasks.archive.record import BackupReport, Clock, Entry, Head, State
from mltop.tasks.archive.scan import scan
from mltop.tasks.archive.scratch import sweep
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import HOW, ReadBack, read_back
from mltop.tasks.archive.weights import damaged
from mltop.tasks.archive.write import Writer
from mltop.tasks.outcome import (
    Control,
    CorruptError,
    Exit,
    NoSpaceError,
    Problem,
    RefusedError,
    TaskError,
    UsageError,
    display,
    is_text,
    many,
    os_reason,
)

_HEADER_BYTES = 1536
"""What an entry costs uncompressed: a PAX header, its records, a header."""


def create(job: BackupJob, control: Control | None = None) -> BackupReport:
    """Make one backup and return its report; nothing that a backup can meet is raised."""
    control = control or Control()
    started = datetime.now(UTC)
    began = time.monotonic()
    try:
        _check(job)
        with Target(job.target, create=True) as target, Lock(path_of(job, target)) as lock:
            report = _Run(job, target, lock, control, started).go()
    except TaskError as error:
        state = State.CORRUPT if isinstance(error, CorruptError) else State.FAILED
        report = _failed(job, started, state, error.code, str(error), error.hint)
    except OSError as error:
        report = _failed(job, started, State.FAILED, Exit.FAILED, os_reason(error), None)
    return msgspec.structs.replace(report, duration_s=time.monotonic() - began)


def _failed(
    job: BackupJob, started: datetime, state: State, code: Exit, message: str, hint: str | None
) -> BackupReport:
    return BackupReport(job=job.job, state=state, exit_code=code, message=message, hint=hint, started_at=started)


def _check(job: BackupJob) -> None:
    """Refuse what cannot work before anything is made."""
    if not name.is_job_id(job.job):
        raise UsageError(f"{job.job!r} is not the id of a job: lower case letters, digits, - and _")
    if not job.sources:
        raise UsageError("nothing to back up: no source")
    for each in (*job.sources, job.target):
        if not is_text(each):  # what is in it may be called anything
            raise UsageError(f"a path that is not UTF-8: {display(each)}", "name the folder that it is in")
    sources = [os.path.expanduser(each) for each in job.sources]
    if not any(os.path.exists(each) for each in sources):
        raise TaskError(f"no source is there: {', '.join(job.sources)}", "check source and its mount")
    target = os.path.realpath(os.path.expanduser(job.target))
    for each in sources:
        if f"{os.path.realpath(each)}/".startswith(target.rstrip("/") + "/"):
            raise RefusedError(f"the source {each} lies in the target", "choose another target")


class _Run:
    def __init__(self, job: BackupJob, target: Target, lock: Lock, control: Control, started: datetime) -> None:
        self.job, self.target, self.lock, self.control, self.started = job, target, lock, control, started
        self.last: Head | None = None
        """The newest verified archive."""
        self.before: Clock | None = None
        """The clock of the last run."""
        self.scan_s = self.write_s = self.verify_s = 0.0

    def go(self) -> BackupReport:
        self.target.sweep(self.job.job)
        with contextlib.suppress(OSError):  # the next drill says it
            sweep(self.job.job, self.target.path)
        heads = shelf.heads(self.target, self.job.job)
        self.before = self.lock.last or max((head.created for head in heads), key=lambda each: each.wall, default=None)
        self.last = next((head for head in reversed(heads) if head.state is State.VERIFIED), None)
        began = time.monotonic()
        self.control.begin("scan")
        found = scan(self.job, self.target.identity, self.control, damaged)
        if not found.count:
            raise TaskError("no source could be read", found.problems[0].hint if found.problems else None)
        self.scan_s = time.monotonic() - began
        if self._is_unchanged(found, found.fingerprint(self.job)):
            return self._unchanged(found)
        self._check_space(found)
        return self._make(found)

    def _is_unchanged(self, found: Scan, fingerprint: str) -> bool:
        last = self.last
        return (
            self.job.skip_unchanged
            and not any(each.kind != "damaged" for each in found.problems)
            and last is not None
            and last.fingerprint == fingerprint
            and last.compression == self.job.compression
        )

    def _unchanged(self, found: Scan) -> BackupReport:
        last = self.last
        assert last is not None
        self._stamp(clock())
        report = self._report(State.UNCHANGED, Exit.OK, last, notes=tuple(found.notes))
        return msgspec.structs.replace(report, message=f"unchanged (verified {last.verified_at:%Y-%m-%d %H:%M}Z)")

    def _check_space(self, found: Scan) -> None:
        needed = self._estimate(found)
        reserve = self.target.reserve_bytes(self.job.reserve_bytes)
        free = self.target.free_bytes()
        if free < needed + reserve:
            # what is in the trash has been given up already; but only where that helps
            end = datetime.max.replace(tzinfo=UTC)
            if free + purge(self.target, self.job.job, end, dry_run=True)[1] >= needed + reserve:
                purge(self.target, self.job.job, end)
                free = self.target.free_bytes()
        if free < needed + reserve:
            raise NoSpaceError(
                f"{self.target.path} has {free} bytes free: about {needed} are needed and {reserve} are to stay free",
                "free space, keep fewer archives, or set reserve_bytes",
            )

    def _estimate(self, found: Scan) -> int:
        """Return how large the archive will be: as the last one turned out, and what is new as if incompressible."""
        if self.last and self.last.compression == self.job.compression:
            was = self.last.statistics
            shared = min(1.0, found.stored_bytes / max(1, was.stored_bytes))
            return int(shared * was.archive_bytes) + max(0, found.stored_bytes - was.stored_bytes)
        headers = _HEADER_BYTES * found.count
        return found.stored_bytes + (headers if self.job.compression == "none" else headers // 8)

    def _make(self, expected: Scan) -> BackupReport:
        created = clock()
        sequence = shelf.next_sequence(self.target, self.job.job)
        archive_id = name.make_id(self.job.job, created.wall, sequence)
        file_name = archive_id + name.ENDINGS[self.job.compression]
        ledger = Ledger(self.target.path)
        try:
            filling = Filling(self.job, self.target, expected, ledger, self.control, LastNames(self._last_entries))
            writer = self._write(filling, name.partial(file_name))
            back = self._read_back(name.partial(file_name), file_name, ledger)
            self.control.check()
            found = filling.found
            weights = [each for each in expected.problems if each.kind == "damaged"]
            problems = (*found.problems, *weights, *writer.problems)
            head = Head(
                id=archive_id,
                job=self.job.job,
                sequence=sequence,
                archive=file_name,
                state=State.PARTIAL if problems else State.VERIFIED,
                host=socket.gethostname(),
                version=__version__,
                libraries=compression.libraries(self.job.compression),
                created=created,
                sources=found.sources,
                compression=self.job.compression,
                level=self.job.level,
                fingerprint=found.fingerprint(self.job),
                statistics=ledger.statistics(back.size, found.excluded, found.excluded_bytes),
                archive_sha256=back.sha256,
                sums_sha256=ledger.sums_sha256,
                entries_sha256=ledger.entries_sha256,
                entries=ledger.count,
                verified_at=datetime.now(UTC),
                problems=problems,
                notes=(*found.notes, *(each for each in expected.notes if each.kind == "damaged"), *writer.notes),
            )
            self.target.commit(head, ledger.entry_blocks(), ledger.sums_blocks())
        finally:
            ledger.close()
            self.target.abandon(file_name)
        return self._finish(head)

    def _write(self, filling: Filling, at_work: str) -> Writer:
        began = time.monotonic()
        writer = filling.write(at_work)
        self.write_s = time.monotonic() - began
        return writer

    def _read_back(self, at_work: str, file_name: str, ledger: Ledger) -> ReadBack:
        began = time.monotonic()
        fd = self.target.open(at_work)
        try:
            self.control.begin("verify", ledger.count, ledger.source_bytes)
            back = read_back(fd, file_name, ledger, self.control)
        finally:
            os.close(fd)
        if back.problems:
            first = back.problems[0]
            raise CorruptError(f"read back, {first.path}: {first.message}", "check the target's disk and memory")
        self.verify_s = time.monotonic() - began
        return back

    def _finish(self, head: Head) -> BackupReport:
        now = clock()
        pruned = None
        if head.state is State.VERIFIED:  # R1: only a new verified archive may cost an old one
            pruned = prune(self.target, self.job, now, self.before)
        self._stamp(now)
        code = Exit.PARTIAL if head.state is State.PARTIAL else pruned.exit_code if pruned else Exit.OK
        report = self._report(head.state, code, head, head.problems, head.notes)
        message = f"{many(len(head.problems), 'problem')}: not all of the source is in it" if head.problems else None
        return msgspec.structs.replace(
            report,
            prune=pruned,
            message=message or (pruned.message if pruned else None),
            hint=pruned.hint if pruned else None,
        )

    def _stamp(self, now: Clock) -> None:
        """Note this run's clock, but never one that has jumped: then the next run would take it for the true one."""
        if self.job.accept_clock or clock_fault(now, self.before) is None:
            self.lock.stamp(now)

    def _report(
        self,
        state: State,
        code: Exit,
        head: Head,
        problems: tuple[Problem, ...] = (),
        notes: tuple[Problem, ...] = (),
    ) -> BackupReport:
        archives = shelf.archives(self.target, self.job.job)
        files = [file for each in archives for file in shelf.files_of(self.target, each.id)]
        return BackupReport(
            job=self.job.job,
            state=state,
            exit_code=code,
            id=head.id,
            path=os.path.join(self.target.path, head.archive),
            statistics=head.statistics,
            verified=HOW,
            verified_at=head.verified_at,
            started_at=self.started,
            scan_s=self.scan_s,
            write_s=self.write_s,
            verify_s=self.verify_s,
            problems=problems,
            notes=notes,
            remaining=len(archives),
            target_bytes=sum(self.target.size(each) or 0 for each in files),
            free_bytes=self.target.free_bytes(),
        )

    def _last_entries(self) -> Iterable[Entry]:
        return () if self.last is None else self.target.entries(self.last.id)
