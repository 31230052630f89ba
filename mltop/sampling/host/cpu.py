"""The processors: use by the deltas of `/proc/stat`, load, pressure, and what the sensors say."""

from __future__ import annotations

import re

import msgspec

from mltop.model.snapshot import Cpu
from mltop.sampling.host.pressure import read_pressure
from mltop.sampling.host.sensor import read_sensors
from mltop.sampling.reader import Answer, Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, why_not
from mltop.system.text import clean

SENSOR_CADENCE_S = 10.0
_STALE_AFTER = 3  # cadences (D5)
_SENSORS = "sensors"
_IDLE, _IOWAIT = 3, 4
_COUNTED = 8
"""user nice system idle iowait irq softirq steal; the guests' time that follows is within user and nice."""
_MODEL_LINE = rb"(?m)^(?:model name|cpu model|Model|Hardware|cpu)\s*:\s*(.+)$"
_PART_LINE = rb"(?m)^CPU part\s*:\s*(0x[0-9a-f]+)"
_ARM_PARTS = {
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
    "0xd85": "Cortex-X925",
    "0xd87": "Cortex-A725",
}
"""`CPU part` of Arm's own cores (arch/arm64/include/asm/cputype.h): arm64 has no model name in cpuinfo."""

Times = tuple[int, ...]


class Usage(msgspec.Struct, frozen=True):
    """What the processors did between two readings, in percent."""

    usage_percent: float | None = None
    iowait_percent: float | None = None
    per_core_percent: tuple[float, ...] = ()


class CpuReading:
    """Keeps the counters of the last reading, for percentages."""

    def __init__(self, roots: Roots, reader: Reader) -> None:
        self._roots = roots
        self._reader = reader
        reader.learn(_SENSORS, lambda _: read_sensors(roots), most_stuck=1)
        self._model: str | None = None
        self._times: dict[str, Times] = {}
        self._usage = Usage()
        self._sensors: Answer | None = None
        self._asked_at: float | None = None
        self._throttle_count: int | None = None
        self._is_throttled: bool | None = None

    def ask(self, now: float) -> None:
        """Ask for what takes its time, so that it is there when the processors are read."""
        self._take_sensors(now)

    def read(self, now: float) -> Cpu:
        """The processors now; never raises."""
        self._take_sensors(now)
        try:
            times = parse_times(read_bytes(self._roots.proc / "stat"))
        except (OSError, ValueError) as fault:
            status, reason = why_not(fault, "/proc/stat")
            return Cpu(status=status, reason=reason, load=self._load())
        self._usage = usage_between(self._times, times, self._usage)
        self._times = times
        temperature, frequency = self._sensed(now)
        return Cpu(
            age_s=0.0,
            model=self._model_name(),
            count=len(times) - 1,
            usage_percent=self._usage.usage_percent,
            per_core_percent=self._usage.per_core_percent,
            iowait_percent=self._usage.iowait_percent,
            load=self._load(),
            frequency_mhz=frequency,
            temperature_c=temperature,
            psi_some_avg10=read_pressure(self._roots, "cpu").some_avg10,
            throttled=self._is_throttled if self._is_fresh(now) else None,
        )

    def _take_sensors(self, now: float) -> None:
        for answer in self._reader.take(_SENSORS).values():
            if answer.error is None:
                count = answer.value[2]
                before, self._throttle_count = self._throttle_count, count
                self._is_throttled = None if before is None or count is None else count > before
                self._sensors = answer
        if self._asked_at is None or now - self._asked_at >= SENSOR_CADENCE_S:
            self._reader.ask(_SENSORS, 0)
            self._asked_at = now

    def _is_fresh(self, now: float) -> bool:
        return self._sensors is not None and now - self._sensors.at <= _STALE_AFTER * SENSOR_CADENCE_S

    def _sensed(self, now: float) -> tuple[float | None, float | None]:
        """Temperature (C) and clock (MHz); an overdue one is not known (D5)."""
        if self._sensors is None or not self._is_fresh(now):
            return None, None
        return self._sensors.value[0], self._sensors.value[1]

    def _model_name(self) -> str | None:
        if self._model is None:
            try:
                self._model = parse_model(read_bytes(self._roots.proc / "cpuinfo", 4096))
            except OSError:
                return None
        return self._model or None

    def _load(self) -> tuple[float, ...]:
        try:
            first = read_bytes(self._roots.proc / "loadavg", 256).split()[:3]
            return tuple(float(number) for number in first) if len(first) == 3 else ()
        except (OSError, ValueError):
            return ()


def parse_times(text: bytes) -> dict[str, Times]:
    """Read the `cpu` lines of /proc/stat: core number, and "" for all of them, to its counters in ticks.

    Raises ValueError where there is no such line, or one is not of numbers.
    """
    times = {}
    for line in text.partition(b"\nintr")[0].split(b"\n"):  # the interrupts' line can be 100 kB long
        name, _, numbers = line.partition(b" ")
        if name.startswith(b"cpu") and (name == b"cpu" or name[3:].isdigit()):
            counters = tuple(map(int, numbers.split()[:_COUNTED]))
            if len(counters) > _IDLE:
                times[name[3:].decode()] = counters
    if "" not in times:
        raise ValueError("no cpu line")
    return times


def usage_between(before: dict[str, Times], after: dict[str, Times], last: Usage) -> Usage:
    """Percent by the deltas; `last` where no time has passed; cores that are not in both readings are left out."""
    if "" not in before:
        return Usage()
    busy, iowait = _shares(before[""], after[""])
    if busy is None:
        return last
    cores = []
    for name in sorted((name for name in after if name and name in before), key=int):
        core_busy, _ = _shares(before[name], after[name])
        cores.append(0.0 if core_busy is None else core_busy)  # a core that slept through: its clock stood still
    return Usage(busy, iowait, tuple(cores))


def _shares(before: Times, after: Times) -> tuple[float | None, float | None]:
    """Percent busy and waiting for I/O. Counters can run backwards (iowait, a core that was away): no time then."""
    deltas = [max(0, new - old) for old, new in zip(before, after, strict=False)]
    total = sum(deltas)
    if total == 0:
        return None, None
    iowait = deltas[_IOWAIT] if len(deltas) > _IOWAIT else 0
    # divided first: 100 * x / x may come out as a hair over 100
    return (total - deltas[_IDLE] - iowait) / total * 100.0, iowait / total * 100.0


def parse_model(cpuinfo: bytes) -> str:
    """The processor's name from the head of /proc/cpuinfo, "" where it has none."""
    match = re.search(_MODEL_LINE, cpuinfo)
    if match:
        return clean(b" ".join(match[1].split()), 128)
    part = re.search(_PART_LINE, cpuinfo)
    return "" if part is None else _ARM_PARTS.get(part[1].decode(), "")
