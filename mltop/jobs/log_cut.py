"""Where a reader of a log goes on after it was cut to its cap, which makes it another file (`jobs.runner.log`)."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from mltop.jobs.runner.log import CUT

_BLOCK = 1 << 16
_MARK = re.escape(CUT).replace("%d", r"(\d{1,19})").encode()
_MARK_BYTES = 80
"""No mark is longer."""


class _Mark(NamedTuple):
    """The line that stands where something is left out: its place, and how much that is, of all cuts together."""

    start: int
    end: int
    left_out: int


def place_after_cut(before: int, after: int, offset: int) -> int | None:
    """Where that is in the file `after` which began at `offset` in the file `before` (both descriptors).

    Where it was left out itself, that is where the mark is; `None` where the one is no cut of the other. Raises
    OSError.
    """
    at = _first_difference(before, after)
    if at is None:
        return offset
    new, old = _mark(after, at), _mark(before, at)
    if new is None:
        return None
    moved = offset - new.left_out + (new.end - new.start)
    if old is not None:
        moved += old.left_out - (old.end - old.start)
    return moved if moved >= new.end else new.start


def _first_difference(one: int, other: int) -> int | None:
    """Both have one head, and the mark behind it differs, or is in the second only; `None` where they are alike."""
    at = 0
    while True:
        here, there = os.pread(one, _BLOCK, at), os.pread(other, _BLOCK, at)
        if not here and not there:
            return None
        if here != there:
            pairs = enumerate(zip(here, there, strict=False))
            return at + next((place for place, (one_byte, its) in pairs if one_byte != its), min(len(here), len(there)))
        at += len(here)


def _mark(descriptor: int, at: int) -> _Mark | None:
    """The mark in the line of this offset, or behind it, where a head that is no whole line was ended."""
    base = max(0, at - _MARK_BYTES)
    block = os.pread(descriptor, 3 * _MARK_BYTES, base)
    for start in (block.rfind(b"\n", 0, at - base) + 1, at - base + 1):
        if found := re.compile(_MARK).match(block, start):
            return _Mark(base + start, base + found.end(), int(found[1]))
    return None
