"""Pressure stall information: how much time was lost waiting (Documentation/accounting/psi.rst)."""

from __future__ import annotations

import errno
from typing import Any

from mltop.model.host_facts import Stall
from mltop.model.snapshot import Status
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes

_WINDOWS = {b"avg10", b"avg60", b"avg300"}


def read_pressure(roots: Roots, resource: str) -> Stall:
    """Read `/proc/pressure/RESOURCE` (`cpu`, `memory`, `io`); a kernel without PSI, or with it off, knows nothing."""
    try:
        return parse(read_bytes(roots.proc / "pressure" / resource))
    except OSError:
        return Stall()


def read_stall(roots: Roots, resource: str) -> Stall:
    """The same for a verdict, which has to know why there is nothing. Raises OSError and ValueError."""
    try:
        found = parse(read_bytes(roots.proc / "pressure" / resource))
    except OSError as fault:
        if fault.errno in (errno.EOPNOTSUPP, errno.ENOENT):  # psi=0 on the command line; a kernel without it
            return Stall(status=Status.UNSUPPORTED, reason="no pressure in this kernel")
        raise
    if found.some_avg60 is None:
        raise ValueError("no averages")
    return found


def parse(text: bytes) -> Stall:
    """Read `some avg10=0.00 avg60=… total=…`; what makes no sense is not known."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        kind, _, values = line.partition(b" ")
        if kind not in (b"some", b"full"):
            continue
        for value in values.split():
            name, _, number = value.partition(b"=")
            percent = _percent(number) if name in _WINDOWS else None
            if percent is not None:
                found[f"{kind.decode()}_{name.decode()}"] = percent
    return Stall(**found)


def _percent(number: bytes) -> float | None:
    try:
        percent = float(number)
    except ValueError:
        return None
    return percent if 0.0 <= percent <= 100.0 else None
