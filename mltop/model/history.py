"""What the numbers were: compact series for the graphs, full resolution for minutes and 10 s means for hours.

Pure and without a clock: times are handed in, in seconds since the epoch. Keys are `cpu`, `memory`, `swap` (percent),
`gpu:<identity>:utilization`, `:memory` (percent), `:temperature` (C), `:power` (W), `net:<interface>:receive`,
`:transmit` (bytes/s) and `disk:<mount>` (percent). A value that was not read at its time is a gap, never a zero.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Reading, Snapshot, Status

FINE_S = 360.0
"""How far back every sample is kept: the first screen of 5 minutes, and one to spare."""
SLOT_S = 10.0
SLOTS = 2160
"""10 s means for 6 hours, the widest zoom (M36)."""
MAX_SAMPLES = 4096
MAX_SERIES = 1024
"""Interfaces and mounts of containers come and go; what is beyond this is not kept."""
HOLD_INTERVALS = 3.0
"""A sample stands for this many of its intervals at most (D5); then the graph has a gap."""

_NAN = math.nan
_OLD = frozenset({Status.STALE, Status.TIMEOUT, Status.LOST, Status.ERROR, Status.ABSENT})


def taken_at(snapshot: Snapshot) -> float | None:
    """When a snapshot was taken, in seconds since the epoch; `None` where its time is none."""
    try:
        return datetime.fromisoformat(snapshot.time).timestamp()
    except ValueError:
        return None


def readings(snapshot: Snapshot) -> dict[str, float]:
    """The numbers of a snapshot that were really read at its time, by key."""
    found: dict[str, float | None] = {}
    if _is_fresh(snapshot.cpu):
        found["cpu"] = snapshot.cpu.usage_percent
    if _is_fresh(snapshot.memory):
        memory = snapshot.memory
        found["memory"] = _percent(memory.used_bytes, memory.total_bytes)
        found["swap"] = _percent(memory.swap_used_bytes, memory.swap_total_bytes)
    for gpu in snapshot.gpus:
        if _is_fresh(gpu):
            _read_gpu(gpu, found)
    for network in snapshot.network:
        if _is_fresh(network):
            found[f"net:{network.interface}:receive"] = network.receive_bytes_per_s
            found[f"net:{network.interface}:transmit"] = network.transmit_bytes_per_s
    for disk in snapshot.disks:
        if _is_fresh(disk):
            found[f"disk:{disk.mount}"] = disk.used_percent
    return {key: float(value) for key, value in found.items() if value is not None}


def _read_gpu(gpu: Gpu, found: dict[str, float | None]) -> None:
    prefix = f"gpu:{gpu_identity(gpu)}:"
    found[prefix + "utilization"] = gpu.utilization_percent
    found[prefix + "memory"] = _percent(gpu.memory_used_bytes, gpu.memory_total_bytes)
    found[prefix + "temperature"] = gpu.temperature_c
    found[prefix + "power"] = gpu.power_w


def _is_fresh(group: Reading) -> bool:
    return group.status not in _OLD


def _percent(part: int | None, whole: int | None) -> float | None:
    return 100.0 * part / whole if part is not None and whole else None


class _Series:
    """One key's values; `fine` runs beside the history's times, `coarse` is a ring of means by slot number."""

    __slots__ = ("coarse", "count", "fine", "seen", "total")

    def __init__(self, length: int) -> None:
        self.fine = array("f", [_NAN]) * length
        self.coarse = array("f", [_NAN]) * SLOTS
        self.total = 0.0
        self.count = 0
        self.seen = 0.0
        """When the key last had a value."""


class History:
    """Series of a box by key, bounded: some 10 KB a key whatever the time."""

    def __init__(self) -> None:
        self._times = array("d")
        self._holds = array("f")
        self._series: dict[str, _Series] = {}
        self._slot_ids = array("q", [-1]) * SLOTS
        self._slot = -1
        """The slot that is being summed."""
        self._cache: dict[tuple[str, float, int], tuple[int, list[float | None]]] = {}

    @property
    def latest(self) -> float | None:
        """Time of the newest sample; `None` when there is none."""
        return self._times[-1] if self._times else None

    @property
    def keys(self) -> list[str]:
        """The keys that have values, sorted."""
        return sorted(self._series)

    def add(self, snapshot: Snapshot, at: float) -> None:
        """Keep a snapshot's numbers, read at `at` (seconds since the epoch)."""
        self.record(readings(snapshot), at, snapshot.interval_s)

    def record(self, values: Mapping[str, float], at: float, interval_s: float | None = None) -> None:
        """Keep the values of one moment; a known key that is absent is a gap."""
        if self._times and at <= self._times[-1]:
            self._rewind(at)
        slot = math.floor(at / SLOT_S)
        if slot != self._slot:
            self._close_slot(slot)
        self._times.append(at)
        self._holds.append(HOLD_INTERVALS * (interval_s or SLOT_S))
        for key in values.keys() - self._series.keys():
            if len(self._series) < MAX_SERIES:
                self._series[key] = _Series(len(self._times) - 1)
        for key, series in self._series.items():
            value = values.get(key, _NAN)
            series.fine.append(value)
            if value == value:
                series.total += value
                series.count += 1
                series.seen = at
        if at - self._times[0] > 2 * FINE_S or len(self._times) > MAX_SAMPLES:
            self._trim(at)

    def load(self, records: Iterable[tuple[float, Mapping[str, float]]]) -> None:
        """Fill in 10 s means of earlier runs (time, values by key), in any order; what is known stays."""
        for at, values in records:
            slot = math.floor(at / SLOT_S)
            place = slot % SLOTS
            if self._slot_ids[place] >= slot or (self._slot >= 0 and slot >= self._slot):
                continue
            self._open(place, slot)
            for key, value in values.items():
                series = self._series.get(key)
                if series is None and len(self._series) < MAX_SERIES:
                    series = self._series[key] = _Series(len(self._times))
                if series is not None:
                    series.coarse[place] = value
                    series.seen = max(series.seen, at)
        self._cache.clear()

    def values(self, key: str, span_s: float, points: int, now: float) -> list[float | None]:
        """Means of the last `span_s` seconds in `points` buckets, the newest last; `None` is a gap.

        Buckets are aligned to the clock, so that a graph moves by whole cells and old cells keep their value.
        """
        series = self._series.get(key)
        if points <= 0 or span_s <= 0:
            return []
        if series is None:
            return [None] * points
        width = span_s / points
        last = math.floor(now / width)
        known: list[float | None] = []
        first = last - points + 1
        settled, kept = self._cache.get((key, width, points), (first - 1, known))
        if first <= settled <= last + 1 and settled - first <= len(kept):
            known = kept[len(kept) - (settled - first) :]
            first = settled
        reach = max(HOLD_INTERVALS * SLOT_S, self._holds[-1] if self._holds else 0.0)
        fresh = _bucketed(self._samples(series, first * width - reach), width, first, last, now)
        result = known + fresh
        self._remember((key, width, points), result, width, last)
        return result

    def _remember(self, key: tuple[str, float, int], result: list[float | None], width: float, last: int) -> None:
        """Keep the buckets that no later sample can change: those before the newest sample's."""
        newest = math.floor(self._times[-1] / width) if self._times else last - len(result)
        settled = min(newest, last)
        count = len(result) - (last - settled + 1)
        if len(self._cache) > 256:
            self._cache.clear()
        if count > 0:
            self._cache[key] = (settled, result[:count])

    def _samples(self, series: _Series, since: float) -> Iterator[tuple[float, float, float]]:
        """(time, until when it stands, value) from `since` on: means where no samples are left, then samples."""
        fine_from = self._times[0] if self._times else math.inf
        end = fine_from if self._times else (max(self._slot_ids) + 1) * SLOT_S
        for slot in range(max(math.floor(since / SLOT_S), math.floor(end / SLOT_S) - SLOTS), math.floor(end / SLOT_S)):
            place = slot % SLOTS
            if self._slot_ids[place] == slot:
                start = slot * SLOT_S
                yield start, start + SLOT_S * 1.5, series.coarse[place]
        for index in range(bisect_left(self._times, since), len(self._times)):
            at = self._times[index]
            yield at, at + self._holds[index], series.fine[index]

    def _close_slot(self, slot: int) -> None:
        """Write the means of the slot that ended, and begin another."""
        if self._slot >= 0 and any(series.count for series in self._series.values()):
            place = self._slot % SLOTS
            self._open(place, self._slot)
            for series in self._series.values():
                if series.count:
                    series.coarse[place] = series.total / series.count
        for series in self._series.values():
            series.total, series.count = 0.0, 0
        self._slot = slot

    def _open(self, place: int, slot: int) -> None:
        self._slot_ids[place] = slot
        for series in self._series.values():
            series.coarse[place] = _NAN

    def _trim(self, at: float) -> None:
        whole = math.floor((at - FINE_S) / SLOT_S) * SLOT_S  # so that means and samples meet without a hole
        keep = max(bisect_left(self._times, whole), len(self._times) - MAX_SAMPLES // 2)
        del self._times[:keep]
        del self._holds[:keep]
        for key, series in list(self._series.items()):
            if series.seen < at - SLOTS * SLOT_S:
                del self._series[key]
            else:
                del series.fine[:keep]

    def _rewind(self, at: float) -> None:
        """The clock was set back: what was recorded for times still to come goes."""
        keep = bisect_left(self._times, at)
        del self._times[keep:]
        del self._holds[keep:]
        slot = math.floor(at / SLOT_S)
        for place, known in enumerate(self._slot_ids):
            if known >= slot:
                self._slot_ids[place] = -1
        for series in self._series.values():
            del series.fine[keep:]
            series.total, series.count = 0.0, 0
        self._slot = slot
        self._cache.clear()


def _bucketed(
    samples: Iterable[tuple[float, float, float]], width: float, first: int, last: int, now: float
) -> list[float | None]:
    """Means by bucket; an empty bucket has the sample before it, while that stands."""
    size = last - first + 1
    totals = [0.0] * size
    counts = [0] * size
    held: list[float | None] = [None] * size

    def hold(value: float, start: float, end: float) -> None:
        if value == value:
            for bucket in range(max(math.floor(start / width), first), min(math.ceil(end / width), last + 1)):
                held[bucket - first] = value

    previous: tuple[float, float, float] | None = None
    for at, until, value in samples:
        if at > now:
            break
        if previous is not None:
            hold(previous[2], previous[0], min(previous[1], at))
        bucket = math.floor(at / width) - first
        if value == value and 0 <= bucket < size:
            totals[bucket] += value
            counts[bucket] += 1
        previous = (at, until, value)
    if previous is not None:
        hold(previous[2], previous[0], min(previous[1], now))
    return [totals[i] / counts[i] if counts[i] else held[i] for i in range(size)]
