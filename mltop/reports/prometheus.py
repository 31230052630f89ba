"""A verdict as Prometheus's text format, for the textfile collector: base units, no host's name on every series."""

from __future__ import annotations

from datetime import datetime

from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import State, Verdict
from mltop.reports.exposition import Exposition

_SEVERITY = {State.OK: 0, State.WARNING: 1, State.CRITICAL: 2}


def text(verdict: Verdict, snapshot: Snapshot | None = None, surroundings: Surroundings | None = None) -> str:
    """The whole exposition; with the snapshot that was judged, its GPUs too.

    A severity is absent where it is not known, so that max() never ranks it above CRITICAL. The worst of a check's
    target counts (results come worst first), where it is there twice.
    """
    made = Exposition()
    _checks(verdict, made)
    if snapshot is not None:
        from mltop.reports.gpu_metrics import add_gpus, add_xids

        add_gpus(snapshot, surroundings, _epoch_s(verdict.time), made)
        add_xids(verdict, made)
    _run(verdict, made)
    return "".join(f"{line}\n" for line in made.lines())


def _checks(verdict: Verdict, made: Exposition) -> None:
    for one in verdict.results:
        labels = {"check": one.check, "target": one.target}
        words = "State of a check: 0 ok, 1 warning, 2 critical; absent when unknown."
        made.add("mltop_check_severity", words, _SEVERITY.get(one.state), labels)
    for one in verdict.results:
        labels = {"check": one.check, "target": one.target}
        is_unknown = 1 if one.state is State.UNKNOWN else None
        made.add("mltop_check_unknown", "1 for a check that could not be told.", is_unknown, labels)
    for one in verdict.results:
        labels = {"check": one.check, "target": one.target}
        took_s = None if one.state is State.SKIP else one.duration_s
        made.add("mltop_check_duration_seconds", "How long a check's reading took.", took_s, labels)


def _run(verdict: Verdict, made: Exposition) -> None:
    words = "When the checks ran, in seconds since the epoch."
    made.add("mltop_last_run_timestamp_seconds", words, _epoch_s(verdict.time))
    made.add("mltop_run_duration_seconds", "How long the checks took.", verdict.duration_s)
    host = {"hostname": verdict.host, "boot_id": verdict.boot_id}
    made.add("mltop_host_info", "The box and its boot.", 1 if verdict.host else None, host)
    made.add("mltop_build_info", "The version of mltop.", 1, {"version": verdict.version})


def _epoch_s(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None
