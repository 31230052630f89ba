"""Mounted file systems: space by statvfs where it can be abandoned, rates by `/proc/diskstats` (M11, M25)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

import msgspec

from mltop.model.snapshot import Disk, Status
from mltop.sampling.host.mount import Mount, parse, shown
from mltop.sampling.reader import Answer, Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, why_not
from mltop.system.text import clean

SPACE_CADENCE_S = 10.0
NO_ANSWER_AFTER_S = 2.0
"""A mount with numbers may take so long before it is said not to answer."""
NO_FIRST_ANSWER_AFTER_S = 0.15
"""One without any may not: `--once` looks again after 0.25 s, and has to tell it from one that was not asked (D8)."""
_STALE_AFTER = 3  # cadences (D5)
_MOST_STUCK = 64
_TASK = "mount"
_SECTOR_BYTES = 512  # of /proc/diskstats, whatever the device has
_READ_FIELD, _WRITE_FIELD = 5, 9
_LEAST_GAP_S = 0.05
_REFUSED = frozenset({errno.EACCES, errno.EPERM})
_GONE = frozenset({
    errno.ENOTCONN, errno.ECONNABORTED, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ESHUTDOWN, errno.EIO,
    errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED, errno.ECONNRESET,
})  # fmt: skip
"""What a file system says whose program, server or device is no more there, though it is mounted still."""

Space = tuple[int, int, int, int, int, int, bool]
"""f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, and whether the mount point is a file."""


class Rates(msgspec.Struct, frozen=True):
    """Bytes a second of a block device; `None` at first sight and when its counters were reset."""

    read_bytes_per_s: float | None = None
    write_bytes_per_s: float | None = None


class _Known(msgspec.Struct):
    """What is known of one mount."""

    mount: Mount
    device: str | None
    """`major:minor` of the block device, as diskstats has it."""
    space: Space | None = None
    at: float | None = None
    """When `space` was read."""
    fault: Answer | None = None
    """The last answer, where it was a failure."""
    is_missed: bool = False
    """Nothing was found at its path: once, the table is read again for that."""


def read_space(path: bytes) -> Space:
    """Ask the file system; for a reader's child. Raises OSError."""
    numbers = os.statvfs(path)
    is_file = not stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - bytes: the path may not be UTF-8
    return (
        numbers.f_frsize,
        numbers.f_blocks,
        numbers.f_bfree,
        numbers.f_bavail,
        numbers.f_files,
        numbers.f_ffree,
        is_file,
    )


class DiskReading:
    """Keeps the last numbers of each mount and the counters of each block device."""

    def __init__(
        self,
        roots: Roots,
        reader: Reader,
        ask: Callable[[bytes], Space] = read_space,
        stuck: Callable[[list[bytes]], Mapping[bytes, int]] = lambda _: {},
    ) -> None:
        """`stuck` says at which of some mounts a reader of an earlier run hangs, and its pid: those are not asked."""
        self._roots = roots
        self._stuck = stuck
        self._stuck_at: Mapping[bytes, int] = {}
        self._reader = reader
        reader.learn(_TASK, ask, most_stuck=_MOST_STUCK)
        self._known: dict[tuple[str, str], _Known] = {}
        self._by_path: dict[Hashable, _Known] = {}
        self._files: set[str] = set()
        self._asked_at: float | None = None
        self._counters: dict[str, tuple[int, int]] = {}
        self._counted_at: float | None = None
        self._rates: dict[str, Rates] = {}

    def read(self, now: float) -> tuple[Disk, ...]:
        """One record a file system, `/` first; never raises."""
        is_changed = self._take_answers()
        if self._asked_at is None or is_changed or now - self._asked_at >= SPACE_CADENCE_S:
            try:
                self._find_mounts()
            except (OSError, ValueError) as fault:
                status, reason = why_not(fault, "/proc/self/mountinfo")
                return (Disk(mount="/", status=status, reason=reason),)
            self._ask()
            self._asked_at = now
        self._measure_rates(now)
        return tuple(self._disk(known, now) for known in self._known.values() if not _is_empty(known))

    def is_waiting(self, now: float) -> bool:
        """Take what has been answered; whether a mount that can be asked has not answered since it is known."""
        if self._take_answers():
            self._asked_at = None
            self.read(now)
        return any(
            known.at is None and known.fault is None and path not in self._stuck_at
            for path, known in self._by_path.items()
        )

    def _find_mounts(self) -> None:
        mounts = parse(read_bytes(self._roots.proc / "self" / "mountinfo"))
        if not mounts:  # where it can be read, at least /proc is mounted
            raise ValueError("no mount in it")
        known = {}
        for mount in shown(mounts, self._files):
            key = (mount.path, mount.device)
            known[key] = self._known.get(key) or _Known(mount, _block_device(mount))
            known[key].mount = mount  # it may have been remounted read-only
        self._known = known
        self._by_path = {os.fsencode(path): one for (path, _), one in known.items()}
        self._stuck_at = self._stuck([os.fsencode(mount) for mount, _ in known])

    def _ask(self) -> None:
        """Local file systems first, and those that were in trouble last."""
        for known in sorted(self._known.values(), key=lambda known: (known.fault is not None, known.mount.is_network)):
            path = os.fsencode(known.mount.path)
            if path not in self._stuck_at:
                self._reader.ask(_TASK, path)

    def _take_answers(self) -> bool:
        """Whether the table has to be read again: a mount is a file, so that another may stand for it, or it went."""
        is_changed = False
        for path, answer in self._reader.take(_TASK).items():
            known = self._by_path.get(path)
            if known is None:
                continue
            known.fault = answer if answer.error is not None else None
            if answer.errno == errno.ENOENT and not known.is_missed:
                known.is_missed = is_changed = True
            if answer.error is None:
                known.space, known.at = tuple(answer.value), answer.at
                if answer.value[-1] and known.mount.path != "/":
                    self._files.add(known.mount.path)
                    is_changed = True
        return is_changed

    def _measure_rates(self, now: float) -> None:
        elapsed = None if self._counted_at is None else now - self._counted_at
        if elapsed is not None and elapsed < _LEAST_GAP_S:
            return
        try:
            counters = parse_diskstats(read_bytes(self._roots.proc / "diskstats"))
        except OSError:
            counters = {}
        self._rates = {} if elapsed is None else rates_between(self._counters, counters, elapsed)
        self._counters, self._counted_at = counters, now

    def _disk(self, known: _Known, now: float) -> Disk:
        mount = known.mount
        rates = self._rates.get(known.device or "", Rates())
        status, reason = self._state(known, now)
        return msgspec.structs.replace(
            Disk() if known.space is None else measured(known.space),
            status=status,
            reason=reason,
            age_s=None if known.at is None else max(0.0, now - known.at),
            mount=clean(os.fsencode(mount.path)),
            device=clean(os.fsencode(mount.source)),
            fstype=clean(mount.fstype, 64),
            read_bytes_per_s=rates.read_bytes_per_s,
            write_bytes_per_s=rates.write_bytes_per_s,
            is_readonly=mount.is_readonly,
            is_network=mount.is_network,
        )

    def _state(self, known: _Known, now: float) -> tuple[Status, str | None]:
        if (pid := self._stuck_at.get(os.fsencode(known.mount.path))) is not None:
            return Status.TIMEOUT, f"no answer since an earlier run (pid {pid} is stuck at it)"
        stuck_s = self._stuck_s(os.fsencode(known.mount.path), now)
        if stuck_s is not None and stuck_s >= (NO_FIRST_ANSWER_AFTER_S if known.at is None else NO_ANSWER_AFTER_S):
            return Status.TIMEOUT, f"no answer for {round(stuck_s)} s" if stuck_s >= 0.5 else "no answer yet"
        if known.fault is not None:
            return _fault(known.fault)
        if known.at is None:
            return Status.STALE, "not read yet"
        if now - known.at > _STALE_AFTER * SPACE_CADENCE_S:
            return Status.STALE, f"not read for {round(now - known.at)} s"
        return Status.OK, None

    def _stuck_s(self, path: Hashable, now: float) -> float | None:
        return self._reader.stuck_s(_TASK, path, now)


