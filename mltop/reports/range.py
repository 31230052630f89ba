"""A result's limits for a reader: `@85:` is `85`, and what is not so simple stays as it is."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING

from mltop.config.limit import Range
from mltop.model.verdict import Result

if TYPE_CHECKING:
    from typing import TypeGuard


def edge(text: str | None) -> float | None:
    """The number of a range that is "this and beyond", in either direction; `None` of any other."""
    if text is None:
        return None
    limit = Range.parse(text)
    ends = [end for end in (limit.start, limit.end) if abs(end) != float("inf")]
    return ends[0] if len(ends) == 1 else None


def is_low(text: str) -> bool:
    """Whether the low end is the bad one."""
    return Range.parse(text).alerts(float("-inf"))


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a value that a monitoring server can take: neither NaN nor infinite."""
    return value is not None and isfinite(value)


def natural(text: str) -> list[tuple[int, str]]:
    """A key by which `GPU 2` comes before `GPU 10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", text)]


def plain(number: float) -> str:
    """A plain decimal, as monitoring servers read it: no exponent, at most three digits behind the point."""
    text = f"{number:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def closeness(result: Result) -> float:
    """How much of the way to its limit a value has gone: 1.0 is at it; 0.0 where it has none."""
    text = result.warn or result.crit
    limit = edge(text)
    if text is None or limit is None or result.value is None:
        return 0.0
    if is_low(text):
        return limit / result.value if result.value > 0 else float("inf")
    return result.value / limit if limit > 0 else 0.0


def limits(result: Result) -> str:
    """The limits in words: `limit 85 %`, `limits 85/95 %`; "" where there are none."""
    texts = [text for text in (result.warn, result.crit) if text is not None]
    if not texts:
        return ""
    words = "/".join(plain(number) if (number := edge(text)) is not None else text for text in texts)
    unit = "%" if (result.unit or "").startswith("%") else result.unit
    return f"limit{'s' if len(texts) > 1 else ''} {words}{f' {unit}' if unit else ''}"
