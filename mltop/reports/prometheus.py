"""A verdict as Prometheus's text format, for the textfile collector: base units, no timestamps, no host's name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mltop.model.verdict import State, Verdict

_SEVERITY = {State.OK: 0, State.WARNING: 1, State.CRITICAL: 2}


def text(verdict: Verdict) -> str:
    """The whole exposition. A severity is absent where it is not known, so that max() never ranks it above CRITICAL."""
    return "".join(f"{line}\n" for line in _lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    known = [one for one in verdict.results if one.state in _SEVERITY]
    unknown = [one for one in verdict.results if one.state is State.UNKNOWN]
    timed = [one for one in verdict.results if one.duration_s is not None and one.state is not State.SKIP]
    if known:
        yield from _head("mltop_check_severity", "State of a check: 0 ok, 1 warning, 2 critical; absent when unknown.")
        yield from (f"mltop_check_severity{_labels(one.check, one.target)} {_SEVERITY[one.state]}" for one in known)
    if unknown:
        yield from _head("mltop_check_unknown", "1 for a check that could not be told.")
        yield from (f"mltop_check_unknown{_labels(one.check, one.target)} 1" for one in unknown)
    if timed:
        yield from _head("mltop_check_duration_seconds", "How long a check's reading took.")
        yield from (f"mltop_check_duration_seconds{_labels(one.check, one.target)} {one.duration_s}" for one in timed)
    yield from _head("mltop_last_run_timestamp_seconds", "When the checks ran, in seconds since the epoch.")
    yield f"mltop_last_run_timestamp_seconds {_epoch_s(verdict.time)}"
    yield from _head("mltop_run_duration_seconds", "How long the checks took.")
    yield f"mltop_run_duration_seconds {verdict.duration_s}"
    yield from _head("mltop_build_info", "The version of mltop.")
    yield f'mltop_build_info{{version="{_escaped(verdict.version)}"}} 1'


def _head(name: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} gauge"


def _labels(check: str, target: str) -> str:
    return f'{{check="{_escaped(check)}",target="{_escaped(target)}"}}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _epoch_s(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
