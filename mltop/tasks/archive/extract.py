"""One member of an archive to one thing on the disk: compared, written, linked, or refused with the reason.

Symbolic links are made after everything else, and folders get their modes and times at the very end.
"""

# Descriptors

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from mltop.tasks.archive.attribute import CAPABILITY, put
from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.content import ZEROS
from mltop.tasks.archive.link import Links, arrange
from mltop.tasks.archive.member import Member, Members
from mltop.tasks.archive.new_file import NewFile
from mltop.tasks.archive.place import FOLDER_AT_WORK, EntryRefusedError, Parts, Place, parts_of
from mltop.tasks.archive.record import Entry, Source
from mltop.tasks.outcome import Control, CorruptError, NoSpaceError, os_reason

_FOLDER_MODE = 0o755
_USER_MAX = (1 << 32) - 2
_REFUSED = {"device": "a device", "fifo": "a FIFO"}


class Outcome(msgspec.Struct, frozen=True):
    """`restored`, `same`, `exists`, `skipped` or `failed`, and a word on it."""

    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How to treat what is there and what leads out. `sources` is `None` for a foreign archive."""

    overwrite: str
    links: Links
    dry_run: bool
    max_bytes: int
    sources: tuple[Source, ...] | None


@dataclass(frozen=True, slots=True)
class _Attributes:
    mode: int
    mtime_ns: int | None
    owner: tuple[int, int] | None
    extended: Mapping[str, bytes]


class Extraction:
    """What has been restored so far, and how to go on."""

    def __init__(self, place: Place, rules: Rules, control: Control) -> None:
        self._place, self._rules, self._control = place, rules, control
        self.written = 0
        self._good: set[Parts] = set()
        """Files that hold what the archive has: hard links may point to them."""
        self._own: set[Parts] = set()
        """Files and links of this run: a later member of the same name replaces them, as tar has it."""
        self._folders: dict[Parts, _Attributes] = {}

    def remember_folder(self, member: Member) -> None:
        """Note the mode of a folder that is not wanted itself, but may have to be made for what is in it."""
        try:
            self._folders.setdefault(parts_of(member.name), self._attributes(member))
        except EntryRefusedError:
            return

    def folder(self, member: Member, parts: Parts) -> Outcome:
        """Make a folder, open to us alone until the end."""
        there = self._place.existing(parts)
        if there is not None and stat.S_IMODE(there.st_mode) == FOLDER_AT_WORK:
            self._place.made_folders.add(parts)  # by a restore that was killed
        if not self._rules.dry_run:
            self._place.folder(parts)
        self._folders[parts] = self._attributes(member)
        return Outcome("same" if there is not None and parts not in self._place.made_folders else "restored")

    def file(self, members: Members, member: Member, entry: Entry | None, parts: Parts) -> Outcome:
        """Write a file, or leave the one that is there."""
        if not parts:
            raise EntryRefusedError("a name that is the folder itself")
        if entry and entry.status == "unreadable":
            return Outcome("failed", f"it could not be read when it was backed up: {entry.reason}")
        there = self._place.existing(parts)
        present: str | None = None
        if there is not None and parts not in self._own:
            if not stat.S_ISREG(there.st_mode):
                return Outcome("exists", "something that is no file is there")
            if there.st_size == member.size and self._rules.overwrite != "always":
                present = self._hash_present(parts)
            if present is not None and self._is_same(members, member, entry, present):
                self._good.add(parts)
                return Outcome("same")
            if self._rules.overwrite == "never":
                return Outcome("exists", "a different file is there")
        outcome = self._write(members, member, entry, parts, present, replace=there is not None)
        if outcome.result in ("restored", "same"):
            self._good.add(parts)
            self._own.add(parts)
        return outcome

    def _is_same(self, members: Members, member: Member, entry: Entry | None, present: str) -> bool:
        if entry:
            return present == entry.sha256
        # a foreign archive has no hashes: its data must be read, and can then not be written any more
        return self._rules.overwrite == "never" and present == self._copy(members, member, None, hashed=True)

    def _hash_present(self, parts: Parts) -> str:
        digest = hashlib.sha256()
        fd = self._place.open(parts)
        try:
            while block := os.read(fd, BLOCK):
                self._control.check()
                digest.update(block)
        finally:
            os.close(fd)
        return digest.hexdigest()

    def _write(
        self, members: Members, member: Member, entry: Entry | None, parts: Parts, present: str | None, replace: bool
    ) -> Outcome:
        stored = sum(length for _, length in member.extents) if member.extents is not None else member.size
        if self.written + stored > self._rules.max_bytes:
            raise NoSpaceError(f"{member.name}: more than the {self._rules.max_bytes} bytes that may be written")
        reason = _reason(member, entry)
        if self._rules.dry_run:
            self.written += stored
            return Outcome("restored", reason)
        attributes = self._attributes(member)
        file = self._place.new_file(parts)
        try:
            sha256 = self._copy(members, member, file, hashed=bool(entry) or present is not None)
            if entry and sha256 != entry.sha256:
                raise CorruptError("its content is not what was backed up")
            reason = put(file.fd, attributes.extended) or reason
        except BaseException:
            file.discard()
            raise
        if present is not None and sha256 == present:
            file.discard()
            return Outcome("same")
        lacks = file.place(member.size, member.mode, member.mtime_ns, attributes.owner, replace)
        self.written += stored
        return Outcome("restored", lacks or reason)

    def _copy(self, members: Members, member: Member, file: NewFile | None, hashed: bool) -> str | None:
        digest = hashlib.sha256() if hashed else None
        position = 0
        for offset, piece in members.data():
            if digest:
                _hash_zeros(digest, offset - position)
                digest.update(piece)
            if file:
                file.write(offset, piece)
            position = offset + len(piece)
            self._control.advance(len(piece))
        if digest:
            _hash_zeros(digest, member.size - position)
        return digest.hexdigest() if digest else None

    def hardlink(self, parts: Parts, first: Parts) -> Outcome:
        """Make another name of a file that has been restored, or a copy where the file system has no hard links."""
        if not parts:
            raise EntryRefusedError("a name that is the folder itself")
        if first not in self._good:
            return Outcome("failed", f"the file that it is another name of was not restored: {'/'.join(first)}")
        there = self._place.existing(parts)
        if there is not None and parts != first:
            other = self._place.existing(first)
            if other is not None and (other.st_dev, other.st_ino) == (there.st_dev, there.st_ino):
                self._good.add(parts)
                return Outcome("same")
            if self._rules.overwrite == "never" and parts not in self._own:
                return Outcome("exists", "something else is there")
            if not self._rules.dry_run:
                self._place.remove(parts)
        if not self._rules.dry_run and parts != first:
            self._place.hardlink(parts, first)
        self._own.add(parts)
        self._good.add(parts)
        return Outcome("restored")

    def symlink(self, member: Member, parts: Parts) -> Outcome:
        """Make a symbolic link as the rules have it."""
        if not parts:
            raise EntryRefusedError("a name that is the folder itself")
        if "\0" in member.link:
            raise EntryRefusedError("a zero byte in its target")
        target, reason = arrange(member.name, member.link, self._rules.links, self._rules.sources)
        if target is None:
            return Outcome("skipped", reason)
        there = self._place.existing(parts)
        if there is not None:
            if self._place.link_of(parts) == target:
                return Outcome("same")
            if self._rules.overwrite == "never" or stat.S_ISDIR(there.st_mode):
                return Outcome("exists", "something else is there")
            if not self._rules.dry_run:
                self._place.remove(parts)
        if not self._rules.dry_run:
            self._place.symlink(parts, target, member.mtime_ns)
        self._own.add(parts)
        return Outcome("restored", reason)

    def finish_folders(self) -> list[tuple[Parts, Outcome]]:
        """Give all folders that were made their owners, modes and times; return those where that failed, and why.

        `restored` are those that only lack something of it.

        A folder that was there keeps its mode; only its time, which moved when something came into it, is set.
        """
        failed: list[tuple[Parts, Outcome]] = []
        if self._rules.dry_run:
            return failed
        made = self._place.made_folders
        touched = {parts[:-1] for parts in self._own if len(parts) > 1}
        closed: list[tuple[Parts, _Attributes]] = []
        # from above, which is one step for each; where a mode keeps even us out, from below
        for parts in sorted(made | touched):
            wanted = self._folders.get(parts, _Attributes(_FOLDER_MODE, None, None, {}))
            mode = wanted.mode if parts in made else None
            failed += self._extend(parts, wanted.extended if parts in made else {})
            if mode is not None and mode & stat.S_IRWXU != stat.S_IRWXU:
                closed.append((parts, _Attributes(mode, None, None, {})))
                mode = None
            failed += self._finish(parts, mode, wanted.mtime_ns, wanted.owner if parts in made else None)
        for parts, wanted in reversed(closed):
            failed += self._finish(parts, wanted.mode, None, None)
        return failed

    def _extend(self, parts: Parts, attributes: Mapping[str, bytes]) -> list[tuple[Parts, Outcome]]:
        if not attributes:
            return []
        try:
            fault = put(self._place.folder(parts), attributes)
        except (OSError, EntryRefusedError):
            return []  # what comes next says it
        return [(parts, Outcome("restored", fault))] if fault else []

    def _finish(
        self, parts: Parts, mode: int | None, mtime_ns: int | None, owner: tuple[int, int] | None
    ) -> list[tuple[Parts, Outcome]]:
        try:
            lacks = self._place.finish_folder(parts, mode, mtime_ns, owner)
        except OSError as error:
            return [(parts, Outcome("failed", os_reason(error)))]
        except EntryRefusedError as error:
            return [(parts, Outcome("failed", str(error)))]
        return [(parts, Outcome("restored", lacks))] if lacks else []

    def _attributes(self, member: Member) -> _Attributes:
        """Only root restores owners, and only those that our own archives have written down."""
        user = (member.uid, member.gid)
        is_known = self._rules.sources is not None and min(user) >= 0 and max(user) <= _USER_MAX
        owner = user if is_known and os.geteuid() == 0 else None
        extended = member.attributes if self._rules.sources is not None else {}
        return _Attributes(member.mode, member.mtime_ns, owner, extended)


def refuse_kind(member: Member) -> None:
    """Raise for what is never made."""
    raise EntryRefusedError(_REFUSED.get(member.kind, "an unknown kind of entry"))


def _reason(member: Member, entry: Entry | None) -> str | None:
    if entry and entry.status == "changed":
        return f"when it was backed up, {entry.reason}"
    if CAPABILITY in member.attributes:
        return "its capabilities are dropped"
    return "its setuid, setgid or sticky bit is dropped" if member.mode & 0o7000 else None


def _hash_zeros(digest: hashlib._Hash, count: int) -> None:
    while count > 0:
        piece = min(count, len(ZEROS))
        digest.update(ZEROS[:piece])
        count -= piece
