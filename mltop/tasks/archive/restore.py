"""Restore an archive, ours or a foreign one, entry by entry; each has its result and none stops the others.

Nothing is overwritten unless asked for, and what is equal already is left alone, so an interrupted restore goes on
where it was. Files are compared with the manifest's hashes before they get their names.
"""

# Descriptors

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import msgspec

from mltop.tasks.archive import name
from mltop.tasks.archive.exclude import Excludes
from mltop.tasks.archive.expected import Expected, is_of
from mltop.tasks.archive.extract import Extraction, Outcome, Rules, refuse_kind
from mltop.tasks.archive.link import Links
from mltop.tasks.archive.member import Member, Members
from mltop.tasks.archive.output import full_or_failed
from mltop.tasks.archive.place import EntryRefusedError, Place, parts_of
from mltop.tasks.archive.record import Entry, Head, Restored, RestoreReport
from mltop.tasks.archive.stream import Blocks
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import (
    Control,
    CorruptError,
    Exit,
    NoSpaceError,
    TaskError,
    UsageError,
    display,
    os_reason,
)

Overwrite = Literal["never", "if-different", "always"]


class RestoreJob(msgspec.Struct, frozen=True, kw_only=True):
    """What to restore, and how."""

    archive_id: str
    to: str
    select: tuple[str, ...] = ()
    """Names in the archive, folders with all in them, or patterns; none: everything."""
    overwrite: Overwrite = "never"
    links: Links = "auto"
    dry_run: bool = False
    max_bytes: int | None = None
    """The most to write; `None`: what is free, with a reserve."""


class Selection:
    """Which members are wanted: by exact name, below a folder, or by pattern."""

    def __init__(self, select: Sequence[str]) -> None:
        self._names = frozenset(each.strip("/") for each in select)
        self._patterns = Excludes([each for each in select if set("*?[") & set(each)])
        self._is_all = not select

    def wants(self, member_name: str) -> bool:
        """Whether a member is wanted."""
        if self._is_all:
            return True
        parts = [part for part in member_name.split("/") if part not in ("", ".")]
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        return any(each in self._names or self._patterns.match(each, is_folder=True) for each in above)


def restore(target: Target, job: RestoreJob, control: Control | None = None) -> RestoreReport:
    """Restore from an archive in `target`. Nothing that an archive or a disk can do is raised."""
    began = time.monotonic()
    run = _Restore(job, control or Control())
    code, message, hint = None, None, None
    try:
        run.go(target)
    except TaskError as error:
        code, message, hint = error.code, str(error), error.hint
    except OSError as error:
        code, message = Exit.FAILED, os_reason(error)
    return RestoreReport(
        id=job.archive_id,
        path=run.path,
        to=display(job.to),
        exit_code=run.code() if code is None else code,
        dry_run=job.dry_run,
        counts=run.counts,
        restored_bytes=run.extraction.written if run.extraction else 0,
        entries=tuple(run.results),
        duration_s=time.monotonic() - began,
        message=message,
        hint=hint,
    )


class _Wanted(NamedTuple):
    entries: int
    size: int
    stored: int
    """Bytes without the holes of sparse files."""


