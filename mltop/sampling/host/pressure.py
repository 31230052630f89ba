"""Pressure stall information: how much time was lost waiting (Documentation/accounting/psi.rst)."""

from __future__ import annotations

from dataclasses import dataclass

from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes


@dataclass(frozen=True, slots=True)
class Pressure:
    """Percent of the last 10 s in which some, or all, tasks stood still; `None` where the kernel has no such line."""

    some_avg10: float | None = None
    full_avg10: float | None = None


def read_pressure(roots: Roots, resource: str) -> Pressure:
    """Read `/proc/pressure/RESOURCE` (`cpu`, `memory`, `io`); a kernel without PSI, or with it off, knows nothing."""
    try:
        return parse(read_bytes(roots.proc / "pressure" / resource))
    except OSError:
        return Pressure()


def parse(text: bytes) -> Pressure:
    """Read `some avg10=0.00 avg60=… total=…`; what makes no sense is not known."""
    found: dict[bytes, float] = {}
    for line in text.splitlines():
        kind, _, values = line.partition(b" ")
        for value in values.split():
            name, _, number = value.partition(b"=")
            if name == b"avg10":
                percent = _percent(number)
                if percent is not None:
                    found[kind] = percent
    return Pressure(some_avg10=found.get(b"some"), full_avg10=found.get(b"full"))


def _percent(number: bytes) -> float | None:
    try:
        percent = float(number)
    except ValueError:
        return None
    return percent if 0.0 <= percent <= 100.0 else None
