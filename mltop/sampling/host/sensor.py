"""Sensors of the processors, from sysfs. The driver behind one can hang: `read_sensors` is for a reader's child."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mltop.sampling.root import Roots
from mltop.sampling.source import numbered, read_bytes, read_int

CPU_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "fam15h_power", "via_cputemp", "xgene_hwmon")
_LABELS = ("Package id", "Tdie", "Tctl", "Physical id")
"""What a chip calls the temperature of the package; Tctl carries an offset on some Ryzens, so Tdie goes first."""
_ZONES = ("x86_pkg_temp", "cpu-thermal", "cpu_thermal", "cpu0-thermal", "soc-thermal", "CPU-therm")
_MOST_CORES_ASKED = 16
"""Cores whose clock is asked for; on old kernels each such read interrupts the core."""
_LOWEST_C, _HIGHEST_C = -40.0, 150.0


def read_sensors(roots: Roots) -> tuple[float | None, float | None, int | None]:
    """Temperature (C) of the hottest package, mean clock (MHz), and the sum of the thermal throttle counters."""
    cores = numbered(roots.sys / "devices/system/cpu", "cpu")
    return temperature_c(roots.sys), frequency_mhz(roots, cores), _throttle_count(cores)


def temperature_c(sys: Path) -> float | None:
    """By the chip's package sensor, else the chip's first one, else a thermal zone of the processor."""
    chips: dict[str, list[Path]] = {}
    for chip in numbered(sys / "class/hwmon", "hwmon"):
        chips.setdefault(word(chip / "name"), []).append(chip)
    for name in CPU_CHIPS:
        readings = [reading for chip in chips.get(name, []) if (reading := _chip_c(chip)) is not None]
        if readings:
            return max(readings)
    zones = {word(zone / "type"): zone for zone in numbered(sys / "class/thermal", "thermal_zone")}
    readings = [reading for name in _ZONES if name in zones and (reading := celsius(zones[name] / "temp")) is not None]
    return readings[0] if readings else None


def _chip_c(chip: Path) -> float | None:
    labels = {word(label): label for label in numbered(chip, "temp", "_label")}
    for wanted in _LABELS:
        for text, label in labels.items():
            if text.startswith(wanted):
                return celsius(label.with_name(label.name.replace("_label", "_input")))
    return celsius(chip / "temp1_input")


def celsius(path: Path) -> float | None:
    """A temperature in C, `None` where there is none that can be true; sysfs gives thousandths of a degree."""
    value = read_int(path)
    if value is None or not _LOWEST_C <= value / 1000 <= _HIGHEST_C:
        return None
    return value / 1000


def word(path: Path) -> str:
    """The one word, or line, in a file; "" where there is none."""
    try:
        return read_bytes(path, 128).decode("ascii", "replace").strip()
    except OSError:
        return ""


def frequency_mhz(roots: Roots, cores: list[Path]) -> float | None:
    """By cpufreq over at most 16 cores, else the first cores of /proc/cpuinfo."""
    stride = -(-len(cores) // _MOST_CORES_ASKED) or 1
    clocks = [read_int(core / "cpufreq" / "scaling_cur_freq") for core in cores[::stride]]
    known = [clock / 1000 for clock in clocks if clock]
    if not known:
        known = list(_cpuinfo_mhz(roots))
    return sum(known) / len(known) if known else None


def _cpuinfo_mhz(roots: Roots) -> Iterator[float]:
    try:
        head = read_bytes(roots.proc / "cpuinfo", 8192)
    except OSError:
        return
    for line in head.splitlines()[:-1]:
        name, _, value = line.partition(b":")
        if name.strip() == b"cpu MHz":
            try:
                yield float(value)
            except ValueError:
                continue


def _throttle_count(cores: list[Path]) -> int | None:
    counts = [
        read_int(core / "thermal_throttle" / f"{scope}_throttle_count")
        for core in cores
        for scope in ("core", "package")
    ]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
