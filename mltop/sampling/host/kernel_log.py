"""The kernel log since boot: Xids as the GPU probe follows them, and what else tells of trouble, for a verdict.

Read from /dev/kmsg without waiting; where that is refused, journalctl tells the same to the members of its groups.
"""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterator

import msgspec

from mltop.model.host_facts import KernelEvents
from mltop.model.snapshot import Status
from mltop.sampling.gpu.pci import bus_id
from mltop.sampling.host.kernel_record import Record, events, may_tell
from mltop.sampling.root import Roots
from mltop.sampling.xid import Xid

RECENT_S = 86400.0
"""What is older than a day is history."""
MOST_EVENTS = 500
"""Of a log that is full of trouble, the last so many are told."""
# "<priority>,<sequence>,<microseconds since boot>,<flags>;NVRM: Xid (PCI:0000:1b:00): 79, pid=..., ..."
_XID = rb"^\d+,\d+,(\d+),[^;]*;NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)"
_RECORD = rb"(?s)(\d{1,8}),\d+,(\d{1,18}),[^;]*;(.*)"
_RECORD_BYTES = 8192
"""More than one record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg); a shorter buffer is refused with EINVAL."""
_KMSG = "/dev/kmsg"
_BURST = 20_000
"""Reads at a time: more than the kernel's ring holds, and an end where the log grows while it is read."""
_REMEDY = "run as root, join the group adm or systemd-journal, or set the sysctl kernel.dmesg_restrict=0"
_ROOTS_REMEDY = "give root the capability CAP_SYSLOG here, or add it to the group systemd-journal"


class KernelLog:
    """Reads /dev/kmsg without waiting; a log that is refused or not there is simply empty, and says why.

    `MLTOP_KMSG` names another file with records of the same form.
    """

    def __init__(self, path: str | None = None) -> None:
        self._pending = b""
        self._last: bytes | None = None
        self._fd: int | None = None
        self.fault: OSError | None = None
        """Why it cannot be read."""
        self.is_empty = True
        """Nothing came of it yet."""
        try:
            self._fd = os.open(path or _path(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as fault:
            self.fault = fault

    def new_xids(self) -> Iterator[Xid]:
        """Yield what came since the last call; at first everything since boot that the kernel still has."""
        for line in self._lines():
            match = re.match(_XID, line) if b";NVRM: Xid" in line else None
            card = bus_id(match[2].decode()) if match else None
            if match and card:
                yield Xid(pci_bus_id=card, code=int(match[3]), at=int(match[1]) / 1e6)

    def new_records(self) -> Iterator[Record]:
        """The same of all records that may tell of trouble, which of the thousands of a healthy box few do.

        Lines that make no sense, and those that only add to a record, are left out.
        """
        for line in self._lines():
            level = line.partition(b",")[0]
            if not level.isdigit() or len(level) > 8:
                continue
            self._last = line
            if may_tell(int(level) & 7, line) and (record := _record(line)) is not None:
                yield record

    def last_s(self) -> float | None:
        """When the last record was written, in seconds since the boot; `None` where none was read."""
        last = None if self._last is None else _record(self._last)
        return None if last is None else last.at_s

    def close(self) -> None:
        """Close it; reading on finds nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lines(self) -> Iterator[bytes]:
        for _ in range(_BURST):
            chunk = self._read()
            if chunk is None:
                continue
            if not chunk:
                return
            self.is_empty = False
            *lines, self._pending = (self._pending + chunk).split(b"\n")
            yield from lines

    def _read(self) -> bytes | None:
        """The next bytes; empty at the end, `None` where records were overwritten before they could be read."""
        if self._fd is None:
            return b""
        try:
            return os.read(self._fd, _RECORD_BYTES)
        except BrokenPipeError:
            return None
        except BlockingIOError:
            return b""
        except OSError as fault:
            self.fault = fault
            self.close()
            return b""


def read_kernel_log(_: Roots, deadline_s: float = 2.0) -> KernelEvents:
    """What it tells of the last day of this boot, for a reader's child."""
    log = KernelLog()
    now = time.monotonic()
    found = _collected(log.new_records(), now)
    log.close()
    if log.fault is None:
        last_s = log.last_s()
        return _without_records(log) if last_s is None else msgspec.structs.replace(found, last_s=last_s)
    if isinstance(log.fault, PermissionError):
        from mltop.sampling.host.journal import kernel_records

        records = kernel_records(deadline_s)
        if records is not None:
            return _collected(iter(records), now)
    return _refused(log.fault)


def _collected(records: Iterator[Record], now: float) -> KernelEvents:
    last: list[float] = []

    def watched() -> Iterator[Record]:
        for record in records:
            last[:] = [record.at_s]
            if now - record.at_s <= RECENT_S:
                yield record

    found = deque(events(watched(), now), maxlen=MOST_EVENTS)
    return KernelEvents(age_s=0.0, events=tuple(found), last_s=last[0] if last else None)


def _record(line: bytes) -> Record | None:
    match = re.fullmatch(_RECORD, line)
    return None if match is None else Record(int(match[1]) & 7, int(match[2]) / 1e6, match[3])


def _without_records(log: KernelLog) -> KernelEvents:
    """Not one record, where a kernel's own log always has some."""
    if not log.is_empty:
        return KernelEvents(status=Status.ERROR, reason="cannot make sense of the kernel log")
    if not os.environ.get("MLTOP_KMSG"):  # LXC has the console there
        return KernelEvents(status=Status.ABSENT, reason=f"{_KMSG} is not the kernel's log here, its host has that")
    return KernelEvents(age_s=0.0)


def _refused(fault: OSError) -> KernelEvents:
    if isinstance(fault, PermissionError):
        reason = f"no permission to read the kernel log: {_REMEDY if os.geteuid() else _ROOTS_REMEDY}"
        return KernelEvents(status=Status.NO_PERMISSION, reason=reason)
    if isinstance(fault, FileNotFoundError):
        return KernelEvents(status=Status.ABSENT, reason="no kernel log here (/dev/kmsg)")
    return KernelEvents(status=Status.ERROR, reason=f"no kernel log: {fault.strerror or fault}")


def _path() -> str:
    return os.environ.get("MLTOP_KMSG") or _KMSG
