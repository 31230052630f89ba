"""A verdict for Checkmk's agent: a local check a line (docs.checkmk.com, "Local checks")."""

from __future__ import annotations

from mltop.model.verdict import EXIT_CODES, Result, State, Verdict
from mltop.reports.range import edge, is_low


def text(verdict: Verdict) -> str:
    """A line a result; what was skipped is no service there."""
    return "".join(f"{_line(one)}\n" for one in verdict.results if one.state is not State.SKIP)


def _line(one: Result) -> str:
    name = " ".join(word for word in ("mltop", one.check, one.target_name) if word)
    return f'{EXIT_CODES[one.state]} "{_clean(name)}" {_metric(one)} {_clean(one.summary)}'


def _metric(one: Result) -> str:
    """`name=value;warn;crit`, upper limits only: the format has no others."""
    if one.value is None:
        return "-"
    limits = [None if text is None or is_low(text) else edge(text) for text in (one.warn, one.crit)]
    words = ";".join("" if limit is None else f"{limit:g}" for limit in limits)
    name = one.check.replace(".", "_")
    return f"{name}={one.value:.3f}{';' + words if words != ';' else ''}"


def _clean(words: str) -> str:
    return " ".join(words.replace('"', "'").replace("|", "/").replace("\\", "/").split())
