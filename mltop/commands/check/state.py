"""The stored state of the last verdict: where it is, and what `self.state` says of that (D20, D26, D44)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mltop.commands.check.keeper import BAD, BUSY, FAILED, KEPT, MAX_BYTES, NAME, READY, REFUSED, WRITTEN, Keeper
from mltop.commands.check.reach import may_hang
from mltop.system.digest import sha256_hex
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.checks.judgement import Judgement
    from mltop.checks.memory import Memory
    from mltop.checks.remembered import Remembered
    from mltop.sampling.root import Roots

PATIENCE_S = 0.5
"""A folder that has not answered for so long does not answer: its mount hangs."""


class _Place:
    """A folder, and what its keeper said."""

    def __init__(self, folders: list[str], name: str, *, is_private: bool = False) -> None:
        self.folders = folders
        self.folder = folders[0]
        self.kind: int | None = None
        """The last that its keeper said; `None` while that is nothing."""
        self.why = "does not answer"
        self.content: Remembered | None = None
        self.fault = ""
        """Why what is there is no state."""
        self._keeper: Keeper | None = None
        try:
            self._keeper = Keeper(folders, name, is_private=is_private, may_hang=may_hang(map(Path, folders)))
        except OSError as error:
            self.kind, self.why = REFUSED, f"no process for it: {error.strerror}"

    def read(self, limit_s: float) -> None:
        """Take what is stored there."""
        said = self._keeper.hear(limit_s) if self._keeper is not None else None
        if said is None:
            return
        self.kind, rest = said
        place, why, data = rest.split(b"\n", 2)
        self.folder, self.why = self.folders[int(place)], why.decode(errors="replace")
        if self.kind == BAD:
            self.fault = self.why
        elif data:
            self._decode(data)

    def _decode(self, data: bytes) -> None:
        import msgspec

        from mltop.checks.remembered import VERSION, Remembered

        try:
            content = msgspec.json.decode(data, type=Remembered)
            if content.version != VERSION:
                raise ValueError(f"it is of version {content.version}, not {VERSION}")
        except (msgspec.MsgspecError, ValueError) as error:
            self.fault = clean(str(error), 200)
        else:
            self.content = content

    def put(self, data: bytes, limit_s: float) -> bool:
        """Have it stored; whether there was room."""
        if self._keeper is None or not self._keeper.keep(data, limit_s, anew=bool(self.fault)):
            self.kind = None
            return False
        return self._hears(WRITTEN, limit_s)

    def is_kept(self, limit_s: float) -> bool:
        """Whether it has come to the disk."""
        return self._hears(KEPT, limit_s)

    def _hears(self, kind: int, limit_s: float) -> bool:
        said = self._keeper.hear(limit_s) if self._keeper is not None else None
        self.kind, why = (None, b"does not answer") if said is None else said
        self.why = why.decode(errors="replace")
        return self.kind == kind

    def close(self) -> None:
        """End its keeper."""
        if self._keeper is not None:
            self._keeper.close()


class Store:
    """Reads what the last run left, and leaves this one's. Holds no run up, whatever its folder does."""

    def __init__(self, folder: str | None) -> None:
        """Begin to read, beside everything else; `None`: there is no folder for it. Nothing is created yet."""
        self._started = time.monotonic()
        self._name = NAME if folder is None else f"check-{sha256_hex(os.fsencode(folder))[:8]}.json"
        self._others = list(_fallbacks())
        paths = [f"{one}/{self._name}" for one in self._others]
        self._left_behind = [path for path in paths if os.path.lexists(path)]
        self._first: _Place | None = None
        self._second: _Place | None = None
        self._writer: _Place | None = None
        self._trouble = self._reason = ""
        """What is wrong with the first place, and a word for that: `permission`, `timeout`, `error`."""
        self._box = ""
        self._data = b""
        if folder is None:
            self._trouble, self._reason = "no HOME to keep it in", "permission"
        elif self._left_behind and _is_stuck(folder):
            self._trouble, self._reason = f"{folder}: does not answer", "timeout"
        else:
            self._first = _Place([folder], NAME)
        if self._left_behind or self._first is None:
            self._take_second()

    def memory(self, limit_s: float) -> Memory:
        """What the last run left; empty where that is nothing, or cannot be read."""
        from mltop.checks.memory import Memory

        if self._first is not None:
            left_s = PATIENCE_S - (time.monotonic() - self._started)
            self._first.read(min(limit_s, max(0.05, left_s)))
            if self._first.kind in (None, REFUSED, FAILED):
                self._give_up(self._first)
        if self._second is not None:
            self._second.read(min(limit_s, PATIENCE_S))
        places = self._places()
        self._writer = next((place for place in places if place.kind in (READY, BUSY, BAD)), None)
        self._box = _box()
        kept = [one for one in (place.content for place in places) if one is not None and one.box == self._box]
        return Memory(max(kept, key=lambda one: one.time, default=None), is_stepwise=True)

    def keep(self, remembered: Remembered, limit_s: float) -> None:
        """Have it stored, in the second place where there is no room in the first; waits for room, not for the disk."""
        remembered.box = self._box
        writer = self._writer
        try:
            self._data = encoded(remembered)
        except (ValueError, TypeError, OverflowError) as error:  # a text or a number that JSON has not
            self._writer, self._trouble, self._reason = None, str(error), "error"
            return
        if writer is not None and writer.kind != BUSY and not writer.put(self._data, min(limit_s, PATIENCE_S)):
            self._keep_elsewhere(writer, min(limit_s, PATIENCE_S))

    def finish(self, limit_s: float) -> None:
        """Wait until it has come to the disk; then what went to the second place for want of the first is old."""
        writer = self._writer
        if writer is None or writer.kind != WRITTEN:
            return
        if not writer.is_kept(min(limit_s, PATIENCE_S)):
            self._keep_elsewhere(writer, min(limit_s, PATIENCE_S))
            if self._writer is not None and self._writer.kind == WRITTEN:
                self._writer.is_kept(min(limit_s, PATIENCE_S))
        elif writer is self._first:
            for path in self._left_behind:
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108

    def close(self) -> None:
        """End the children; waits for none."""
        for place in self._places():
            place.close()

    def judgement(self) -> Judgement:
        """`self.state`: where it is kept, and what is wrong with that."""
        from mltop.checks.case import judgement, skip
        from mltop.model.finding import Level

        writer, trouble, reason = self._writer, self._trouble, self._reason
        level = {"timeout": Level.UNKNOWN, "error": Level.WARNING}.get(reason, Level.OK)
        if writer is None and level is Level.OK:
            return skip("self.state", f"not kept: {trouble}; give a --state-dir", name="state", reason=reason)
        action = "see to that folder, or give another one with --state-dir"
        if writer is None:
            summary = f"not kept, so alerts may repeat: {trouble}"
        elif writer.kind == BUSY:
            summary = "another run is active: this one notes nothing"
        elif writer.fault:
            level, reason = max(level, Level.WARNING), "parse"
            summary, action = f"begun anew, what was there is no state: {writer.fault}", f"see {NAME}.bad beside it"
        else:
            summary = f"kept in {writer.folder}" + (f": {trouble}" if trouble else "")
        return judgement("self.state", level, clean(summary, 300), action, name="state", reason=reason or "state")

    def _places(self) -> list[_Place]:
        return [place for place in (self._first, self._second) if place is not None]

    def _take_second(self) -> None:
        if self._second is None:
            self._second = _Place(self._others, self._name, is_private=True)

    def _give_up(self, place: _Place) -> None:
        """The first place does not do: take the second."""
        self._trouble = f"{place.folder}: {place.why}"
        self._reason = {None: "timeout", REFUSED: "permission"}.get(place.kind, "error")
        self._take_second()

    def _keep_elsewhere(self, writer: _Place, limit_s: float) -> None:
        """The writer did not take it: the second place does, where it was not that."""
        if writer.kind == BUSY:  # another run was faster, and this one notes nothing
            return
        self._writer = None
        if writer is not self._first:
            self._trouble += f"; {writer.folder}: {writer.why}"
            self._reason = self._reason if writer.kind == REFUSED else "error"
            return
        is_new = self._second is None
        self._give_up(writer)
        second = self._second
        if second is None:
            return
        if is_new:
            second.read(limit_s)
        if second.kind in (READY, BAD) and second.put(self._data, limit_s):
            self._writer = second


