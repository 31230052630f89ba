"""One run at a time: a flock, which the kernel lets go when its holder dies, and the stamp of the last run in it."""

# Descriptors
# ruff: noqa: PTH118

from __future__ import annotations

import fcntl
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

import msgspec

from mltop.tasks.archive import name
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import Clock
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import LockedError, TaskError, os_reason

_JUMP = timedelta(days=7)
_DRIFT = timedelta(hours=1)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Stamp(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    last: Clock | None = None


def clock() -> Clock:
    """Return this moment: wall time, and seconds since boot with sleep."""
    try:
        boot_id = _BOOT_ID.read_text("ascii").strip()
    except OSError:
        boot_id = ""
    return Clock(wall=datetime.now(UTC), boot_id=boot_id, since_boot_s=time.clock_gettime(time.CLOCK_BOOTTIME))


def clock_fault(now: Clock, last: Clock | None) -> str | None:
    """Return why the clock is not to be trusted, or `None`. `last` is the clock of the last run that was trusted.

    Within one boot the monotonic clock tells a jump from time that passed; over a restart a gap of more than a week
    is taken for one.
    """
    if last is None:
        return None
    if now.wall < last.wall - _DRIFT:
        return f"the clock went back: the last run is dated {last.wall:%Y-%m-%d %H:%M}Z"
    passed = now.wall - last.wall
    if now.boot_id and now.boot_id == last.boot_id:
        off = abs(passed - timedelta(seconds=now.since_boot_s - last.since_boot_s))
        return f"the clock jumped by {off.days} days since the last run" if off > _JUMP else None
    if passed > _JUMP:
        return f"{passed.days} days since the last run and a restart between: the clock may have jumped"
    return None


def last_stamp(path: str) -> Clock | None:
    """Return the stamp in a lock that is not taken, without making one."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=_Stamp).last
    except (OSError, msgspec.MsgspecError):
        return None


def path_of(job: BackupJob, target: Target) -> str:
    """Return where the lock of a job is: in its target, unless it says otherwise."""
    return job.lock_path or os.path.join(target.path, name.lock_name(job.job))


class Lock:
    """The lock of one job, held from `with` to its end. The file stays: to remove it would let two in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Lock:
        """Take it at once or raise `LockedError`."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = self._read()
                os.close(self._fd)
                raise
        except BlockingIOError as error:
            by = f" (pid {holder.pid})" if holder else ""
            raise LockedError(f"another run of this job is at work{by}") from error
        except OSError as error:
            raise TaskError(f"the lock {self._path} cannot be taken: {os_reason(error)}") from error
        stamp = self._read()
        self.last = stamp.last if stamp else None
        self._write(_Stamp(pid=os.getpid(), last=self.last))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        os.close(self._fd)

    def stamp(self, now: Clock) -> None:
        """Note that a run ended well now; the next one compares its clock with it."""
        self.last = now
        self._write(_Stamp(pid=os.getpid(), last=now))

    def _read(self) -> _Stamp | None:
        try:
            return msgspec.json.decode(os.pread(self._fd, 4096, 0), type=_Stamp)
        except (OSError, msgspec.MsgspecError):
            return None  # new, or torn by a crash: no stamp

    def _write(self, stamp: _Stamp) -> None:
        data = msgspec.json.encode(stamp) + b"\n"
        try:
            os.pwrite(self._fd, data, 0)
            os.ftruncate(self._fd, len(data))
        except OSError:
            return  # a full disk: the run itself will say so; the lock holds without its stamp
