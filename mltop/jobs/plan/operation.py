"""Every write that mltop makes to a scheduler or a config, one JSON line each, and the way back from the last (J12).

What is begun is noted beside them until it is done: an operation that is killed in its midst is found by the next one,
and can be taken back as far as it got. Each is noted with its old contents too: the list is a log, which gets rotated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mltop.jobs.crontab.own import CrontabError
from mltop.jobs.kept import KEPT, alone, hint, keep
from mltop.jobs.plan.change import BEGUN, TIMER_SCOPES, Change, Kind
from mltop.jobs.plan.install import InstallError, install
from mltop.jobs.plan.now import now
from mltop.jobs.site import Site
from mltop.jobs.systemd.manager import SystemdError
from mltop.system.file import append_line, try_lock, write_atomic

PATIENCE_S = 20.0
_TAIL_BYTES = 1 << 20
_RECORD = "operation.json"
"""An operation's own note, in the folder of its old contents."""


class OperationError(Exception):
    """What keeps an operation from being done, noted or taken back."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file that was changed: where its old content is kept, and what its new one was."""

    kind: Kind
    path: str
    before: str | None = None
    """The kept file; `None`: there was none."""
    after_sha256: str | None = None
    """`None`: the file was removed."""
    mode: int | None = None
    """Of a file that is made again."""


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `operations.jsonl`."""

    id: str
    time: str
    operation: str
    """`apply`, `edit`, `enable`, `undo` …"""
    target: str | None = None
    uid: int
    pid: int
    changes: tuple[Record, ...] = ()
    undoes: str | None = None
    is_cut_short: bool = False
    """It was killed: some of its changes may not have been made."""


class Operations:
    """The operations of one state folder."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = site.state / "operations.jsonl"
        self._begun = site.state / BEGUN
        self._backups = site.state / "backups"
        self._lock = site.state / "locks" / "operations.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One operation at a time (D34); one that was cut short is noted first. Raises OperationError."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(alone(self._lock, PATIENCE_S))
            except TimeoutError:
                raise OperationError("another mltop is changing schedules") from None
            except OSError as error:
                what = f"{error.filename or self._site.state}: {error.strerror}"
                raise OperationError(what + hint(error, "sudo, or --state-dir DIR")) from None
            self._settle()
            yield

    def do(
        self, name: str, changes: Sequence[Change], target: str | None = None, undoes: str | None = None
    ) -> Operation:
        """Put changes in place and note them; the caller holds the lock. Raises OperationError.

        Old contents are kept first: what cannot be taken back is not done.
        """
        now = datetime.now(UTC)
        made = Operation(
            id=f"{now:%Y%m%dT%H%M%S}Z-{os.urandom(4).hex()}",
            time=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            operation=name,
            target=target,
            uid=os.geteuid(),
            pid=os.getpid(),
            undoes=undoes,
        )
        try:
            records = tuple(self._keep(made.id, number, change) for number, change in enumerate(changes))
            made = msgspec.structs.replace(made, changes=records)
            write_atomic(self._begun, msgspec.json.encode(made))
        except OSError as error:
            _forget(self._backups / made.id)
            what = f"{error.filename or self._site.state}: {error.strerror}"
            raise OperationError(f"{what}; nothing was changed") from None
        try:
            install(changes, self._site)
        except InstallError as error:
            self._settle()
            raise OperationError(str(error)) from None
        self._note(made, "done, but not noted, so undo does not know of it")
        return made

    def _note(self, made: Operation, otherwise: str) -> None:
        """Note an operation; what was begun is over then."""
        data = msgspec.json.encode(made)
        try:
            append_line(self._path, _torn_end(self._path) + data)
            with contextlib.suppress(OSError):  # the list has it, until that is rotated
                keep(self._backups / made.id / _RECORD, data)
                _forget_oldest(self._backups, made.id)
            self._begun.unlink(missing_ok=True)
        except OSError as error:
            raise OperationError(f"{otherwise}: {error.filename or self._path}: {error.strerror}") from None

    def _settle(self) -> None:
        """Note what was begun and neither done nor taken back; the caller holds the lock."""
        begun = self.begun()
        if begun is not None and begun.id not in {one.id for one in self.all()}:
            if self._has_done(begun):
                self._note(msgspec.structs.replace(begun, is_cut_short=True), "cannot note what was cut short")
                return
            if self._is_untouched(begun):  # one that fails again and again would push out what can be taken back
                _forget(self._backups / begun.id)
        with contextlib.suppress(FileNotFoundError):
            self._begun.unlink()

    def begun(self) -> Operation | None:
        """What was begun, and may be under way."""
        try:
            return msgspec.json.decode(self._begun.read_bytes(), type=Operation)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OperationError(f"{error.filename}: {error.strerror}") from None
        except msgspec.MsgspecError:  # it is written whole: of another version
            return None

    def cut_short(self) -> Operation | None:
        """What was begun, and is neither done nor under way: it was killed. For who only looks."""
        with contextlib.suppress(OperationError, OSError):
            begun = self.begun()
            if begun is None or (descriptor := try_lock(self._lock)) is None:
                return None
            try:
                return begun if self._has_done(begun) else None
            finally:
                os.close(descriptor)
        return None

    def _has_done(self, begun: Operation) -> bool:
        """Whether it changed anything that is still so; where that cannot be told, it may have."""
        try:
            return any(self._is_done(record) for record in begun.changes)
        except OperationError:
            return True

    def _is_untouched(self, begun: Operation) -> bool:
        """Whether all that it was to change is as it was."""
        try:
            return all(_is_same(record, self._now(record), self._before(record)) for record in begun.changes)
        except OperationError:
            return False

    def _is_done(self, record: Record) -> bool:
        found = self._now(record)
        if record.kind in TIMER_SCOPES:  # brought from one state to another in several steps
            return found != self._before(record)
        return _is_after(record, found)

    @staticmethod
    def _before(record: Record) -> bytes | None:
        try:
            return Path(record.before).read_bytes() if record.before else None
        except FileNotFoundError:
            raise OperationError(
                f"what {record.path} was is not kept any more (the last {KEPT} changes are): it is not taken back"
            ) from None
        except OSError as error:
            raise OperationError(f"{error.filename}: {error.strerror}") from None

    def _keep(self, id: str, number: int, change: Change) -> Record:
        digest = None if change.after is None else hashlib.sha256(change.after).hexdigest()
        if change.before is None:
            return Record(kind=change.kind, path=change.path, after_sha256=digest, mode=change.mode)
        kept = self._backups / id / f"{number}.before"
        keep(kept, change.before)
        return Record(kind=change.kind, path=change.path, before=str(kept), after_sha256=digest, mode=change.mode)

    def all(self) -> list[Operation]:
        """What was done, oldest first; as much as the last megabyte of the file tells, and the old contents."""
        listed = self._listed()
        known = {one.id for one in listed}
        return [*(one for one in self._recorded() if one.id not in known), *listed]

    def _recorded(self) -> list[Operation]:
        """The operations whose old contents are kept, oldest first."""
        found = []
        for path in self._backups.glob(f"*/{_RECORD}"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):  # just forgotten, or torn: the list has it
                found.append(msgspec.json.decode(path.read_bytes(), type=Operation))
        return sorted(found, key=lambda one: (one.time, one.id))

    def _listed(self) -> list[Operation]:
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OperationError(f"{self._path}: {error.strerror}") from None
        found = []
        for line in data.splitlines():
            with contextlib.suppress(msgspec.MsgspecError):  # torn, or cut at the front
                found.append(msgspec.json.decode(line, type=Operation))
        return found

    def last(self) -> Operation | None:
        """The last one that was not taken back."""
        done = self.all()
        undone = {one.undoes for one in done if one.undoes and not one.is_cut_short}
        return next((one for one in reversed(done) if one.changes and not one.undoes and one.id not in undone), None)

    def undo(self, operation: Operation) -> list[Change]:
        """The changes that take an operation back; raises OperationError where something was changed since.

        What is as it was before is left: somebody, or an undo that was cut short, took that back already.
        """
        changes = []
        for record in operation.changes:
            found, before = self._now(record), self._before(record)
            if not _is_after(record, found):
                if _is_same(record, found, before):
                    continue
                kept = f"; what it was is in {record.before}" if record.before else ""
                raise OperationError(f"{record.path} was changed since then: it is not taken back{kept}")
            changes.append(Change(kind=record.kind, path=record.path, before=found, after=before, mode=record.mode))
        return changes

    def _now(self, record: Record) -> bytes | None:
        try:
            return now(record.kind, record.path, self._site)
        except (OSError, CrontabError, SystemdError) as error:
            raise OperationError(str(error)) from None


def _torn_end(path: Path) -> bytes:
    """What ends a last line that has no end (the power went): else the next one would be lost with it."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return b"" if file.read(1) == b"\n" else b"\n"
    except OSError:  # none yet, or empty
        return b""


def _is_after(record: Record, found: bytes | None) -> bool:
    """Whether a place has what an operation put there."""
    if record.kind is Kind.CRONTAB and not found and record.after_sha256 is None:
        return True
    return record.after_sha256 == (None if found is None else hashlib.sha256(found).hexdigest())


def _is_same(record: Record, found: bytes | None, before: bytes | None) -> bool:
    return (found or b"") == (before or b"") if record.kind is Kind.CRONTAB else found == before


def _forget_oldest(folder: Path, newest: str) -> None:
    """The newest fifty operations can be taken back: that one too, whatever the clock said to the others."""
    kept = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != newest)
    for old in kept[: max(0, len(kept) + 1 - KEPT)]:
        _forget(old)


def _forget(kept: Path) -> None:
    import shutil

    shutil.rmtree(kept, ignore_errors=True)
