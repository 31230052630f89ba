"""What an edit does to the jobs of a config: to its tables, and to its text, which must come to the same."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mltop.config.fault import Fault, dotted, nearest
from mltop.config.statement import Path, Statement, statements


class SetKey(msgspec.Struct, frozen=True):
    """Give a key of a job a value; `key` is its path below the job: `("keep", "daily")`."""

    job: str
    key: Path
    value: Any


class RemoveKey(msgspec.Struct, frozen=True):
    """Take a key of a job away."""

    job: str
    key: Path


class AddJob(msgspec.Struct, frozen=True):
    """Add a job, with its table as the config has it."""

    job: str
    table: Mapping[str, Any]


class RemoveJob(msgspec.Struct, frozen=True):
    """Take a job away, with the comment above it."""

    job: str


Change = SetKey | RemoveKey | AddJob | RemoveJob


def changed(raw: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The tables after a change; raises `Fault` where it cannot be made."""
    after = copy.deepcopy(dict(raw))
    jobs = after.setdefault("jobs", {})
    if not isinstance(jobs, dict):
        raise Fault(["jobs: not a table"])
    if isinstance(change, AddJob):
        if change.job in jobs:
            raise Fault([f"jobs.{change.job}: a job of this name is there already"])
        jobs[change.job] = _plain(change.table)
        return after
    if not isinstance(jobs.get(change.job), dict):
        raise Fault([f"jobs.{change.job}: no such job"])
    if isinstance(change, RemoveJob):
        del jobs[change.job]
        return after
    *above, last = change.key
    table = _table(jobs[change.job], change, above, make=isinstance(change, SetKey))
    if isinstance(change, SetKey):
        table[_place(table, last)] = _plain(change.value)
    elif last in table:
        del table[last]
    else:
        raise Fault([f"{dotted(('jobs', change.job, *change.key))}: is not set: {nearest(last, table)}"])
    return after


def changed_text(text: str, change: Change) -> str:
    """The text after a change, every byte as it was but for what changed; raises `Fault`."""
    try:
        found = list(statements(text))
        if isinstance(change, AddJob):
            return _added(text, change)
        where = ("jobs", change.job)
        if isinstance(change, RemoveJob):
            return _without(text, found, where)
        if isinstance(change, RemoveKey):
            return _without(text, found, (*where, *change.key))
        return _with(text, found, (*where, *change.key), change.value)
    except ValueError as error:
        raise Fault([f"cannot be edited here: {error}; edit it by hand"]) from None


def same(one: object, other: object) -> bool:
    """Whether two readings of TOML say the same; a table with nothing in it is as good as none, nan is itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _table(table: Any, change: SetKey | RemoveKey, above: list[str], *, make: bool) -> Any:
    for number, key in enumerate(above):
        if isinstance(table, dict) and make:
            table.setdefault(key, {})
        try:
            table = table[_place(table, key)]
        except (KeyError, IndexError, TypeError):
            table = None
        if not isinstance(table, dict | list):
            raise Fault([f"{dotted(('jobs', change.job, *above[: number + 1]))}: not a table"])
    return table


def _place(table: Any, key: str) -> str | int:
    return int(key) if isinstance(table, list) and key.isdigit() else key


def _plain(value: Any) -> Any:
    """A value as TOML's reader gives it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _added(text: str, change: AddJob) -> str:
    import tomlkit  # only where something is written

    line_end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    if text and not text.endswith("\n"):
        text += line_end
    section = tomlkit.dumps({"jobs": {change.job: _plain(change.table)}}).strip("\n") + "\n"
    return text + (line_end if text else "") + section.replace("\n", line_end)


def _without(text: str, found: list[Statement], path: Path) -> str:
    """The text without all that stands at or below a path."""
    spans = [
        (one.start, one.end)
        for one in found
        if one.kind == "key" and _is_below(one.path, path) and not _is_below(one.table, path)
    ]
    spans += [_section(found, first, last) for first, last in _runs(found, path)]
    if not spans:
        return _nested(text, found, path, None)
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text


