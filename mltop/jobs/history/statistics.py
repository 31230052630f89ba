"""How a job does: how often it ends well, how long it takes, and whether that grows (J44). Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from mltop.model.job import Run, RunState

RUNS = 200
"""So many of a job's last runs are looked at."""
SLOW = 3.0
"""A run that takes so many times the median is slow."""
_LEAST = 5
"""Fewer durations than this have no trend, and no run of them is called slow."""
_FAILED = frozenset({RunState.FAILED, RunState.TIMEOUT, RunState.STUCK, RunState.LOST})
"""Skipped runs are neither (D33), nor are those that somebody ended by hand."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of the last runs of one job. Durations are of those that ended well: a time limit is not how long it takes."""

    runs: int = 0
    """Those looked at, whatever became of them."""
    ok: int = 0
    failed: int = 0
    success_percent: float | None = None
    """Of those that ended well or failed; `None` where none did."""
    p50_s: float | None = None
    p95_s: float | None = None
    slowest_s: float | None = None
    slowest_run: str | None = None
    trend_percent: float | None = None
    """By how much the median of the newer half is above that of the older half."""
    slow_runs: tuple[str, ...] = ()
    """Ids of those that took more than three times the median, newest first."""


def statistics(runs: Sequence[Run]) -> Statistics:
    """The statistics of runs, newest first."""
    ok = sum(run.state is RunState.OK for run in runs)
    failed = sum(run.state in _FAILED for run in runs)
    well = [(run.duration_s, run.id) for run in runs if run.state is RunState.OK and run.duration_s is not None]
    durations = [duration_s for duration_s, _ in well]
    slowest_s, slowest_run = max(well, default=(None, None), key=lambda one: one[0] or 0.0)
    p50_s = percentile(durations, 50)
    is_many = len(durations) >= _LEAST
    return Statistics(
        runs=len(runs),
        ok=ok,
        failed=failed,
        success_percent=round(100 * ok / (ok + failed), 1) if ok + failed else None,
        p50_s=p50_s,
        p95_s=percentile(durations, 95),
        slowest_s=slowest_s,
        slowest_run=slowest_run,
        trend_percent=_trend(durations) if is_many else None,
        slow_runs=tuple(id for duration_s, id in well if p50_s and duration_s > SLOW * p50_s) if is_many else (),
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile: the least value that so many percent do not exceed; `None` of nothing."""
    if not values:
        return None
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def _trend(durations: Sequence[float]) -> float | None:
    """Of durations, newest first; `None` where the older half took no time that could be measured."""
    middle = len(durations) // 2
    newer, older = percentile(durations[:middle], 50), percentile(durations[-middle:], 50)
    if newer is None or not older:
        return None
    return round(100 * (newer / older - 1), 1)
