"""Numbers and names as plain ASCII, for text that is grepped."""

from __future__ import annotations

import textwrap

WIDTH = 80
UNKNOWN = "unknown"

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def ascii_only(text: str) -> str:
    """Text that every terminal and every grep can take."""
    return text.encode("ascii", "replace").decode()


def size(count: float | None) -> str:
    """`70.0GiB`, `512B`; bytes that are not known are a word."""
    if count is None:
        return UNKNOWN
    number, unit = _scaled(count)
    return f"{number:.0f}{unit}" if unit == "B" else f"{number:.1f}{unit}"


def part(used: float | None, total: float | None) -> str:
    """`70.0/79.6GiB`, both in the total's unit."""
    if used is None or total is None:
        return f"{size(used)}/{size(total)}" if used is not None or total is not None else UNKNOWN
    number, unit = _scaled(total)
    return f"{used * number / total if total else 0:.1f}/{number:.1f}{unit}"


def rate(bytes_per_s: float | None) -> str:
    """`1.5MiB/s`."""
    return UNKNOWN if bytes_per_s is None else f"{size(bytes_per_s)}/s"


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """`64C`, `38.2%`."""
    return UNKNOWN if value is None else f"{value:.{digits}f}{unit}"


def span(seconds: float | None) -> str:
    """`12d`, `3h`, `5m`, `42s`: the largest whole unit."""
    if seconds is None:
        return UNKNOWN
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(int(seconds), 0)}s"


def cut(text: str) -> str:
    """A line of at most 80 ASCII characters; what does not fit is cut at its end."""
    return ascii_only(text)[:WIDTH].rstrip()


def wrapped(label: str, text: str) -> list[str]:
    """Lines that all begin with the label, and lose no word of the text."""
    label = ascii_only(label)[: WIDTH // 2]
    lines = textwrap.wrap(ascii_only(text), WIDTH - len(label) - 1) or [""]
    return [f"{label} {line}".rstrip() for line in lines]


def _scaled(count: float) -> tuple[float, str]:
    for unit in _UNITS[:-1]:
        if count < 1023.95:  # what would round to 1024.0 is 1.0 of the next
            return count, unit
        count /= 1024
    return count, _UNITS[-1]
