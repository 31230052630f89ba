"""Rotate logs by the rules; every log has its result and none stops the others."""

# Patterns and descriptors
# ruff: noqa: PTH100, PTH111, PTH118, PTH119, PTH207

from __future__ import annotations

import glob
import os
import stat
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mltop.system.descriptor import write_all
from mltop.tasks.inuse import InUse, in_use
from mltop.tasks.outcome import Control, Exit, TaskError, display, os_reason
from mltop.tasks.rotate import system
from mltop.tasks.rotate.pack import PARTIAL, open_log, pack
from mltop.tasks.rotate.rule import Old, Rotated, RotateReport, RotateRule, parse_rotated, rotated_name

_BLOCK = 1 << 20
_SLACK = 0.95
"""A daily job is not always a whole day after the last one."""
_CLOCK_SLACK = timedelta(hours=1)


def rotate(
    rules: Iterable[RotateRule],
    dry_run: bool = False,
    force: bool = False,
    control: Control | None = None,
    now: datetime | None = None,
) -> RotateReport:
    """Rotate what is due (`force`: all that is not empty). Nothing is raised for what is on the disk."""
    control = control or Control()
    began = time.monotonic()
    moment = now or datetime.now(UTC)
    logs: list[Rotated] = []
    message, code = None, Exit.OK
    try:
        control.begin("rotate")
        known = system.patterns()
        for rule in rules:
            done = [
                _Log(path, rule, moment, dry_run, force, control).go(system.owner(path, known))
                for path in _expand(rule)
            ]
            logs += done
            # also where what came after the renaming failed: the writer has to let go of the old file
            if rule.after and not dry_run and any(each.to is not None for each in done):
                _run_after(rule)
    except TaskError as error:
        message, code = str(error), error.code
    if code is Exit.OK and any(each.action == "failed" for each in logs):
        code = Exit.FAILED
    if code is Exit.OK and any(each.action == "refused" for each in logs):
        code = Exit.REFUSED
    return RotateReport(
        exit_code=code,
        dry_run=dry_run,
        logs=tuple(logs),
        rotated=sum(each.action == "rotated" for each in logs),
        freed_bytes=sum(each.freed_bytes for each in logs),
        duration_s=time.monotonic() - began,
        message=message,
    )


def _expand(rule: RotateRule) -> list[str]:
    """Return the logs that the patterns name, each once, without what is rotated already; none is fine."""
    found: dict[str, None] = {}
    for pattern in rule.paths:
        asked = os.path.expanduser(pattern)
        # a name may have brackets of its own
        for path in sorted({*glob.glob(asked), *([asked] if os.path.lexists(asked) else [])}):
            if parse_rotated(os.path.basename(path)) is None:
                found[os.path.abspath(path)] = None
    return list(found)