class _Restore:
    def __init__(self, job: RestoreJob, control: Control) -> None:
        self.job, self.control = job, control
        self.path = job.archive_id
        self.selection = Selection(job.select)
        self.head: Head | None = None
        self.expected: Expected | None = None
        self.extraction: Extraction | None = None
        self.results: list[Restored] = []
        self.counts: dict[str, int] = {}
        self._is_corrupt = self._is_partial = False
        self._is_changed = False
        """The archive as a whole has another hash, whatever became of its entries."""
        self._symlinks: list[Member] = []
        self._stand_in: dict[str, str] = {}
        """Where a hard link is wanted and its first name is not: from the first name to the link's."""

    def go(self, target: Target) -> None:
        file_name = self._find(target)
        self.path = f"{target.path}/{file_name}"
        wanted = self._wanted(target)
        with Place(self.job.to, self.job.dry_run) as place:
            rules = self._rules(place, wanted)
            self.extraction = Extraction(place, rules, self.control)
            self.control.begin("restore", wanted.entries or None, wanted.size or None)
            try:
                self._read(target, file_name, self.extraction)
                self._make_symlinks(self.extraction)
            finally:
                for parts, outcome in self.extraction.finish_folders():
                    self._finished("/".join(parts), outcome)
        self._missing()
        if self._is_changed and not self._is_corrupt:
            raise CorruptError(
                "the archive is damaged: what was restored has its content, mode, time and links, "
                "but perhaps not its owner and extended attributes",
                "look at those, or restore from another archive: mltop backup list",
            )

    def code(self) -> Exit:
        if self._is_corrupt:
            return Exit.VERIFY_FAILED
        return Exit.PARTIAL if self._is_partial else Exit.OK

    def _find(self, target: Target) -> str:
        if foreign := name.foreign(self.job.archive_id):
            return foreign
        try:
            self.head = target.head(self.job.archive_id)
            target.check_entries(self.job.archive_id)
        except FileNotFoundError as error:
            message = f"there is no archive {self.job.archive_id} with a manifest in {target.path}"
            raise UsageError(message) from error
        self.expected = Expected(target.entries(self.job.archive_id))
        return self.head.archive

    def _wanted(self, target: Target) -> _Wanted:
        """Add up what is wanted, and find whose first name is not."""
        count = size = stored = 0
        for entry in target.entries(self.job.archive_id) if self.head else ():
            if not self.selection.wants(entry.name):
                continue
            count, size = count + 1, size + entry.size
            stored += entry.size if entry.stored_bytes is None else entry.stored_bytes
            if entry.kind == "hardlink" and entry.link is not None and not self.selection.wants(entry.link):
                self._stand_in.setdefault(entry.link, entry.name)
        if self.head and not count:
            raise self._nothing()
        return _Wanted(count, size, stored)

    def _rules(self, place: Place, wanted: _Wanted) -> Rules:
        free = place.free_bytes()
        limit = free if self.job.max_bytes is None else self.job.max_bytes
        if wanted.stored > limit and place.is_empty():
            raise NoSpaceError(f"{wanted.stored} bytes are needed, {limit} may be written in {place.path}")
        return Rules(
            overwrite=self.job.overwrite,
            links=self.job.links,
            dry_run=self.job.dry_run,
            max_bytes=limit,
            sources=self.head.sources if self.head else None,
        )

    def _read(self, target: Target, file_name: str, extraction: Extraction) -> None:
        fd = target.open(file_name)
        # what compresses has checksums of its own; without one, the headers have only those of the archive
        known = self.head if self.head and self.head.compression == "none" else None
        try:
            with Blocks(fd, file_name, hashed=known is not None) as blocks:
                members = Members(blocks)
                for member in members:
                    self._member(members, member, extraction)
                blocks.drain(self.control)
                self._is_changed |= known is not None and blocks.sha256 != known.archive_sha256
        finally:
            os.close(fd)

    def _member(self, members: Members, member: Member, extraction: Extraction) -> None:
        entry = self.expected.at(member.index) if self.expected else None
        if self.expected and entry is None:
            return  # an earlier copy of a file that was read again
        if self.expected and entry and not is_of(member, entry):
            if (entry.name, entry.kind, entry.size) != (member.name, member.kind, member.size):
                self.expected.missed.append(entry)  # something else is in its place
                return
            self._is_changed = True  # its header is damaged; what it said is in the manifest too
            member = replace(member, mode=entry.mode, mtime_ns=entry.mtime_ns, link=entry.link or "")
        stand_in = self._stand_in.get(member.name)
        if not self.selection.wants(member.name) and stand_in is None:
            if member.kind == "dir":
                extraction.remember_folder(member)
            return
        self.control.file(member.name)
        shown = stand_in or member.name
        if member.kind == "symlink":
            self._symlinks.append(member)
        elif not (member.kind == "hardlink" and self._stand_in.get(member.link) == member.name):
            self._note(shown, member.kind, self._make(members, member, entry, shown, extraction), member.size)

    def _make(
        self, members: Members, member: Member, entry: Entry | None, shown: str, extraction: Extraction
    ) -> Outcome:
        try:
            parts = parts_of(shown)
            if member.kind == "dir":
                return extraction.folder(member, parts)
            if member.kind == "file":
                return extraction.file(members, member, entry, parts)
            if member.kind == "hardlink":
                return extraction.hardlink(parts, parts_of(self._stand_in.get(member.link, member.link)))
            refuse_kind(member)
        except EntryRefusedError as error:
            return Outcome("refused", str(error))
        except FileExistsError:
            return Outcome("exists", "it came into being meanwhile")
        except CorruptError as error:
            if members.is_broken:
                raise
            self._is_corrupt = True
            return Outcome("failed", str(error))
        except OSError as error:
            failure = full_or_failed(error, shown)
            if isinstance(failure, NoSpaceError):
                self._note(shown, member.kind, Outcome("failed", str(failure)), member.size)
                raise failure from error
            return Outcome("failed", os_reason(error))
        raise AssertionError(member.kind)

    def _make_symlinks(self, extraction: Extraction) -> None:
        for member in self._symlinks:
            try:
                outcome = extraction.symlink(member, parts_of(member.name))
            except EntryRefusedError as error:
                outcome = Outcome("refused", str(error))
            except OSError as error:
                outcome = Outcome("failed", os_reason(error))
            self._note(member.name, "symlink", outcome)

    def _missing(self) -> None:
        for entry in self.expected.finish() if self.expected else ():
            if self.selection.wants(entry.name):
                self._is_corrupt = True
                self._note(entry.name, entry.kind, Outcome("failed", "it is not in the archive"), entry.size)
        if not self.counts:
            raise self._nothing()

    def _finished(self, path: str, outcome: Outcome) -> None:
        """Note what a folder lacks; it has been counted when it was made."""
        if outcome.result == "restored":
            self.results.append(Restored(path=display(path), kind="dir", result="restored", reason=outcome.reason))
        else:
            self._note(path, "dir", outcome)

    def _nothing(self) -> UsageError:
        if not self.job.select:
            return UsageError(f"nothing is in {self.job.archive_id}")
        return UsageError(f"nothing in {self.job.archive_id} matches {display(' '.join(self.job.select))}")

    def _note(self, path: str, kind: str, outcome: Outcome, size: int = 0) -> None:
        self.counts[outcome.result] = self.counts.get(outcome.result, 0) + 1
        if outcome.result in ("exists", "refused", "failed", "skipped"):
            self._is_partial = True
        if outcome.reason is not None or outcome.result not in ("restored", "same"):
            self.results.append(
                Restored(path=display(path), kind=kind, result=outcome.result, size=size, reason=outcome.reason)
            )
