"""Xids from the kernel log: what the NVIDIA driver reported of a GPU since boot."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import msgspec

from mltop.sampling.gpu.pci import bus_id

# "<priority>,<sequence>,<microseconds since boot>,<flags>;NVRM: Xid (PCI:0000:1b:00): 79, pid=..., ..."
_XID = re.compile(rb"^\d+,\d+,(\d+),[^;]*;NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)")
_RECORD_BYTES = 8192
"""More than one record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg); a shorter buffer is refused with EINVAL."""
_BURST = 20_000
"""Reads at a time: more than the kernel's ring holds, and an end where the log grows while it is read."""


class Xid(msgspec.Struct, frozen=True):
    """One report of the driver."""

    pci_bus_id: str
    code: int
    at: float
    """Seconds of the kernel log's clock, which is that of `time.monotonic()` but for drift."""


class KernelLog:
    """Reads /dev/kmsg without waiting; a log that is refused or not there is simply empty.

    `MLTOP_KMSG` names another file with records of the same form.
    """

    def __init__(self, path: str | None = None) -> None:
        self._pending = b""
        self._fd: int | None = None
        with contextlib.suppress(OSError):
            self._fd = os.open(path or os.environ.get("MLTOP_KMSG") or "/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)

    def new_xids(self) -> Iterator[Xid]:
        """Yield what came since the last call; at first everything since boot that the kernel still has."""
        for line in self._lines():
            match = _XID.match(line)
            card = bus_id(match[2].decode()) if match else None
            if match and card:
                yield Xid(pci_bus_id=card, code=int(match[3]), at=int(match[1]) / 1e6)

    def _lines(self) -> Iterator[bytes]:
        for _ in range(_BURST):
            chunk = self._read()
            if chunk is None:
                continue
            if not chunk:
                return
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
        except OSError:
            os.close(self._fd)
            self._fd = None
            return b""