def _run_after(rule: RotateRule) -> None:
    try:
        done = subprocess.run(
            rule.after, stdin=subprocess.DEVNULL, capture_output=True, timeout=rule.after_timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TaskError(f"the command after the rotation failed: {error}") from error
    if done.returncode:
        raise TaskError(f"the command after the rotation ended with {done.returncode}: {display(rule.after[0])}")


class _Log:
    def __init__(
        self, path: str, rule: RotateRule, now: datetime, dry_run: bool, force: bool, control: Control
    ) -> None:
        self.path, self.rule, self.now = path, rule, now
        self.dry_run, self.force, self.control = dry_run, force, control
        self.folder, self.name = os.path.split(path)
        self.to: str | None = None
        self.bytes = self.freed = 0
        self.packed: list[str] = []
        self.removed: list[str] = []

    def go(self, owner: str | None) -> Rotated:
        if owner is not None:
            return self._result("refused", f"{owner} rotates it")
        try:
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return self._go(fd)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return self._result("left", "it is gone")
        except OSError as error:
            return self._result("failed", os_reason(error))
        except TaskError as error:
            if error.code in (Exit.TERMINATED, Exit.CANCELLED):
                raise
            return self._result("failed", str(error))

    def _go(self, fd: int) -> Rotated:
        self.control.file(self.path)
        log = open_log(fd, self.name)
        try:
            status = os.fstat(log)
            self.bytes = status.st_size
            if not self.dry_run:
                self._sweep(fd)
            old = self._old(fd)
            due = self._is_due(status, old)
            if due:
                self._rotate(fd, log, status, old)
        finally:
            os.close(log)
        self._pack_and_prune(fd, old)
        reason = "lines written while it was copied may be lost" if due and self.rule.mode == "copytruncate" else None
        return self._result("rotated" if due else "left", reason)

    def _old(self, fd: int) -> list[Old]:
        """Return the rotated files of this log, newest first.

        What is dated in the future was made before the clock was set right: it is older than what comes now.
        """
        found = [old for each in os.listdir(fd) if (old := parse_rotated(each)) and old.log == self.name]
        return sorted(found, key=lambda each: (self._is_past(each), each.at, each.number), reverse=True)

    def _is_past(self, old: Old) -> bool:
        return old.at <= self.now + _CLOCK_SLACK

    def _sweep(self, fd: int) -> None:
        """Remove what a killed rotation of this log had at work."""
        for each in os.listdir(fd):
            if each.startswith(".") and each.endswith(PARTIAL):
                old = parse_rotated(each[1 : -len(PARTIAL)])
                if old is not None and old.log == self.name:
                    os.unlink(each, dir_fd=fd)

    def _is_due(self, status: os.stat_result, old: list[Old]) -> bool:
        if status.st_size == 0:
            return False
        if self.force or (self.rule.size_bytes is not None and status.st_size >= self.rule.size_bytes):
            return True
        if self.rule.age_s is None:
            return False
        past = [each for each in old if self._is_past(each)]
        return not past or (self.now - past[0].at).total_seconds() >= self.rule.age_s * _SLACK

    def _rotate(self, fd: int, log: int, status: os.stat_result, old: list[Old]) -> None:
        taken = {each.name for each in old} | {each.name.removesuffix(".zst").removesuffix(".gz") for each in old}
        to = next(
            each for number in range(len(old) + 1) if (each := rotated_name(self.name, self.now, number)) not in taken
        )
        if self.dry_run:
            self.to = to
            return
        if self.rule.mode == "copytruncate":
            self._copy_and_truncate(fd, status, to)
            self.to = to
        else:
            os.rename(self.name, to, src_dir_fd=fd, dst_dir_fd=fd)
            self.to = to
            self._create(fd, self.name, status)
        os.fsync(fd)

    def _create(self, fd: int, name: str, like: os.stat_result) -> None:
        """Make an empty file with the log's owner and mode; a writer that was faster has made it already."""
        try:
            new = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
        except FileExistsError:
            return
        try:
            if os.geteuid() == 0:
                os.fchown(new, like.st_uid, like.st_gid)
            os.fchmod(new, stat.S_IMODE(like.st_mode) & 0o777)
        finally:
            os.close(new)

    def _copy_and_truncate(self, fd: int, status: os.stat_result, to: str) -> None:
        at_work = there = f".{to}{PARTIAL}"
        log = open_log(fd, self.name, os.O_RDWR)
        try:
            self._create(fd, at_work, status)
            copy = os.open(at_work, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                while block := os.read(log, _BLOCK):
                    self.control.check()
                    write_all(copy, block)
                os.fsync(copy)
                while block := os.read(log, _BLOCK):  # what came while the disk was busy: keep the gap short
                    write_all(copy, block)
                os.rename(at_work, to, src_dir_fd=fd, dst_dir_fd=fd)
                there = to
                os.ftruncate(log, 0)  # not of a log that may only be added to: then there would be a copy every time
            except BaseException:
                os.unlink(there, dir_fd=fd)
                raise
            finally:
                os.close(copy)
        finally:
            os.close(log)

    def _pack_and_prune(self, fd: int, old: list[Old]) -> None:
        """Compress what was rotated a turn ago and nobody holds any more, then remove what is too much."""
        keep = max(0, self.rule.keep - (1 if self.to else 0))
        for each in old[keep:]:
            self._remove(fd, each)
        try:
            self._pack(fd, old[:keep])
        finally:  # where there is no room to compress, it is needed most
            if self.rule.max_bytes is not None and not self.dry_run:
                self._cap(fd, self.rule.max_bytes)

    def _pack(self, fd: int, old: list[Old]) -> None:
        held: InUse | None = None
        for each in old:
            if each.is_packed or self.rule.compression == "none":
                continue
            held = held or in_use()
            status = os.stat(each.name, dir_fd=fd, follow_symlinks=False)
            if held.holds(status.st_ino, os.path.join(self.folder, each.name)):
                continue
            if self.dry_run:
                self.packed.append(each.name)
            elif done := pack(fd, each.name, self.rule.compression, self.rule.level, self.control):
                self.packed.append(done[0])
                self.freed += done[1]

    def _cap(self, fd: int, max_bytes: int) -> None:
        total = 0
        for each in self._old(fd):
            total += os.stat(each.name, dir_fd=fd, follow_symlinks=False).st_size
            if total > max_bytes and each.name != self.to:
                self._remove(fd, each)

    def _remove(self, fd: int, old: Old) -> None:
        size = os.stat(old.name, dir_fd=fd, follow_symlinks=False).st_size
        if not self.dry_run:
            os.unlink(old.name, dir_fd=fd)
        self.removed.append(old.name)
        self.freed += size

    def _result(self, action: str, reason: str | None = None) -> Rotated:
        return Rotated(
            path=display(self.path),
            action=action,
            to=self.to and display(self.to),
            bytes=self.bytes,
            compressed=tuple(display(each) for each in self.packed),
            removed=tuple(display(each) for each in self.removed),
            freed_bytes=self.freed,
            reason=reason,
        )
