"""Which processes are shown, and in which order (D7)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mltop.sampling.host.entry import Entry

MOST_PROCESSES = 200


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the process list; the words are those of `Request`."""

    filter: str = ""
    sort: str = "gpu"
    invert: bool = False
    limit: int = 100

    @property
    def most(self) -> int:
        """How many processes to give."""
        return max(0, min(self.limit, MOST_PROCESSES))

    @property
    def is_filtered(self) -> bool:
        """Whether the filter asks for anything."""
        return bool(self.filter.removeprefix("!").strip())


def matching(filter_text: str, entries: Iterable[Entry]) -> list[Entry]:
    """The processes that hold the text in their pid, user, name or command, in any case; a leading `!` inverts."""
    wanted = filter_text.removeprefix("!").strip().casefold()
    if not wanted:
        return list(entries)
    is_inverted = filter_text.startswith("!")
    return [entry for entry in entries if _holds(entry, wanted) != is_inverted]


def _holds(entry: Entry, wanted: str) -> bool:
    return (
        wanted in entry.name.casefold()
        or (entry.command is not None and wanted in entry.command.casefold())
        or (entry.user is not None and wanted in entry.user.casefold())
        or wanted in str(entry.pid)
    )


def _busy(entry: Entry) -> tuple[float, int, int]:
    return -(entry.cpu_percent or 0.0), -entry.rss_pages, entry.pid


_ORDERS: dict[str, Callable[[Entry], Any]] = {
    "gpu": lambda entry: (entry.gpus or (1 << 30,), *_busy(entry)),
    "cpu": _busy,
    "memory": lambda entry: (-entry.rss_pages, entry.pid),
    "pid": lambda entry: entry.pid,
    "user": lambda entry: (entry.user is None, entry.user or "", *_busy(entry)),
    "time": lambda entry: (entry.start_ticks, entry.pid),
    "command": lambda entry: ((entry.command or entry.name).casefold(), entry.pid),
}
"""Each puts first what one looks for: the busiest, the biggest, the longest running, the lowest, the first by name."""


def first(entries: Iterable[Entry], selection: Selection) -> list[Entry]:
    """At most `selection.most`: those with a GPU, then the others, then kernel threads, each part in order.

    An order that is not known is that of the GPUs.
    """
    parts: tuple[list[Entry], list[Entry], list[Entry]] = ([], [], [])
    for entry in entries:
        parts[0 if entry.gpus else 2 if entry.is_kernel else 1].append(entry)
    key = _ORDERS.get(selection.sort, _ORDERS["gpu"])
    pick = heapq.nlargest if selection.invert else heapq.nsmallest
    found: list[Entry] = []
    for part in parts:
        room = selection.most - len(found)
        if room > 0 and part:
            found += pick(room, part, key=key)
    return found
