"""mltop's lines that somebody moved, or copied, out of its block: cron runs them there too, so they are a hand edit."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from mltop.jobs.crontab.line import Call, Owned, is_marked, is_ours, owned
from mltop.jobs.crontab.text import lines, parts


class Stray(msgspec.Struct, frozen=True):
    """One of them."""

    number: int
    """Its line in the file, from 1."""
    raw: bytes
    """Without its end."""
    owned: Owned


def strays(data: bytes, calls: Collection[Call]) -> list[Stray]:
    """The lines outside the block that bear mltop's mark and are this config's; raises BlockFault."""
    if not is_marked(data):
        return []
    found = parts(data)
    inside = range(found.first, found.first + len(found.block)) if found.block is not None else range(0)
    all_lines = ((number, raw.rstrip(b"\n")) for number, raw in enumerate(lines(data), 1) if number not in inside)
    marked = ((number, raw, owned(raw)) for number, raw in all_lines if is_marked(raw))
    return [Stray(number, raw, one) for number, raw, one in marked if one is not None and is_ours(one, calls)]


def without(data: bytes, found: Iterable[Stray]) -> bytes:
    """The file without these lines."""
    numbers = {one.number for one in found}
    return b"".join(raw for number, raw in enumerate(lines(data), 1) if number not in numbers)
