"""Config files to settings: /etc first and the user's over it (D19), every fault located (D23)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from mltop.config.document import read_files
from mltop.config.fault import Fault, Source, nearest, shown
from mltop.config.limit import Limit
from mltop.config.limits import KEYS, TABLE, Limits, parse_limit
from mltop.config.location import SYSTEM_CONFIG
from mltop.config.service import Checks, Services, collect_services
from mltop.config.settings import Expect, Log, Remote, Settings, Ui

UNREAD = frozenset({"notify", "defaults", "jobs"})
"""Tables that other parts of mltop read for themselves."""
_STRUCTS: Mapping[str, type[msgspec.Struct]] = {
    "ui": Ui,
    "expect": Expect,
    "remote": Remote,
    "log": Log,
    "checks": Checks,
    "services": Services,
}


def load(
    option: str | None = None,
    environment: Mapping[str, str] = os.environ,
    system: Path = SYSTEM_CONFIG,
) -> Settings:
    """The settings that hold; raises `Fault` with all that is wrong.

    A file that is not there is no fault, unless `--config` or `MLTOP_CONFIG` named it. Within a table the later file's
    keys go over the earlier's; a limit is replaced as a whole.
    """
    files = read_files(option, environment, system)
    merged: dict[str, dict[str, Any]] = {}
    limits: dict[str, Limit] = {}
    faults = list(files.faults)
    for document in files.documents:
        faults.extend(_collect(document.raw, document.source, merged, limits))
    if faults:
        raise Fault(faults)
    tables: dict[str, Any] = {name: kind(**merged.get(name, {})) for name, kind in _STRUCTS.items()}
    expect = tables["expect"]
    judged = Limits(limits, tuple(mount.rstrip("/") or "/" for mount in expect.mounts), expect.links, expect.link_gbit)
    return Settings(limits=judged, files=tuple(str(document.path) for document in files.documents), **tables)


def _collect(
    raw: dict[str, Any], source: Source, merged: dict[str, dict[str, Any]], limits: dict[str, Limit]
) -> Iterable[str]:
    """Lay a file's values over what is there; yields its faults."""
    for name, value in raw.items():
        if (fault := _of_name(name, value, source)) is not None:
            yield fault
        elif name == "version" or name in UNREAD:
            continue
        elif not isinstance(value, dict):
            yield source.fault((name,), f"expected a table, got {shown(value)}")
        elif name == "limits":
            yield from _collect_limits(value, source, limits)
        elif name == "services":
            yield from collect_services(value, source, merged.setdefault(name, {}))
        else:
            yield from _collect_table(name, value, source, merged.setdefault(name, {}))


def frame_faults(raw: dict[str, Any], source: Source) -> Iterable[str]:
    """What is wrong with a file's version and the names of its tables: `[job.x]` is no job, and should be said so."""
    return [fault for name, value in raw.items() if (fault := _of_name(name, value, source)) is not None]


def _of_name(name: str, value: object, source: Source) -> str | None:
    if name == "version":
        is_known = value == 1 and not isinstance(value, bool)
        return None if is_known else source.fault((name,), f"expected 1, got {shown(value)}")
    if name in UNREAD or name in (*_STRUCTS, "limits"):
        return None
    return source.fault((name,), nearest(name, {"version", "limits", *_STRUCTS, *UNREAD}))


def _collect_table(name: str, table: dict[str, Any], source: Source, into: dict[str, Any]) -> Iterable[str]:
    kinds = get_type_hints(_STRUCTS[name], include_extras=True)
    for key, value in table.items():
        if key not in kinds:
            yield source.fault((name, key), nearest(key, kinds))
            continue
        try:
            into[key] = msgspec.convert(value, kinds[key])
        except msgspec.ValidationError as error:
            yield source.fault((name, key), f"expected {_expected(kinds[key], error)}, got {shown(value)}")


def _expected(kind: Any, error: msgspec.ValidationError) -> str:
    """What the field's own description says; else what msgspec says."""
    for one in (kind, *getattr(kind, "__args__", ())):
        for note in getattr(one, "__metadata__", ()):
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
    return str(error)


def _collect_limits(table: dict[str, Any], source: Source, limits: dict[str, Limit]) -> Iterable[str]:
    for check, value in flat_limits(table):
        if check not in TABLE:
            yield source.fault(("limits", check), nearest(check, TABLE))
            continue
        try:
            limits[check] = parse_limit(check, value)
        except KeyError as error:
            yield source.fault(("limits", check, error.args[0]), nearest(error.args[0], KEYS))
        except ValueError as error:
            yield source.fault(("limits", check), str(error))


def flat_limits(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Ids hold a dot: `disk.space = 90` without quotes is a table in a table, and means the same."""
    for name, value in table.items():
        if isinstance(value, dict) and name not in TABLE and not set(value) & set(KEYS):
            for rest, limit in value.items():
                yield f"{name}.{rest}", limit
        else:
            yield name, value
