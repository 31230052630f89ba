"""What is wrong with a config file, and where: all of it at once, each fault with its line (D23)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

_HEADER = r"\s*\[{1,2}\s*(?P<path>[^\]]+?)\s*\]{1,2}\s*(?:#.*)?$"
_KEY = r"""\s*(?P<path>(?:"[^"]*"|'[^']*'|[A-Za-z0-9_\-.\s])+?)\s*="""
_PART = r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)"""


class Fault(Exception):  # noqa: N818 - what is wrong, in lines for a reader
    """A config that cannot be used; each line is `FILE:LINE: PATH: what was expected, what is there`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class Source:
    """The text of a config file: where a key stands."""

    def __init__(self, name: str, text: str = "") -> None:
        self.name = name
        self._lines: dict[str, int] = {}
        table: tuple[str, ...] = ()
        counts: dict[tuple[str, ...], int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if header := re.match(_HEADER, line):
                table = _parts(header["path"])
                if line.lstrip().startswith("[["):  # the n-th of an array of tables
                    self._note(table, number)
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, str(counts[table]))
                self._note(table, number)
            elif key := re.match(_KEY, line):
                self._note((*table, *_parts(key["path"])), number)

    def _note(self, path: tuple[str, ...], number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(".".join(path[:length]), number)

    def line(self, path: Sequence[str]) -> int | None:
        """The line of a key, else of the closest table around it."""
        for length in range(len(path), 0, -1):
            if (number := self._lines.get(".".join(path[:length]))) is not None:
                return number
        return None

    def fault(self, path: Sequence[str], what: str) -> str:
        """One located line."""
        number = self.line(path)
        where = f"{self.name}:{number}" if number is not None else self.name
        return f"{where}: {dotted(path)}: {what}"


def dotted(path: Sequence[str]) -> str:
    """A path as TOML writes it; the place in an array of tables as `[0]`."""
    words = [part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"' for part in path]
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(words))


def one_of(words: Sequence[str]) -> str:
    """The words of a choice, for a reader."""
    quoted = [f'"{word}"' for word in words]
    return ", ".join(quoted[:-1]) + (" or " if len(quoted) > 1 else "") + quoted[-1]


def shown(value: object) -> str:
    """A value as TOML writes it, cut to what a line can hold."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        return '"' + "".join(letter if letter.isprintable() else "?" for letter in value[:60]) + '"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)


def nearest(key: str, known: Iterable[str]) -> str:
    """`unknown key`, with the known one it most resembles."""
    import difflib  # only needed where something is wrong

    names = sorted(known)
    close = difflib.get_close_matches(key, names, 1, 0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known are {', '.join(names)}" if len(names) <= 8 else "unknown key"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(double or single or bare for double, single, bare in re.findall(_PART, path))