def no_state() -> Judgement:
    """`self.state` of a run that neither reads nor writes it."""
    from mltop.checks.case import skip

    return skip("self.state", "neither read nor written (--no-state)", name="state", reason="off")


@contextlib.contextmanager
def opened(folder: str | None, left_s: Callable[[], float]) -> Iterator[Store]:
    """A store for the length of a run that has `left_s` seconds left; waits for the disk when the report is written."""
    store = Store(folder)
    try:
        yield store
        store.finish(left_s())
    finally:
        store.close()


def encoded(remembered: Remembered) -> bytes:
    """The state as a file of bounded size: where it is too much, what is soonest learnt again is left out."""
    import msgspec

    for left_out in ("", "space", "found", "counters", "held"):
        if left_out:
            remembered = msgspec.structs.replace(remembered, **{left_out: {}})
        data = msgspec.json.encode(remembered)
        if len(data) <= MAX_BYTES:
            break
    return data


def _fallbacks() -> Iterator[str]:
    """Folders in memory, for who has no folder that can be written."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        yield f"{runtime}/mltop"
    yield f"/dev/shm/mltop-{os.geteuid()}"


def _box() -> str:
    """Which box is looked at: this one, or through other roots perhaps another one."""
    roots = _roots()
    return "" if roots == type(roots)() else str(roots)


def _roots() -> Roots:
    from mltop.sampling.root import Roots

    return Roots.from_environment()


def _is_stuck(folder: str) -> bool:
    """Whether the keeper of an earlier run hangs there still: nobody is sent after it (D2)."""
    from mltop.sampling.host.stuck_mount import stuck_readers

    return bool(stuck_readers(_roots(), [os.fsencode(folder)]))
