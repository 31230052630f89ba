"""A verdict for Nagios, Icinga and their kin: one line, then perfdata (Monitoring Plugins Development Guidelines)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mltop.model.verdict import Result, State, Verdict
from mltop.reports.range import edge, is_low, is_number, natural, plain
from mltop.system.digest import sha256_hex
from mltop.system.text import clean

WIDTH = 80
"""Characters before the `|`: pagers and old agents cut there."""
LEAST_NAME = 20
"""Characters that a long name keeps."""
LABEL = 19
"""RRD data sources: labels have to differ within so many characters."""
_LONGEST = 2000
"""Characters of a line behind the first."""
_MARK = 4
"""Letters of the mark by which labels that begin alike differ."""
_CHARTED = {
    "disk.space": "disk",
    "disk.inodes": "inodes",
    "disk.shm": "disk",
    "mem.available": "mem_available",
    "mem.swap": "swap",
    "cpu.load": "load",
    "gpu.temp": "temp",
    "gpu.mem": "mem",
}
_ORDER = {check: place for place, check in enumerate(_CHARTED)}


def text(verdict: Verdict, verbosity: int = 0, *, limit_s: float = 10.0) -> str:
    """The line; `verbosity` 1 names the checks in it, 2 adds a line a target, 3 those that are well too."""
    bad = [one for one in verdict.results if one.state not in (State.OK, State.SKIP)]
    lines = [f"{_head(verdict, bad, verbosity)} | {' '.join(_perfdata(verdict, limit_s))}"]
    if verbosity >= 2:
        shown = verdict.results if verbosity >= 3 else bad
        lines.extend(_clean(f"{one.state} {one.check} {one.target_name}: {one.summary}") for one in shown)
    return "\n".join(lines) + "\n"


def _head(verdict: Verdict, bad: Sequence[Result], verbosity: int) -> str:
    """The state and as many of the worst results as fit."""
    line = f"MLTOP {verdict.state} - "
    told = [one for one in bad if one.state is not State.UNKNOWN] or bad
    rest = len([one for one in bad if one.state is State.UNKNOWN]) if told and told is not bad else 0
    tail = f" (+{rest} unknown)" if rest else ""
    if not told:
        message = verdict.errors[0].message if verdict.errors else f"{verdict.counts.ok} checks ok"
        return _cut(line + _clean(message), WIDTH)
    for number, one in enumerate(told):
        left = len(told) - number - 1
        words = _words(one, WIDTH, has_check=verbosity >= 1)
        more = f" (+{left} more){tail}" if left else tail
        separator = "; " if number else ""
        if number and len(line) + len(separator) + len(words) + len(more) > WIDTH:
            return _cut(f"{line} (+{left + 1} more){tail}", WIDTH)
        line += separator + _words(one, WIDTH - len(line) - len(separator) - len(more), has_check=verbosity >= 1)
    return _cut(line + tail, WIDTH)


def _words(one: Result, room: int, *, has_check: bool) -> str:
    """What is wrong with what; of a long name the end stays, so that there is room to say what."""
    check = f"{one.check} " if has_check else ""
    name, summary = _clean(one.target_name), _clean(one.summary)
    over = len(f"{check}{name} {summary}") - room
    if over > 0 and len(name) > LEAST_NAME:
        name = ".." + name[-max(LEAST_NAME, len(name) - over) + 2 :]
    return _cut(f"{check}{name} {summary}".strip(), room)


def _perfdata(verdict: Verdict, limit_s: float) -> Iterator[str]:
    """In an order that does not depend on what is well: graphers that number their sources go by it (pnp4nagios)."""
    charted = [one for one in verdict.results if one.check in _CHARTED and one.state is not State.SKIP]
    charted.sort(key=lambda one: (_ORDER[one.check], natural(one.target_name), one.target))
    for label, one in zip(_labels(charted), charted, strict=True):
        unit = "%" if (one.unit or "").startswith("%") else ""
        if is_number(one.value):
            yield f"'{label}'={plain(one.value)}{unit};{_range(one.warn)};{_range(one.crit)}"
        elif one.value is not None or one.state is State.UNKNOWN:
            yield f"'{label}'=U;;"
    yield f"run={plain(verdict.duration_s)}s;;{plain(limit_s)}"


def _labels(charted: Sequence[Result]) -> Iterator[str]:
    """A label for each; those that begin alike have a mark of their target in front, whichever others there are."""
    labels = [_label(one, _name(one)) for one in charted]
    alike = Counter(label[:LABEL] for label in labels)
    known: set[str] = set()
    for label, one in zip(labels, charted, strict=True):
        mark = sha256_hex(one.target.encode("utf-8", "replace"))[:_MARK] if alike[label[:LABEL]] > 1 else ""
        short, number = f"{_CHARTED[one.check]}_{mark}~{_name(one)}" if mark else label, 1
        while short[:LABEL] in known:
            number += 1
            short = f"{number}~{label}"  # in front, or the cut would take it
        known.add(short[:LABEL])
        yield short


def _label(one: Result, name: str) -> str:
    word = _CHARTED[one.check]
    if one.check.startswith("gpu."):
        return f"{name.lower().replace('gpu_', 'gpu') or 'gpu'}_{word}"
    return f"{word}_{name}" if one.target else word


def _name(one: Result) -> str:
    return re.sub(r"[='|\s]", "_", clean(one.target_name))


def _range(text: str | None) -> str:
    """A range as most graphers know it: a bare number, `10:` for a low limit."""
    if text is None:
        return ""
    number = edge(text)
    if number is None:
        return text
    return f"{plain(number)}:" if is_low(text) else plain(number)


def _clean(words: str) -> str:
    return " ".join(clean(words, _LONGEST).replace("|", "/").split())


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[: max(0, width - 2)] + ".."
