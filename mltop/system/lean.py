"""Imports that take less time than they would by themselves, for commands that have to start fast.

A few modules of the standard library are imported by others for one name that is hardly ever used, and take longer
than those. While the others are imported, something that has just this name stands in for them; whoever imports them
later gets the real ones. All of it together is a fifth of the time of `mltop --check`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any


def import_argparse() -> None:
    """Argparse without gettext, for its few words have no catalogue; it brings `locale` along."""
    with _standing_in("gettext", gettext=str, ngettext=lambda one, many, count: one if count == 1 else many):
        import argparse  # noqa: F401


def import_pathlib() -> None:
    """Pathlib without `urllib.parse`, which `Path.as_uri` alone uses; it brings `ipaddress` along."""
    with _standing_in("urllib.parse", quote_from_bytes=_quoted):
        import pathlib  # noqa: F401


def import_msgspec() -> None:
    """Msgspec with `typing`'s names where it would take those of `typing_extensions`, from Python 3.11 on the same.

    That module brings `inspect`, `ast`, `dis` and `tokenize` along. Of `uuid` and `decimal` it wants the types only,
    to know their values by, and mltop gives it none. Of its own modules those wait that are about schemas and about
    formats which mltop does not read by it.
    """
    _import_datetime()
    with (
        _standing_in("typing_extensions", is_there=False),
        _standing_in("uuid", UUID=_Unused, SafeUUID=_Unused),
        _standing_in("decimal", Decimal=_Unused),
        _standing_in("msgspec.inspect"),
        _standing_in("msgspec.toml"),
        _standing_in("msgspec.yaml"),
        _standing_in("msgspec._json_schema", schema=_schema, schema_components=_schema_components),
    ):
        import msgspec
    for name in ("inspect", "toml", "yaml"):
        if f"msgspec.{name}" not in sys.modules:  # whoever wants it imports the real one
            vars(msgspec).pop(name, None)


class _Unused:
    """The type of no value."""

    unknown = None
    """As `uuid.SafeUUID` has it."""


def _import_datetime() -> None:
    """`datetime` without what it has in Python first, and then takes from C: up to Python 3.11 that is defined twice.

    Its names are all there in `_datetime`, which from Python 3.12 on is all of it.
    """
    if "datetime" not in sys.modules:
        with suppress(ImportError):
            sys.modules["datetime"] = import_module("_datetime")


def _schema(*arguments: Any, **options: Any) -> Any:
    return import_module("msgspec._json_schema").schema(*arguments, **options)


def _schema_components(*arguments: Any, **options: Any) -> Any:
    return import_module("msgspec._json_schema").schema_components(*arguments, **options)


def _quoted(data: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(data)


@contextmanager
def _standing_in(name: str, *, is_there: bool = True, **names: object) -> Iterator[None]:
    """Have a module of these names in place of one that nobody has imported yet; none at all where it is not there."""
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.__dict__.update(names)
    sys.modules[name] = stand_in if is_there else None  # type: ignore[assignment]  # how import is told "not there"
    try:
        yield
    finally:
        del sys.modules[name]
