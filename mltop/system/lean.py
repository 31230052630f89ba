"""Imports that take less time than they would by themselves, for commands that have to start fast."""

from __future__ import annotations

import sys
from types import ModuleType


def import_msgspec() -> None:
    """Import msgspec with `typing`'s names where it would take those of `typing_extensions`.

    From Python 3.11 on they are the same to it; but where that module is installed, it brings `inspect`, `ast`, `dis`
    and `tokenize` along, a tenth of the time of `mltop --check`. Whoever imports it later gets it as ever.
    """
    name = "typing_extensions"
    if name in sys.modules or "msgspec" in sys.modules:
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system takes for "not there"
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules[name]


def import_argparse() -> None:
    """Import argparse without gettext, for which its few words have no catalogue, and which brings `locale` along.

    Whoever imports gettext later gets the real one.
    """
    name = "gettext"
    if name in sys.modules or "argparse" in sys.modules:
        return
    stand_in = ModuleType(name)
    stand_in.__dict__.update(gettext=str, ngettext=lambda one, many, count: one if count == 1 else many)
    sys.modules[name] = stand_in
    try:
        import argparse  # noqa: F401
    finally:
        del sys.modules[name]
