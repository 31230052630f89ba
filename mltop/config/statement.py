"""A TOML file's text as statements: where each begins and ends, so that one can change and no byte elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Path = tuple[str, ...]
_TOKEN = re.compile(
    r'(?P<string>"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*')"
    r"|(?P<comment>\#[^\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<end>\r?\n)|(?P<space>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_PATH = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_LINE = re.compile(
    rf"[ \t]*(?:(?P<blank>\r?\n|$)|(?P<comment>\#)|(?P<open>\[\[?)[ \t]*(?P<table>{_PATH})[ \t]*\]"
    rf"|(?P<key>{_PATH})[ \t]*=[ \t]*)"
)


class Statement(NamedTuple):
    """One line, or the lines of one value."""

    kind: Literal["table", "key", "comment", "blank"]
    start: int
    end: int
    """After its line's end."""
    path: Path = ()
    """Of what it defines, from the top of the file; the place in an array of tables as a number."""
    table: Path = ()
    """The table it stands in."""
    value: tuple[int, int] = (0, 0)
    """Where the value of a key begins and ends."""


def statements(text: str) -> Iterator[Statement]:
    """All statements of a text that is TOML; raises ValueError where it is not."""
    table: Path = ()
    counts: dict[Path, int] = {}
    position = 0
    while position < len(text):
        line = _LINE.match(text, position)
        if line is None:
            raise ValueError(f"not TOML at {text[position : position + 40]!r}")
        if line["key"]:
            end, value_end = _value(text, line.end())
            path = (*table, *_parts(line["key"]))
            yield Statement("key", position, end, path, table, (line.end(), value_end))
        else:
            end = text.find("\n", position) + 1 or len(text)
            if line["table"]:
                table = _parts(line["table"])
                if line["open"] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, str(counts[table]))
                yield Statement("table", position, end, table, table)
            else:
                yield Statement("comment" if line["comment"] else "blank", position, end, (), table)
        position = end


def _value(text: str, start: int) -> tuple[int, int]:
    """Where the line of a value ends, and the value itself."""
    depth, value_end, position = 0, start, start
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            break
        position = token.end()
        if token.lastgroup == "end" and depth <= 0:
            return position, value_end
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        if token.lastgroup in ("string", "other", "open", "close"):
            value_end = position
    return len(text), value_end


def _parts(path: str) -> Path:
    parts = (one.group() for one in re.finditer(_PART, path))
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in parts)
