"""What an operation changes: whole files, the crontab among them, from what they are to what they shall be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import msgspec

from mltop.system.text import clean

BEGUN = "operation.begun"
"""The file below the state's folder that an operation under way is noted in."""


class Kind(StrEnum):
    """How a file is put in place."""

    CRONTAB = "crontab"
    """By crontab(1)."""
    CRON_D = "cron.d"
    """Renamed into place, root's, 0644."""
    USER_UNIT = "user unit"
    SYSTEM_UNIT = "system unit"
    USER_TIMER = "user timer"
    """Somebody else's timer: `path` is the unit, the content is its state in words."""
    SYSTEM_TIMER = "system timer"
    CONFIG = "config"


TIMER_SCOPES = {Kind.USER_TIMER: "user", Kind.SYSTEM_TIMER: "system"}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One file; `None` is no file."""

    kind: Kind
    path: str
    """The file, or `crontab`."""
    before: bytes | None
    after: bytes | None
    mode: int | None = None
    """The mode of a file that is made; `None`: what its kind has. One that is there keeps its own."""

    def reversed(self) -> Change:
        """The way back."""
        return msgspec.structs.replace(self, before=self.after, after=self.before)


def diff(changes: Iterable[Change]) -> str:
    """All changes as one unified diff, harmless on a terminal."""
    return "".join(line + "\n" for change in changes for line in _diff(change))


def _diff(change: Change) -> list[str]:
    before, after = _shown(change.before), _shown(change.after)
    old = change.path if change.before is not None else "/dev/null"
    new = change.path if change.after is not None else "/dev/null"
    return [clean(line, 4096) for line in difflib.unified_diff(before, after, old, new, lineterm="")]


def _shown(data: bytes | None) -> list[str]:
    lines = (data or b"").decode("utf-8", "replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read(path: Path) -> bytes | None:
    """A file's bytes; `None` where there is none. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
