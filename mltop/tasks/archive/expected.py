"""The entries that an archive should have, gone through once in step with its members."""

from __future__ import annotations

from collections.abc import Iterable

from mltop.tasks.archive.member import Member
from mltop.tasks.archive.record import Entry


def is_of(member: Member, entry: Entry) -> bool:
    """Whether a member is what was written down of it; the content is compared apart."""
    said = (member.name, member.kind, member.size, member.link, member.mode, member.mtime_ns)
    return said == (entry.name, entry.kind, entry.size, entry.link or "", entry.mode, entry.mtime_ns)


class Expected:
    """Entries in the order of their members; what is passed over without a member is `missed`."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = iter(entries)
        self._next = next(self._entries, None)
        self.missed: list[Entry] = []

    def at(self, index: int) -> Entry | None:
        """Return the entry of a member; `None` for an earlier copy of a file that was read again."""
        while self._next is not None and self._next.member < index:
            self.miss()
        entry = self._next
        if entry is None or entry.member > index:
            return None
        self._next = next(self._entries, None)
        return entry

    def miss(self) -> None:
        """Pass over the next one."""
        if self._next is not None:
            self.missed.append(self._next)
            self._next = next(self._entries, None)

    def finish(self) -> list[Entry]:
        """Return all that had no member, once there are no more of them."""
        while self._next is not None:
            self.miss()
        return self.missed
