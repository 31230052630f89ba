"""Config files to settings: /etc first and the user's over it (D19), every fault located (D23)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from mltop.config.fault import Fault, Source, nearest, shown
from mltop.config.limit import Limit
from mltop.config.limits import KEYS, TABLE, Limits, parse_limit
from mltop.config.location import SYSTEM_CONFIG, explicit_config, user_config
from mltop.config.service import Checks, Services, collect_services
from mltop.config.settings import Expect, Remote, Settings, Ui

UNREAD = frozenset({"notify", "defaults", "jobs"})
"""Tables that other parts of mltop read for themselves."""
_STRUCTS: Mapping[str, type[msgspec.Struct]] = {
    "ui": Ui,
    "expect": Expect,
    "remote": Remote,
    "checks": Checks,
    "services": Services,
}
_MAX_BYTES = 1 << 20


def load(
    option: str | None = None,
    environment: Mapping[str, str] = os.environ,
    system: Path = SYSTEM_CONFIG,
) -> Settings:
    """The settings that hold; raises `Fault` with all that is wrong.

    A file that is not there is no fault, unless `--config` or `MLTOP_CONFIG` named it. Within a table the later file's
    keys go over the earlier's; a limit is replaced as a whole.
    """
    explicit = explicit_config(option, environment)
    own = explicit or user_config(environment)
    merged: dict[str, dict[str, Any]] = {}
    limits: dict[str, Limit] = {}
    faults: list[str] = []
    files: list[str] = []
    for path in dict.fromkeys(path for path in (system, own) if path is not None):
        try:
            raw, source = _parsed(path, must_exist=path == explicit)
        except Fault as fault:
            faults.extend(fault.lines)
            continue
        if source is not None:
            files.append(str(path))
            faults.extend(_collect(raw, source, merged, limits))
    if faults:
        raise Fault(faults)
    tables: dict[str, Any] = {name: kind(**merged.get(name, {})) for name, kind in _STRUCTS.items()}
    judged = Limits(limits, tuple(mount.rstrip("/") or "/" for mount in tables["expect"].mounts))
    return Settings(limits=judged, files=tuple(files), **tables)


def _parsed(path: Path, *, must_exist: bool) -> tuple[dict[str, Any], Source | None]:
    """A file's tables and where they stand; no source where there is no file."""
    name = path.name if path.name == "config.toml" and not must_exist else str(path)
    try:
        text = _text(path)
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise Fault([f"{name}: no such file"]) from None
        return {}, None
    except IsADirectoryError:
        raise Fault([f"{name}: is a directory"]) from None
    except UnicodeDecodeError as error:
        raise Fault([f"{name}: not UTF-8 (byte {error.start})"]) from None
    except OSError as error:
        raise Fault([f"{name}: cannot be read: {error.strerror}"]) from None
    import tomllib  # only where there is a file

    try:
        return tomllib.loads(text), Source(name, text)
    except tomllib.TOMLDecodeError as error:
        raise Fault([_syntax(name, str(error))]) from None
    except RecursionError:
        raise Fault([f"{name}: nested too deep"]) from None


def _text(path: Path) -> str:
    """The text of a file, or of /dev/null; a FIFO would keep the reader waiting."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            raise OSError(errno.EINVAL, "not a file")
        data = bytearray()
        while len(data) < _MAX_BYTES and (block := os.read(descriptor, 65536)):
            data += block
        return data.decode("utf-8-sig")
    finally:
        os.close(descriptor)


def _syntax(name: str, message: str) -> str:
    """TOML's complaint, its place moved to the front."""
    what, _, place = message.rpartition(" (at ")
    line = place.removeprefix("line ").partition(",")[0]
    return f"{name}:{line}: {what}" if what and line.isdigit() else f"{name}: {message}"


def _collect(
    raw: dict[str, Any], source: Source, merged: dict[str, dict[str, Any]], limits: dict[str, Limit]
) -> Iterable[str]:
    """Lay a file's values over what is there; yields its faults."""
    for name, value in raw.items():
        if name == "version":
            if value != 1 or isinstance(value, bool):
                yield source.fault((name,), f"expected 1, got {shown(value)}")
        elif name in UNREAD:
            continue
        elif name not in (*_STRUCTS, "limits"):
            yield source.fault((name,), nearest(name, {"version", "limits", *_STRUCTS, *UNREAD}))
        elif not isinstance(value, dict):
            yield source.fault((name,), f"expected a table, got {shown(value)}")
        elif name == "limits":
            yield from _collect_limits(value, source, limits)
        elif name == "services":
            yield from collect_services(value, source, merged.setdefault(name, {}))
        else:
            yield from _collect_table(name, value, source, merged.setdefault(name, {}))


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
    for check, value in _flat(table):
        if check not in TABLE:
            yield source.fault(("limits", check), nearest(check, TABLE))
            continue
        try:
            limits[check] = parse_limit(check, value)
        except KeyError as error:
            yield source.fault(("limits", check, error.args[0]), nearest(error.args[0], KEYS))
        except ValueError as error:
            yield source.fault(("limits", check), str(error))


def _flat(table: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Ids hold a dot: `disk.space = 90` without quotes is a table in a table, and means the same."""
    for name, value in table.items():
        if isinstance(value, dict) and name not in TABLE and not set(value) & set(KEYS):
            for rest, limit in value.items():
                yield f"{name}.{rest}", limit
        else:
            yield name, value
