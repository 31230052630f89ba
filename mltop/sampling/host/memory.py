"""Memory of the host, from `/proc/meminfo`, the ZFS cache and the control group (M24)."""

from __future__ import annotations

from mltop.model.snapshot import Memory
from mltop.sampling.host.cgroup import memory_limit
from mltop.sampling.host.pressure import read_pressure
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, why_not

LIMIT_CADENCE_S = 10.0
_HUGE_PAGES = {"HugePages_Total", "Hugepagesize"}


class MemoryReading:
    """Reads memory; looks for the group's limit every 10 s."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._limit: int | None = None
        self._limit_at: float | None = None
        self._has_arc = True

    def read(self, now: float) -> Memory:
        """Memory now; never raises."""
        try:
            meminfo = parse(read_bytes(self._roots.proc / "meminfo"))
            total = meminfo["MemTotal"]
        except (OSError, ValueError, LookupError) as fault:
            status, reason = why_not(fault, "/proc/meminfo")
            return Memory(status=status, reason=reason)
        if self._limit_at is None or now - self._limit_at >= LIMIT_CADENCE_S:
            self._limit, self._limit_at = memory_limit(self._roots), now
        pressure = read_pressure(self._roots, "memory")
        arc, arc_minimum = self._arc()
        return measured(
            meminfo,
            arc_bytes=arc,
            arc_minimum_bytes=arc_minimum,
            limit_bytes=self._limit if self._limit is not None and self._limit < total else None,
            psi_some_avg10=pressure.some_avg10,
            psi_full_avg10=pressure.full_avg10,
        )

    def _arc(self) -> tuple[int | None, int]:
        """Size and minimum of the ZFS cache in bytes (`size`, `c_min` of arcstats)."""
        if not self._has_arc:
            return None, 0
        try:
            stats = _parse_kstat(read_bytes(self._roots.proc / "spl" / "kstat" / "zfs" / "arcstats"))
            return stats["size"], stats["c_min"]
        except FileNotFoundError:
            self._has_arc = False
            return None, 0
        except (OSError, ValueError, LookupError):
            return None, 0


def parse(text: bytes) -> dict[str, int]:
    """Read meminfo: name to bytes. A line that makes no sense is left out."""
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(b":")
        fields = rest.split()
        if fields and fields[0].isdigit():
            values[name.decode("ascii", "replace")] = int(fields[0]) * (1024 if fields[1:] == [b"kB"] else 1)
    return values


def _parse_kstat(text: bytes) -> dict[str, int]:
    """Read a kstat table: name, type, number."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].decode("ascii", "replace"): int(row[2]) for row in rows if len(row) == 3 and row[2].isdigit()}


def measured(
    meminfo: dict[str, int],
    *,
    arc_bytes: int | None = None,
    arc_minimum_bytes: int = 0,
    limit_bytes: int | None = None,
    psi_some_avg10: float | None = None,
    psi_full_avg10: float | None = None,
) -> Memory:
    """The snapshot's numbers. Shared memory sits in the cache's count but cannot be reclaimed, so it counts as used.

    Raises LookupError without MemTotal.
    """
    total = meminfo["MemTotal"]
    free = min(meminfo.get("MemFree", 0), total) if "MemFree" in meminfo else None
    reclaimable = (
        meminfo.get("Buffers", 0) + meminfo.get("Cached", 0) + meminfo.get("SReclaimable", 0) - meminfo.get("Shmem", 0)
    )
    cached = max(0, min(reclaimable, total))
    arc_spare = max(0, (arc_bytes or 0) - arc_minimum_bytes)
    used = None if free is None else _within(total - free - cached - arc_spare, total)
    available = meminfo.get("MemAvailable", None if free is None else free + cached)
    swap_total, swap_free = meminfo.get("SwapTotal"), meminfo.get("SwapFree")
    return Memory(
        age_s=0.0,
        total_bytes=total,
        used_bytes=used,
        available_bytes=None if available is None else _within(available + arc_spare, total),
        cached_bytes=cached if "Cached" in meminfo else None,
        arc_bytes=arc_bytes,
        huge_pages_bytes=_huge_pages(meminfo),
        swap_total_bytes=swap_total,
        swap_used_bytes=None
        if swap_total is None or swap_free is None
        else _within(swap_total - swap_free, swap_total),
        psi_some_avg10=psi_some_avg10,
        psi_full_avg10=psi_full_avg10,
        limit_bytes=limit_bytes,
    )


def _huge_pages(meminfo: dict[str, int]) -> int | None:
    """`Hugetlb` has those of all sizes; kernels before 4.20 only tell of the usual size (proc_meminfo(5))."""
    usual = meminfo["HugePages_Total"] * meminfo["Hugepagesize"] if meminfo.keys() >= _HUGE_PAGES else None
    huge = meminfo.get("Hugetlb", usual)
    return None if huge is None else _within(huge, meminfo["MemTotal"])


def _within(value: int, most: int) -> int:
    return max(0, min(value, most))
