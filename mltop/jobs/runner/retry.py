"""How often a job is tried again, and after which waits, in words: dry run, `jobs show` and `jobs plan` agree."""

from __future__ import annotations

from collections.abc import Sequence

from mltop.config.job import JobConfig

_SHOWN = 6
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def described(job: JobConfig) -> str | None:
    """`2: after 5 min, then 10 min`; `None` for a job that is tried once."""
    return in_words(job.retry_waits_s)


def in_words(waits_s: Sequence[float]) -> str | None:
    """The same of the waits alone, in seconds."""
    if not waits_s:
        return None
    spans = [_span(wait_s) for wait_s in waits_s]
    while len(spans) > 1 and spans[-1] == spans[-2]:
        spans.pop()
    shown = spans if len(spans) <= _SHOWN else [*spans[: _SHOWN - 1], "…", spans[-1]]
    each = " each" if len(spans) < len(waits_s) else ""
    return f"{len(waits_s)}: after {', then '.join(shown)}{each}"


def _span(seconds: float) -> str:
    """Exact, in the largest unit that says it in whole numbers: `5 min`, `90 s`, `1 h`."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
