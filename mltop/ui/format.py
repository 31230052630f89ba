"""Numbers and foreign text to columns of the screen: compact, of known width; unknown is `-`, never 0."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache

UNKNOWN = "-"
_UNITS = "BKMGTPE"
_JOINERS = {0x200D: None, 0xFE0E: None, 0xFE0F: None}
"""Zero-width joiner and variation selectors: terminals disagree about what they do to widths, so they go."""


@lru_cache(maxsize=4096)
def _cell(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


_NARROW = frozenset(map(chr, (*range(0x20, 0x7F), *range(0x2500, 0x25A0), *range(0x2800, 0x2900)))) | set("·…▲▼↑↓")
"""What the panes themselves draw with: one cell each."""


def cells(text: str) -> int:
    """How many columns of a terminal the text takes (UAX 11, combining marks are 0)."""
    return len(text) if text.isascii() or _NARROW.issuperset(text) else sum(map(_cell, text))


def plain(text: str) -> str:
    """Foreign text without the characters whose width terminals do not agree on."""
    return text if text.isascii() else text.translate(_JOINERS)


def clip(text: str, width: int, mark: str = "…") -> str:
    """The text in at most `width` cells, with a mark where something was cut."""
    if cells(text) <= width:
        return text
    if width <= 0:
        return ""
    room = width - cells(mark)
    if text.isascii():
        return text[: max(0, room)] + mark
    kept = []
    for character in text:
        room -= _cell(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + mark


def clip_left(text: str, width: int, mark: str = "…") -> str:
    """As `clip`, keeping the end: of a path, the end tells more."""
    return text if cells(text) <= width else clip(text[::-1], width, mark)[::-1]


def wrap(text: str, width: int, most: int) -> list[str]:
    """The text in at most `most` lines, broken at spaces; what is left over is cut from the last one."""
    lines: list[str] = []
    for word in text.split():
        if lines and (cells(lines[-1]) + 1 + cells(word) <= width or len(lines) == most):
            lines[-1] += " " + word
        else:
            lines.append(word)
    return [clip(line, width) for line in lines]


def fold(text: str, width: int) -> list[str]:
    """Text in lines of at most `width` cells (and no fewer than 2), broken at spaces where there are some."""
    width = max(2, width)  # a character may take two
    lines, line = [], ""
    for word in plain(text).split(" "):
        if line and cells(line) + 1 + cells(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while cells(line) > width:
            head = line[:width]
            while cells(head) > width:
                head = head[:-1]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines


def left(text: str, width: int) -> str:
    """Left-aligned in exactly `width` cells."""
    text = clip(text, width)
    return text + " " * (width - cells(text))


def right(text: str, width: int) -> str:
    """Right-aligned in exactly `width` cells."""
    text = clip(text, width)
    return " " * (width - cells(text)) + text


def _scale(number: float) -> int:
    """The power of 1024 that shows the number in at most 4 digits."""
    power = 0
    while number >= 1023.5 and power < len(_UNITS) - 1:
        number /= 1024
        power += 1
    return power


def size(count: float | None) -> str:
    """Bytes in IEC units, at most 5 cells: `0`, `812M`, `70.0G`, `1007G`."""
    if count is None:
        return UNKNOWN
    power = _scale(count)
    value = count / 1024**power
    if power == 0:
        return f"{value:.0f}B" if value else "0"
    return f"{value:.1f}{_UNITS[power]}" if value < 99.95 else f"{value:.0f}{_UNITS[power]}"


def pair(used: float | None, total: float | None) -> str:
    """Used and total bytes in the total's unit: `70.0/79.6G`."""
    if not total:
        return size(used)
    power = _scale(total)
    digits = 1 if power and total / 1024**power < 99.95 else 0
    part = UNKNOWN if used is None else "0" if not used else f"{used / 1024**power:.{digits}f}"
    return f"{part}/{total / 1024**power:.{digits}f}{_UNITS[power]}"


def rate(per_second: float | None) -> str:
    """Bytes a second, at most 7 cells."""
    return UNKNOWN if per_second is None else size(per_second) + "/s"


def percent(value: float | None) -> str:
    """A whole percent, at most 4 cells."""
    return UNKNOWN if value is None else f"{value:.0f}%"


def fixed(value: float | None, digits: int = 1) -> str:
    """A number with so many decimals."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def celsius(value: float | None) -> str:
    """A temperature: `64C`."""
    return UNKNOWN if value is None else f"{value:.0f}C"


def watts(value: float | None, limit: float | None = None) -> str:
    """Power and its limit: `684/700W`."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f}W" if limit is None else f"{value:.0f}/{limit:.0f}W"


def duration(seconds: float | None) -> str:
    """A duration in its largest unit, at most 4 cells: `12s`, `42m`, `3h`, `12d`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.0f}s" if seconds < 59.5 else "1m"
    if seconds < 3600:
        return f"{seconds // 60:.0f}m"
    return f"{seconds // 3600:.0f}h" if seconds < 86400 else f"{seconds // 86400:.0f}d"


def span_of(seconds: float) -> str:
    """A graph's span, exact: `5m`, `90s`, `6h`."""
    for unit, name in ((3600, "h"), (60, "m")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit:.0f}{name}"
    return f"{seconds:.0f}s"


@lru_cache(maxsize=64)
def _local(time: str) -> datetime | None:
    try:
        return datetime.fromisoformat(time).astimezone()
    except ValueError:
        return None


def clock(time: str) -> str:
    """Hours and minutes here of an RFC 3339 time; "" for what is none."""
    local = _local(time[:17] + "00Z") if time else None
    return local.strftime("%H:%M") if local else ""


def clock_before(time: str, age_s: float | None) -> str:
    """When it was `age_s` before that time: `14:01`, with the day when that is 20 hours away; "" if not known."""
    local = _local(time) if time else None
    if local is None or age_s is None:
        return ""
    return (local - timedelta(seconds=age_s)).strftime("%H:%M" if age_s < 72000 else "%b %d %H:%M")


def indices(numbers: tuple[int, ...]) -> str:
    """Numbers as ranges: `0,2`, `0-7`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a},{b}" if b == a + 1 else f"{a}-{b}" for a, b in runs)
