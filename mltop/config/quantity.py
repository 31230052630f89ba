"""Durations and sizes as people write them: `90s`, `15m`, `4h`, `7d`; `100MiB`, `10GB`."""

from __future__ import annotations

import math

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_POWERS = "KMGTP"


def duration_s(text: str) -> float:
    """Seconds of `90s`, `15m`, `4h`, `7d`, `2w`, `1.5h`; raises ValueError."""
    number, unit = _split(text)
    if unit not in _SECONDS:
        raise ValueError(f"no duration: {text!r}")
    return number * _SECONDS[unit]


def size_bytes(text: str) -> int:
    """Bytes of `100MiB`, `10GB`, `512 KiB`, `64M` (= MiB), `900B`; raises ValueError."""
    number, unit = _split(text)
    prefix, rest = unit[:1].upper(), unit[1:]
    if unit.upper() in ("", "B"):
        return round(number)
    if prefix not in _POWERS or rest.upper() not in ("", "B", "IB"):
        raise ValueError(f"no size: {text!r}")
    base = 1000.0 if rest.upper() == "B" else 1024.0
    return round(number * math.pow(base, _POWERS.index(prefix) + 1))


def _split(text: str) -> tuple[float, str]:
    text = text.strip()
    digits = len(text) - len(text.lstrip("0123456789."))
    if not text.isascii() or digits == 0:
        raise ValueError(f"no number: {text!r}")
    return float(text[:digits]), text[digits:].strip()
