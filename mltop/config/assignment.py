"""`KEY=VALUE` as a command line says it, for a job of some kind: `schedule=0 3 * * *`, `keep.daily=7`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mltop.config.change import RemoveKey, SetKey
from mltop.config.fault import Fault, nearest, shown
from mltop.config.field import Field
from mltop.config.kind import ALERT, COMMON, KEEP, KINDS, OF_KIND, RULE, keys_of


def assignment(job: str, kind: str, text: str) -> SetKey | RemoveKey:
    """The change that `KEY=VALUE` means; `KEY=` takes the key away. Raises `Fault`.

    A value is read as TOML where the key takes what that gives, else as it stands: no quotes are needed.
    """
    name, equals, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        raise Fault([f"expected KEY=VALUE, got {shown(text)}"])
    if kind in KINDS and key[0] not in keys_of(kind):
        raise Fault([f"{key[0]}: {nearest(key[0], keys_of(kind))}"])
    if not value.strip() and key != ("drill",):
        return RemoveKey(job, key)
    return SetKey(job, key, _value(_field(kind, key), value.strip()))


def _field(kind: str, key: tuple[str, ...]) -> Field | None:
    """What is known of a key; `None` for one of a table of free names."""
    if len(key) == 1:
        return {**COMMON, **OF_KIND.get(kind, {})}.get(key[0])
    tables = {"keep": KEEP, "alert": ALERT, "rules": RULE}
    return tables.get(key[0], {}).get(key[-1])


def _value(field: Field | None, text: str) -> Any:
    readings = [*_as_toml(text)]
    if field is None:  # a whole table, or a name of `env`
        return readings[0] if readings and isinstance(readings[0], dict | list) else text
    for reading in (*readings, text):
        try:
            field.parse(reading)
        except (ValueError, OverflowError):
            continue
        return reading
    return readings[0] if readings else text  # the faults of the edit will say what was expected


def _as_toml(text: str) -> Iterator[Any]:
    import tomllib

    try:
        document = tomllib.loads(f"x = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    if list(document) == ["x"]:
        yield document["x"]