def _runs(found: list[Statement], path: Path) -> Iterator[tuple[int, int]]:
    """The places of the first header and the last key of the tables at or below a path, each unbroken run of them."""
    first = last = -1
    for number, one in enumerate(found):
        if one.kind == "table" and not _is_below(one.path, path):
            if first >= 0:
                yield first, last
            first = -1
        elif one.kind == "table" and first < 0:
            first = last = number
        elif one.kind in ("table", "key"):
            last = number
    if first >= 0:
        yield first, last


def _section(found: list[Statement], number: int, last: int) -> tuple[int, int]:
    """From the comment right above a header to the blank lines below the last key."""
    first = number
    while first > 0 and found[first - 1].kind == "comment":
        first -= 1
    if first == 0 < number:
        first = number  # what stands at the top is about the file
    after = last + 1
    while after < len(found) and found[after].kind == "comment":
        after += 1
    if after < len(found) and found[after].kind == "table":
        after = last + 1  # that comment is about the next one
    while after < len(found) and found[after].kind == "blank":
        after += 1
    if after == len(found) and first > 0 and found[first - 1].kind == "blank" and found[after - 1].kind != "blank":
        first -= 1
    return found[first].start, found[after - 1].end


def _with(text: str, found: list[Statement], path: Path, value: Any) -> str:
    for one in found:
        if one.kind == "key" and one.path == path:
            start, end = one.value
            return text[:start] + _rendered(value) + text[end:]
    if any(one.kind == "key" and one.path == path[: len(one.path)] for one in found):
        return _nested(text, found, path, value)
    if any(_is_below(one.path, path) for one in found if one.kind in ("key", "table")):
        text = _without(text, found, path)
        found = list(statements(text))
    return _inserted(text, found, path, value)


def _inserted(text: str, found: list[Statement], path: Path, value: Any) -> str:
    """A new line after the last key of the closest table around the path."""
    homes = [
        one
        for one in found
        if (one.kind == "table" and len(one.path) >= 2 and _is_below(path, one.path))
        or (one.kind == "key" and _is_below(one.path, path[:2]) and _is_below(path, one.table))
    ]
    if not homes:
        raise ValueError(f"no table [{dotted(path[:2])}]")
    home = max(homes, key=lambda one: len(one.table)).table
    after = [one for one in found if one.table == home and one.kind in ("table", "key")][-1]
    line = text[after.start : after.end]
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    line_end = "\r\n" if line.endswith("\r\n") else "\n"
    gap = "" if line.endswith("\n") else line_end
    added = f"{gap}{indent}{_key(path[len(home) :])} = {_rendered(value)}{line_end}"
    return text[: after.end] + added + text[after.end :]


def _nested(text: str, found: list[Statement], path: Path, value: Any) -> str:
    """A change within an inline table; without a value: the key goes."""
    import tomlkit

    for one in found:
        if one.kind == "key" and len(one.path) < len(path) and _is_below(path, one.path):
            start, end = one.value
            document = tomlkit.parse("x = " + text[start:end])
            *above, last = ("x", *path[len(one.path) :])
            table: Any = document
            for key in above:
                if isinstance(table, dict) and key not in table and value is not None:
                    table[key] = tomlkit.inline_table()
                table = table[_place(table, key)]
            if value is None:
                del table[last]
            else:
                table[_place(table, last)] = value
            inline = tomlkit.dumps(document).removeprefix("x = ").rstrip("\n")
            return text[:start] + re.sub(r"^\{ +", "{ ", inline) + text[end:]
    raise ValueError(f"{dotted(path)} is not there")


def _rendered(value: Any) -> str:
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(_plain(value))
        return str(table.as_string())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_rendered(one) for one in value) + "]"
    return str(tomlkit.item(value).as_string())


def _key(path: Path) -> str:
    import tomlkit

    return ".".join(tomlkit.key(part).as_string() for part in path)


def _is_below(path: Path, above: Path) -> bool:
    """Whether a path is this one or below it."""
    return path[: len(above)] == above
