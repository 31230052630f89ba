"""Every write that mltop makes to a scheduler or a config, one JSON line each, and the way back from the last (J12)."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mltop.jobs.crontab.own import CrontabError
from mltop.jobs.kept import KEPT, alone, keep
from mltop.jobs.plan.change import Change, Kind
from mltop.jobs.plan.install import InstallError, install
from mltop.jobs.plan.now import now
from mltop.jobs.site import Site
from mltop.jobs.systemd.manager import SystemdError
from mltop.system.file import append_line

PATIENCE_S = 20.0
_TAIL_BYTES = 1 << 20


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


class Operations:
    """The operations of one state folder."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = site.state / "operations.jsonl"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One operation at a time (D34); raises OperationError."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(alone(self._site.state / "locks" / "operations.lock", PATIENCE_S))
            except TimeoutError:
                raise OperationError("another mltop is changing schedules") from None
            except OSError as error:
                what = f"{error.filename or self._site.state}: {error.strerror}"
                remedy = ": not yours to write; sudo, or --state-dir DIR" if isinstance(error, PermissionError) else ""
                raise OperationError(what + remedy) from None
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
        except OSError as error:
            raise OperationError(f"{error.filename}: {error.strerror}; nothing was changed") from None
        try:
            install(changes, self._site)
        except InstallError as error:
            raise OperationError(str(error)) from None
        made = msgspec.structs.replace(made, changes=records)
        try:
            append_line(self._path, msgspec.json.encode(made))
        except OSError as error:
            raise OperationError(f"done, but not noted, so undo does not know of it: {error.strerror}") from None
        return made

    def _keep(self, id: str, number: int, change: Change) -> Record:
        digest = None if change.after is None else hashlib.sha256(change.after).hexdigest()
        if change.before is None:
            return Record(kind=change.kind, path=change.path, after_sha256=digest, mode=change.mode)
        backups = self._site.state / "backups"
        kept = backups / id / f"{number}.before"
        keep(kept, change.before)
        _forget_oldest(backups)
        return Record(kind=change.kind, path=change.path, before=str(kept), after_sha256=digest, mode=change.mode)

    def all(self) -> list[Operation]:
        """What was done, oldest first; as much as the last megabyte of the file tells."""
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
        undone = {one.undoes for one in done if one.undoes}
        return next((one for one in reversed(done) if one.changes and not one.undoes and one.id not in undone), None)

    def undo(self, operation: Operation) -> list[Change]:
        """The changes that take an operation back; raises OperationError where something was changed since."""
        changes = []
        for record in operation.changes:
            found = self._now(record)
            digest = None if found is None else hashlib.sha256(found).hexdigest()
            if record.kind is Kind.CRONTAB and found == b"" and record.after_sha256 is None:
                digest = None
            if digest != record.after_sha256:
                raise OperationError(f"{record.path} was changed since then: it is not taken back")
            try:
                before = Path(record.before).read_bytes() if record.before else None
            except OSError as error:
                raise OperationError(f"{error.filename}: {error.strerror}") from None
            changes.append(Change(kind=record.kind, path=record.path, before=found, after=before, mode=record.mode))
        return changes

    def _now(self, record: Record) -> bytes | None:
        try:
            return now(record.kind, record.path, self._site)
        except (OSError, CrontabError, SystemdError) as error:
            raise OperationError(str(error)) from None


def _forget_oldest(folder: Path) -> None:
    """The newest fifty operations can be taken back."""
    import shutil

    kept = sorted(path for path in folder.iterdir() if path.is_dir())
    for old in kept[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
