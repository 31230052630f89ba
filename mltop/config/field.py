"""How a key's value is read: a parser that raises ValueError, and the words for what it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mltop.config.fault import Source, nearest, shown
from mltop.config.quantity import duration_s, size_bytes

LONGEST_S = 3650 * 86400.0
_TEXT_MAX = 4096
_CONTROL = r"[\x00-\x1f\x7f]"


class Field(NamedTuple):
    """One key of a table."""

    name: str
    """Of the struct's field that it fills."""
    parse: Callable[[Any], Any]
    expected: str


Fields = Mapping[str, Field]


def read_table(
    table: Mapping[str, Any], fields: Fields, source: Source, path: Sequence[str], into: dict[str, Any]
) -> Iterator[str]:
    """Put a table's values into `into` by the names of their fields; yields every fault, with its line."""
    for key, value in table.items():
        if key not in fields:
            yield source.fault((*path, key), nearest(key, fields))
            continue
        try:
            into[fields[key].name] = fields[key].parse(value)
        except (ValueError, OverflowError):
            yield source.fault((*path, key), f"expected {fields[key].expected}, got {shown(value)}")


def text(value: object) -> str:
    """A line that says something."""
    if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_MAX or re.search(_CONTROL, value):
        raise ValueError(value)
    return value


def matching(pattern: str) -> Callable[[object], str]:
    """A text of one shape."""

    def parse(value: object) -> str:
        if not re.fullmatch(pattern, text(value)):
            raise ValueError(value)
        return text(value)

    return parse


path = matching(r"(/|~(/|$)).*")
"""An absolute path, or one from `~`, which is that of who the job runs as."""


def texts(value: object) -> tuple[str, ...]:
    """A list of texts, or one alone."""
    return tuple(text(one) for one in (value if isinstance(value, list) else [value]))


def listed(one: Callable[[Any], Any], *, least: int = 0) -> Callable[[object], tuple[Any, ...]]:
    """A list."""

    def parse(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) < least:
            raise ValueError(value)
        return tuple(one(each) for each in value)

    return parse


def boolean(value: object) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def whole(least: int, most: int) -> Callable[[object], int]:
    """A whole number."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(value)
        return value

    return parse


def choice(words: Collection[str]) -> Callable[[object], str]:
    """One of some words."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(value)
        return value

    return parse


def duration(value: object) -> float:
    """Seconds of `15m`; `0` needs no unit."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str):
        raise ValueError(value)
    seconds = 0.0 if value.strip() == "0" else duration_s(value)
    if not seconds <= LONGEST_S:
        raise ValueError(value)
    return seconds


def duration_or_none(value: object) -> float | None:
    """Seconds; `None` for `0`."""
    return duration(value) or None


def size(value: object) -> int:
    """Bytes of `100MiB`, above 0."""
    if not isinstance(value, str):
        raise ValueError(value)
    number = size_bytes(value)
    if not 0 < number < 1 << 63:
        raise ValueError(value)
    return number


def percent(value: object) -> float:
    """`200%` or 200."""
    number = float(value.removesuffix("%")) if isinstance(value, str) and value.isascii() else value
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 < number <= 1e6:
        raise ValueError(value)
    return float(number)


def overlap(value: object) -> str:
    """The policy, a wait in seconds: `wait:10m` is `wait:600`."""
    word, colon, rest = text(value).partition(":")
    if word == "wait" and colon:
        return f"wait:{duration(rest):g}"
    return choice(("skip", "queue", "replace", "allow"))(value)


def environment(value: object) -> dict[str, str]:
    """Names and texts."""
    if not isinstance(value, dict):
        raise ValueError(value)
    for name, one in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or not isinstance(one, str) or "\0" in one:
            raise ValueError(value)
    return dict(value)
