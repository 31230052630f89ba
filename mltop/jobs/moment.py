"""Times of runs: RFC 3339 in UTC with milliseconds, so that text sorts as time does (D11)."""

from __future__ import annotations

import os
import time


def utc(seconds: float) -> str:
    """`2026-11-24T02:00:01.123Z` of seconds since the epoch."""
    milliseconds = int(seconds * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"


def seconds(text: str) -> float:
    """Seconds since the epoch of such a text; raises ValueError."""
    import calendar  # only a reader that counts needs it

    whole, _, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{rest or 0}")


def run_id(now: float) -> str:
    """An id that sorts by its start and that no other run has: `20261124T020001Z-4f3a9c21`."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{os.urandom(4).hex()}"


def duration(seconds: float) -> str:
    """For people: `0.4 s`, `2 min 5 s`, `3 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
