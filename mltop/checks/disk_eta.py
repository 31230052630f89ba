"""When a mount will be full, by what was noted of it over the last hours."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mltop.checks.case import NOT_READ, Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.checks.memory import seconds
from mltop.checks.remembered import Remembered
from mltop.model.finding import Level
from mltop.model.snapshot import Disk

SPAN_S = 3600.0
"""What is noted over less than an hour tells nothing: one copied file would be a trend."""
WINDOW_S = 6 * 3600.0
"""As far back as node_exporter's mixin looks; further where runs are rare."""
FREE_WARNING = 40.0
FREE_CRITICAL = 20.0
"""Percent available, from which on it does not matter how fast it fills: node_exporter's mixin."""
_EVERY_S = 300.0
_FEWEST = 3
_OLDEST_S = 7 * 86400.0
_RESIZED = 0.1
_NEVER_H = 24.0 * 365
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def eta(case: Case, disk: Disk) -> Judgement:
    """`disk.eta` of a mount that was read: hours until it is full at the rate of the last hours (least squares)."""
    check, mount = "disk.eta", disk.mount
    if disk.available_bytes is None or disk.used_percent is None or disk.status in NOT_READ:
        return msgspec.structs.replace(
            case.unread(check, disk, "size", target=mount), is_quiet=True
        )  # told by its space
    if disk.fstype in _IN_MEMORY:
        return skip(check, "a file system in memory", target=mount, reason="unsupported")
    if disk.is_readonly:
        return skip(check, "read-only: nothing fills it", target=mount, reason="unsupported")
    if case.memory is None:
        return skip(check, "known by what earlier runs noted", target=mount, reason="off")
    now = seconds(case.snapshot.time)
    known = _noted(case.memory.kept, disk)
    samples = [*_recent(known, now), (now, float(disk.available_bytes))]
    if not known or now - known[-1][0] >= _EVERY_S or known[-1][0] > now:
        case.memory.kept.space[mount] = samples
        case.memory.kept.sizes[mount] = disk.total_bytes or 0
    if len(samples) < _FEWEST or now - samples[0][0] < SPAN_S:
        return skip(check, "known after an hour of runs", target=mount, reason="young")
    per_s = -_slope(samples)
    if per_s <= 0 or (hours := disk.available_bytes / per_s / 3600) > _NEVER_H:
        return judgement(check, case.settled(check, mount, Level.OK), "not filling up", target=mount)
    free = 100 - disk.used_percent
    most = Level.OK if free >= FREE_WARNING else Level.WARNING if free >= FREE_CRITICAL else Level.CRITICAL
    summary = f"full in {_span(hours)} at the rate of the last {_span((now - samples[0][0]) / 3600)}"
    return case.measured(check, hours, summary, "free space", target=mount, most=most)


def forget_old(case: Case) -> None:
    """Keep nothing of a mount that has not been seen for a week: a box may have a new one for every job."""
    if case.memory is None:
        return
    now, kept = seconds(case.snapshot.time), case.memory.kept
    for mount in [one for one, notes in kept.space.items() if not notes or abs(now - notes[-1][0]) > _OLDEST_S]:
        del kept.space[mount]
    for mount in kept.sizes.keys() - kept.space.keys():
        del kept.sizes[mount]


def _noted(kept: Remembered, disk: Disk) -> list[tuple[float, float]]:
    """What was noted of this file system: of another one at its place, or of one that was resized, it is nothing.

    The size of some changes all the time, a little (ZFS: what is used and what the pool has left).
    """
    size, before = disk.total_bytes or 0, kept.sizes.get(disk.mount, 0)
    if size and before and abs(size - before) > _RESIZED * before:
        return []
    return kept.space.get(disk.mount, [])


def _recent(known: Sequence[tuple[float, float]], now: float) -> list[tuple[float, float]]:
    """What was noted in the window; where runs are rare, the last few of a week."""
    past = [one for one in known if now - _OLDEST_S <= one[0] < now]
    young = [one for one in past if one[0] >= now - WINDOW_S]
    return young if len(young) >= _FEWEST - 1 else past[1 - _FEWEST :]


def _slope(samples: Sequence[tuple[float, float]]) -> float:
    """The slope of the line through the samples with the least squares of errors, by second."""
    count = len(samples)
    middle = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (value - mean) for at, value in samples) / spread if spread else 0.0


def _span(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