def _fault(fault: Answer) -> tuple[Status, str]:
    """What became of a mount that answered with a failure."""
    words = clean(fault.error or "no answer")
    if fault.errno in _REFUSED:
        return Status.NO_PERMISSION, words if os.geteuid() == 0 else f"{words}: run as root"
    return Status.LOST if fault.errno in _GONE else Status.ERROR, words


def _is_empty(known: _Known) -> bool:
    """Whether it is no place for data: a pseudo file system that has no blocks, or a bind-mounted file."""
    if known.space is None or known.mount.path == "/" or known.mount.is_network:
        return False
    return known.space[1] == 0 or known.space[-1]


def _block_device(mount: Mount) -> str | None:
    """The device that diskstats counts; file systems over several devices (btrfs) have a number of their own."""
    if not mount.device.startswith("0:"):
        return mount.device
    if not mount.source.startswith("/dev/"):
        return None
    try:
        number = Path(mount.source).stat().st_rdev
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}"


def measured(space: Space) -> Disk:
    """The snapshot's numbers of a statvfs, by df's arithmetic; no blocks at all is not known rather than 0 %."""
    frsize, blocks, free, available, files, files_free, _ = space
    used = max(0, blocks - free)
    available = max(0, available)
    return Disk(
        total_bytes=blocks * frsize if blocks else None,
        used_bytes=used * frsize if blocks else None,
        available_bytes=available * frsize if blocks else None,
        used_percent=100.0 * used / (used + available) if used + available else None,
        inodes_used_percent=100.0 * (files - min(files_free, files)) / files if files > 0 else None,
    )


def parse_diskstats(text: bytes) -> dict[str, tuple[int, int]]:
    """Read diskstats: `major:minor` to bytes read and written. A line that makes no sense is left out."""
    counters = {}
    for line in text.splitlines():
        fields = line.split()
        try:
            device = f"{int(fields[0])}:{int(fields[1])}"
            counters[device] = int(fields[_READ_FIELD]) * _SECTOR_BYTES, int(fields[_WRITE_FIELD]) * _SECTOR_BYTES
        except (ValueError, IndexError):
            continue
    return counters


def rates_between(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], elapsed_s: float
) -> dict[str, Rates]:
    """Bytes a second of each device that is in both readings."""
    rates = {}
    for device, (read, written) in after.items():
        if device in before:
            read_delta, write_delta = read - before[device][0], written - before[device][1]
            if read_delta >= 0 and write_delta >= 0:
                rates[device] = Rates(read_delta / elapsed_s, write_delta / elapsed_s)
    return rates
