"""What the memory controllers and the processors say of their own health."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mltop.model.host_facts import Edac, MemoryController, OomKills, Sensor, Swapping, Thermal
from mltop.model.snapshot import Status
from mltop.sampling.gpu.pci import is_container
from mltop.sampling.host.cgroup import group_oom_kills
from mltop.sampling.host.sensor import CPU_CHIPS, celsius, word
from mltop.sampling.root import Roots
from mltop.sampling.source import numbered, read_bytes, read_int

_LEAST_LIMIT_C, _MOST_LIMIT_C = 40.0, 126.0
"""Beyond these a chip's limit is a register that nobody has set (0, 127, 255)."""


def read_edac(roots: Roots) -> Edac:
    """Error counts of each memory controller; one that cannot be read takes no other with it."""
    folders = numbered(roots.sys / "devices/system/edac/mc", "mc")
    if not folders:
        return Edac(status=Status.UNSUPPORTED, reason="no memory controller counts its errors here")
    return Edac(age_s=0.0, controllers=tuple(_controller(folder) for folder in folders))


def _controller(folder: Path) -> MemoryController:
    return MemoryController(
        name=folder.name,
        corrected=_count(folder / "ce_count"),
        uncorrected=_count(folder / "ue_count"),
    )


def _count(path: Path) -> int | None:
    count = read_int(path)
    return count if count is not None and count >= 0 else None


def read_oom_kills(roots: Roots) -> OomKills:
    """The kernel's count, or in a container that of its control group. Raises OSError and ValueError."""
    kills = group_oom_kills(roots) if is_container(roots) else _counter(roots, b"oom_kill")
    if kills is None:
        return OomKills(status=Status.UNSUPPORTED, reason="this kernel does not count its OOM kills")
    return OomKills(age_s=0.0, kills=kills, is_of_group=is_container(roots))


def read_swapping(roots: Roots) -> Swapping:
    """How much was taken back from swap. Raises OSError and ValueError."""
    pages = _counter(roots, b"pswpin")
    if pages is None:
        return Swapping(status=Status.UNSUPPORTED, reason="this kernel has no swap")
    return Swapping(age_s=0.0, pages_in=pages)


def _counter(roots: Roots, name: bytes) -> int | None:
    """One of /proc/vmstat; `None` where this kernel has it not. Raises OSError and ValueError."""
    rows = [line.split() for line in read_bytes(roots.proc / "vmstat").splitlines()]
    found = next((int(row[1]) for row in rows if len(row) == 2 and row[0] == name), None)
    if found is None and not any(row and row[0] == b"nr_free_pages" for row in rows):  # first in every kernel's
        raise ValueError("no counters in it")
    return found


def read_thermal(roots: Roots) -> Thermal:
    """Every temperature of the processors' chips with its limits, and the throttle counters."""
    sensors = tuple(_sensors(roots.sys))
    milliseconds, count = _throttling(roots.sys)
    if not sensors and count is None:
        return Thermal(status=Status.UNSUPPORTED, reason="no sensor of a processor here")
    return Thermal(age_s=0.0, sensors=sensors, throttle_ms=milliseconds, throttle_count=count)


def _sensors(sys: Path) -> Iterator[Sensor]:
    for chip in numbered(sys / "class/hwmon", "hwmon"):
        kind = word(chip / "name")
        if kind not in CPU_CHIPS:
            continue
        for path in numbered(chip, "temp", "_input"):
            degrees = celsius(path)
            stem = path.name.removesuffix("_input")
            if degrees is not None:
                yield Sensor(
                    name=f"{kind} {word(chip / f'{stem}_label') or stem}",
                    celsius=degrees,
                    high=_limit(chip / f"{stem}_max"),
                    critical=_limit(chip / f"{stem}_crit"),
                )


def _limit(path: Path) -> float | None:
    degrees = celsius(path)
    return degrees if degrees is not None and _LEAST_LIMIT_C <= degrees <= _MOST_LIMIT_C else None


def _throttling(sys: Path) -> tuple[int | None, int | None]:
    """Milliseconds of the worst, and events in all; cores of Intel only have these (thermal_throttle of x86)."""
    folders = [path / "thermal_throttle" for path in numbered(sys / "devices/system/cpu", "cpu")]
    if not folders or not any(folder.is_dir() for folder in folders[:2]):
        return None, None
    scopes = ("core", "package")
    times = [read_int(folder / f"{scope}_throttle_total_time_ms") for folder in folders for scope in scopes]
    counts = [read_int(folder / f"{scope}_throttle_count") for folder in folders for scope in scopes]
    known = [count for count in counts if count is not None]
    return max((one for one in times if one is not None), default=None), sum(known) if known else None
