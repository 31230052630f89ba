"""Which names the last archive has: asked only when something went away, so read only then, and kept as hashes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable

from mltop.tasks.archive.record import Entry
from mltop.tasks.outcome import CorruptError


def ordered(numbers: Iterable[int]) -> array[int]:
    """Return numbers in order, eight bytes each."""
    return array("q", sorted(numbers))


def has(numbers: array[int], number: int) -> bool:
    """Whether a number is among ordered ones."""
    place = bisect_left(numbers, number)
    return place < len(numbers) and numbers[place] == number


class LastNames:
    """The names in the last archive, as `name in names`. Where its manifest cannot be read, all are in it."""

    def __init__(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Read them by `entries` when they are asked for; nothing where there is no last archive."""
        self._entries = entries
        self._hashes: array[int] | None = None
        self._is_known = True

    def __contains__(self, name: object) -> bool:
        """Whether the last archive has something by this name; rather one warning too many."""
        if self._hashes is None:
            try:
                self._hashes = ordered(hash(entry.name) for entry in self._entries())
            except (OSError, CorruptError):
                self._hashes, self._is_known = array("q"), False
        return not self._is_known or has(self._hashes, hash(name))

    def files(self, hashes: Collection[int]) -> list[str]:
        """Return the names of its files whose hashes are among these; none where it cannot be read."""
        try:
            return [each.name for each in self._entries() if each.kind == "file" and hash(each.name) in hashes]
        except (OSError, CorruptError):
            return []
