"""Write found things as members of a tar, and note each as an entry."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Container

from mltop.tasks.archive import header
from mltop.tasks.archive.attribute import TooLargeError, attributes_of
from mltop.tasks.archive.compression import Packer
from mltop.tasks.archive.content import Content, Taken
from mltop.tasks.archive.found import LARGE_BYTES, Found
from mltop.tasks.archive.ledger import Ledger
from mltop.tasks.archive.record import Entry, Kind
from mltop.tasks.outcome import Control, Problem, display, os_reason, problem

ATTEMPTS = 3
_PAUSES_S = (0.1, 0.5)
_SMALL = 64 << 10
"""Up to here a file goes out in one piece with its header."""


class Writer:
    """The tar stream. A file that was rewritten while it was read is stored again as a later member, which wins."""

    def __init__(self, packer: Packer, ledger: Ledger, control: Control, last: Container[str]) -> None:
        self._packer, self._ledger, self._control, self._last = packer, ledger, control, last
        self._members = 0
        self._inodes: dict[tuple[int, int], Entry] = {}
        """The first name of each file that has several."""
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def add(self, found: Found) -> None:
        """Store one thing; problems are noted by path and never raised."""
        mode = found.status.st_mode
        self._control.file(found.name)
        if stat.S_ISDIR(mode):
            self._packer.write(header.folder(found, self._attributes(found, found.path)))
            self._note(found, "dir")
        elif stat.S_ISLNK(mode):
            self._packer.write(header.symlink(found))
            self._note(found, "symlink", target=found.link)
        elif first := self._inodes.get((found.status.st_dev, found.status.st_ino)):
            self._packer.write(header.hardlink(found, first.name))
            self._note(found, "hardlink", target=first.name, content=first)
        else:
            self._file(found)

    def close(self) -> None:
        """End the tar."""
        self._packer.write(header.END)
        self._packer.close()

    def _file(self, found: Found) -> None:
        entry = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(_PAUSES_S[attempt - 1])
            try:
                content = Content(found.path, found.is_followed)
            except OSError as error:
                self._not_opened(found, error, entry)
                return
            try:
                entry = self._store(found, content)
            finally:
                content.close()
            if entry is None or entry.status != "changed":
                break
        if entry is not None:
            self._keep(found, entry)

    def _store(self, found: Found, content: Content) -> Entry | None:
        status = content.status
        if not stat.S_ISREG(status.st_mode):
            self._gone(found, "special", "it is not a file any more: left out")
            return None
        now = Found(found.path, found.name, status)
        extents = content.extents()
        attributes = self._attributes(found, content.descriptor)
        if extents is not None:
            head, layout = header.sparse(now, content.size, extents, attributes)
            self._packer.write(head + layout)
        else:
            head = header.file(now, content.size, attributes)
        stored = sum(length for _, length in extents) if extents is not None else content.size
        if extents is None and content.size <= _SMALL:
            self._packer.write(head + content.whole() + header.padding(content.size))
            self._control.advance(content.size)
        else:
            if extents is None:
                self._packer.write(head)
            for view in content.blocks([(0, content.size)] if extents is None else extents):
                self._packer.write(view)
                self._control.advance(len(view))
            self._packer.write(header.padding(stored))
            if extents is not None:
                self._control.advance(content.size - stored)
        taken = content.taken(self._control.check)
        entry = _entry(now, "file", self._members, taken=taken, stored=stored if extents is not None else None)
        self._members += 1
        return entry

    def _attributes(self, found: Found, file: int | str) -> dict[str, bytes]:
        try:
            return attributes_of(file)
        except TooLargeError:
            self.notes.append(problem("attributes", found.path, "its extended attributes are too large: left out"))
            return {}

    def _keep(self, found: Found, entry: Entry) -> None:
        self._ledger.add(entry)
        if found.status.st_nlink > 1 or found.is_followed:
            self._inodes[(found.status.st_dev, found.status.st_ino)] = entry
        if entry.status == "changed":
            hint = "back up when nothing writes to it, or raise settle_s"
            self.problems.append(problem("changed", found.path, entry.reason or "changed", hint))
        elif entry.status == "unreadable":
            self.problems.append(problem("unreadable", found.path, entry.reason or "unreadable", "check the disk"))
        elif entry.reason:
            self.notes.append(problem("grew", found.path, entry.reason))

    def _not_opened(self, found: Found, error: OSError, stored: Entry | None) -> None:
        if stored is not None:  # an inconsistent copy is in the tar already: say so rather than lose it
            self._keep(found, stored)
        elif isinstance(error, FileNotFoundError):
            self._gone(found, "vanished", "it went away before it was read")
        else:
            hint = "give the user of this job the right to read it" if isinstance(error, PermissionError) else None
            self.problems.append(problem("unreadable", found.path, os_reason(error), hint))

    def _gone(self, found: Found, kind: str, message: str) -> None:
        """Say that a file is not there any more: a problem where it is large, or the last archive has it."""
        matters = found.status.st_size > LARGE_BYTES or found.name in self._last
        (self.problems if matters else self.notes).append(problem(kind, found.path, message))

    def _note(self, found: Found, kind: Kind, target: str | None = None, content: Entry | None = None) -> None:
        self._ledger.add(_entry(found, kind, self._members, target=target), content)
        self._members += 1

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._control.check()
            time.sleep(min(left, 0.1))


def _entry(
    found: Found,
    kind: Kind,
    member: int,
    *,
    target: str | None = None,
    taken: Taken | None = None,
    stored: int | None = None,
) -> Entry:
    path, path_bytes = _text(found.name)
    link, link_bytes = _text(target) if target is not None else (None, None)
    return Entry(
        path=path,
        path_bytes=path_bytes,
        kind=kind,
        member=member,
        size=found.status.st_size if kind == "file" else 0,
        mode=stat.S_IMODE(found.status.st_mode),
        mtime_ns=found.status.st_mtime_ns,
        sha256=taken.sha256 if taken else None,
        target=link,
        target_bytes=link_bytes,
        stored_bytes=stored,
        status=taken.status if taken else "ok",
        reason=taken.reason if taken else None,
    )


def _text(name: str) -> tuple[str, bytes | None]:
    """Return `name` as valid Unicode, and its bytes when that loses something."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return display(name), os.fsencode(name)
    return name, None
