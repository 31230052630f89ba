"""The caller's crontab, changed without losing a byte of it: locked, re-read, kept, installed from a file, read back.

Nothing but crontab(1) touches the spool, `crontab -r` is never called, and nothing is piped into `crontab -`. Another
program that writes within the last milliseconds cannot be kept out: crontab(1) has no compare-and-swap.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import msgspec

from mltop.jobs.crontab.second_opinion import misread
from mltop.jobs.crontab.text import ended, lines
from mltop.jobs.kept import KEPT, alone, keep
from mltop.jobs.program import Answer, ProgramError, ask

PATIENCE_S = 15.0
_NONE = re.compile(rb"no crontab for |can't open '[^']*': No such file or directory")
"""Debian's and cronie's words for a user without a crontab, and busybox's."""


class CrontabError(Exception):
    """The crontab cannot be read or written; nothing was changed, unless the text says so."""


class ChangedError(CrontabError):
    """It is not what the caller looked at any more."""


class Written(msgspec.Struct, frozen=True):
    """What was changed."""

    before: bytes
    after: bytes
    backup: Path | None
    """Where `before` is kept; `None` where there was nothing to change."""


class Crontab:
    """The crontab of the user that this process runs as; locks and backups are below `state`."""

    def __init__(self, state: Path, environment: Mapping[str, str] | None = None) -> None:
        self._state = state
        self._environment = environment
        self._name = f"crontab-{os.geteuid()}"

    def read(self) -> bytes:
        """What is in it, byte for byte; nothing where there is none. Raises CrontabError for any doubt.

        Empty is what crontab(1) says is empty: a failure, or a word on standard error, never is.
        """
        answer = self._ask("-l")
        if answer.code == 0 and not answer.err.strip():
            return answer.out
        if answer.code == 1 and _NONE.search(answer.err) and not answer.out:
            return b""
        raise CrontabError(f"crontab -l: {answer.complaint()}")

    def write(self, change: Callable[[bytes], bytes], seen: bytes | None = None) -> Written:
        """Change it; raises CrontabError, and whatever `change` raises.

        `seen` is what the caller decided upon: something else in its place is a ChangedError.
        """
        with self._locked():
            before = self.read()
            if seen is not None and before != seen:
                raise ChangedError("the crontab was changed since you looked: look again")
            after = ended(change(before))
            if after == before:
                return Written(before, after, None)
            _check_new_lines(before, after)
            backup = self._keep(before)
            if self.read() != before:
                raise ChangedError("the crontab is being changed by something else: try again")
            self._install(after, before, backup)
            return Written(before, after, backup)

    def _ask(self, *arguments: str, folder: Path | None = None) -> Answer:
        try:
            return ask(("crontab", *arguments), environment=self._environment, folder=folder)
        except ProgramError as error:
            raise CrontabError(str(error)) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(alone(self._state / "locks" / f"{self._name}.lock", PATIENCE_S))
            except TimeoutError:
                raise CrontabError("another mltop is changing the crontab") from None
            except OSError as error:
                raise CrontabError(f"{error.filename or self._state}: {error.strerror}") from None
            yield

    def _keep(self, data: bytes) -> Path:
        """Keep the old bytes, for their owner alone; the newest fifty stay."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        try:
            path = self._state / "backups" / f"{self._name}-{stamp}.bak"
            keep(path, data)
            for old in sorted(path.parent.glob(f"{self._name}-*.bak"))[:-KEPT]:
                old.unlink(missing_ok=True)
            for torn in path.parent.glob(f"{self._name}.new-*"):  # of one that was killed
                torn.unlink(missing_ok=True)
        except OSError as error:
            raise CrontabError(f"the old crontab cannot be kept: {error.filename or path}: {error.strerror}") from None
        return path

    def _install(self, data: bytes, before: bytes, backup: Path) -> None:
        """Install and read back; where that is not what was meant, put the old one back."""
        try:
            answer = self._from_file(data)
        except CrontabError as error:
            self._check_unharmed(before, backup, str(error))
            raise
        if answer.code != 0:
            self._check_unharmed(before, backup, answer.complaint())
            raise CrontabError(f"crontab did not take it: {_all_of(answer)}; nothing was changed")
        try:
            found = self.read()
        except CrontabError as error:
            self._restore(before, backup, str(error))
        if found != data:
            kept = self._keep(found)  # it may be somebody's who wrote right after us
            self._restore(before, backup, f"what is in the crontab is not what was written, but what {kept} has")

    def _check_unharmed(self, before: bytes, backup: Path, why: str) -> None:
        try:
            is_same = self.read() == before
        except CrontabError:
            is_same = False
        if not is_same:
            self._restore(before, backup, why)

    def _restore(self, before: bytes, backup: Path, why: str) -> NoReturn:
        if self._is_back(before):
            raise CrontabError(f"{why}: the crontab was put back as it was")
        raise CrontabError(f"{why}, and the crontab could not be put back: the old one is in {backup} (crontab FILE)")

    def _is_back(self, before: bytes) -> bool:
        """Put the old one back; what is read then counts, not how the program ends."""
        with contextlib.suppress(CrontabError):
            self._from_file(before)
        try:
            return self.read() == before
        except CrontabError:
            return False

    def _from_file(self, data: bytes) -> Answer:
        try:
            descriptor, name = tempfile.mkstemp(prefix=f"{self._name}.new-", dir=self._state / "backups")
        except OSError as error:
            raise CrontabError(f"{error.filename or self._state}: {error.strerror}") from None
        os.close(descriptor)
        try:
            with Path(name).open("wb") as file:
                file.write(data)
            # by its short name: Debian's crontab cuts a path after 99 bytes (MAX_FNAME of its cron.h)
            return self._ask(Path(name).name, folder=Path(name).parent)
        except OSError as error:
            raise CrontabError(f"{name}: {error.strerror}") from None
        finally:
            Path(name).unlink(missing_ok=True)


def _check_new_lines(before: bytes, after: bytes) -> None:
    known = set(lines(before))
    if wrong := misread(line for line in lines(after) if line not in known):
        from mltop.system.text import clean

        raise CrontabError(f"this line would not be read as it is meant: {clean(wrong[0], 200)}; nothing was changed")


def _all_of(answer: Answer) -> str:
    """What is wrong with it, without the line numbers: Debian's are off by one."""
    from mltop.system.text import clean

    numbers = re.compile(rb'^"[^"]*":\d+: ')
    found = [clean(numbers.sub(b"", line), 160) for line in answer.err.splitlines()]
    return "; ".join(line for line in found[:2] if line.strip()) or answer.complaint()
