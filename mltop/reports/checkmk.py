"""A verdict for Checkmk's agent: a local check a line (docs.checkmk.com, "Local checks")."""

from __future__ import annotations

from collections.abc import Sequence

from mltop.model.verdict import EXIT_CODES, Result, State, Verdict
from mltop.reports.range import edge, is_low, is_number, plain
from mltop.system.text import clean

_LONGEST = 2000


def text(verdict: Verdict) -> str:
    """A line a result, each a service of its own name; what was skipped is none. A run without any is one line."""
    told = [one for one in verdict.results if one.state is not State.SKIP]
    if not told:
        words = verdict.errors[0].message if verdict.errors else "no check ran"
        return f'3 "mltop" - {_clean(words)}\n'
    names = _names(told)
    return "".join(f"{_line(one, name)}\n" for one, name in zip(told, names, strict=True))


def _names(told: Sequence[Result]) -> list[str]:
    """A service's name for each, the same in every run: those of one name are numbered by what they are about."""
    names = [_clean(" ".join(word for word in ("mltop", one.check, one.target_name) if word)) for one in told]
    counts: dict[str, int] = {}
    for place in sorted(range(len(told)), key=lambda place: told[place].target):
        counts[names[place]] = number = counts.get(names[place], 0) + 1
        if number > 1:
            names[place] += f" ~{number}"
    return names


def _line(one: Result, name: str) -> str:
    return f'{EXIT_CODES[one.state]} "{name}" {_metric(one)} {_clean(one.summary) or one.state}'


def _metric(one: Result) -> str:
    """`name=value;warn;crit`, upper limits only: the format has no others."""
    if not is_number(one.value):
        return "-"
    limits = [None if text is None or is_low(text) else edge(text) for text in (one.warn, one.crit)]
    words = ";".join("" if limit is None else plain(limit) for limit in limits)
    name = one.check.replace(".", "_")
    return f"{name}={plain(one.value)}{';' + words if words != ';' else ''}"


def _clean(words: str) -> str:
    return " ".join(clean(words, _LONGEST).replace('"', "'").replace("|", "/").replace("\\", "/").split())
