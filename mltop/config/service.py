"""`[services]` and `[checks]`: which services a verdict asks, and which checks it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from mltop.config.fault import Source, nearest, shown
from mltop.config.field import one_of
from mltop.config.profile import PROFILES, Profile
from mltop.config.quantity import duration_s

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f]*$", description="a text")]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+", max_length=4096, description="an http or https URL")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port, 1 to 65535")]
Pause = Annotated[str, msgspec.Meta(description='a duration such as "2s", above 0 and up to 60s')]
File = Annotated[str, msgspec.Meta(pattern="^/", max_length=4096, description="an absolute path")]
Depth = Annotated[Literal[1, 2, 3, 4], msgspec.Meta(description="1 (TCP), 2 (GET), 3 (model listed) or 4 (a token)")]
Code = Annotated[int, msgspec.Meta(ge=100, le=599, description="an HTTP status, 100 to 599")]
ProfileName = Annotated[Profile, msgspec.Meta(description=one_of(PROFILES))]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What every service has."""

    name: Text
    timeout: Pause = "2s"

    @property
    def timeout_s(self) -> float:
        """How long it may take to answer, in seconds."""
        return duration_s(self.timeout)


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """`[[services.unit]]`: a systemd unit that must be active; a name without an ending is a service."""

    name: Text


class Http(Service, frozen=True, kw_only=True):
    """`[[services.http]]`: a model API."""

    url: Url
    level: Depth = 2
    model: Text | None = None
    """The id that `/v1/models` must list, and that is asked for a token."""
    expect_status: Code | None = None
    """The status that is well; by default any of 200 to 299."""


class Redis(Service, frozen=True, kw_only=True):
    """`[[services.redis]]`."""

    host: Text = "127.0.0.1"
    """A host, or the absolute path of a socket."""
    port: Port = 6379
    password_file: File | None = None


class Postgres(Service, frozen=True, kw_only=True):
    """`[[services.postgres]]`."""

    host: Text = "127.0.0.1"
    """A host, or the folder of a socket."""
    port: Port = 5432
    dsn_file: File | None = None


class Tcp(Service, frozen=True, kw_only=True):
    """`[[services.tcp]]`: a port that must take a connection."""

    host: Text = "127.0.0.1"
    port: Port


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """`[services]`: all of them, by kind."""

    unit: tuple[Unit, ...] = ()
    http: tuple[Http, ...] = ()
    redis: tuple[Redis, ...] = ()
    postgres: tuple[Postgres, ...] = ()
    tcp: tuple[Tcp, ...] = ()


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """`[checks]`: what a verdict leaves out."""

    disabled: Annotated[tuple[Text, ...], msgspec.Meta(description="a list of ids of checks")] = ()
    profile: ProfileName = "default"


_KINDS: Mapping[str, type[msgspec.Struct]] = {
    "unit": Unit,
    "http": Http,
    "redis": Redis,
    "postgres": Postgres,
    "tcp": Tcp,
}


def collect_services(table: dict[str, Any], source: Source, into: dict[str, Any]) -> Iterator[str]:
    """Lay a file's `[services]` over what is there, kind by kind; yields its faults, each with its line."""
    for kind, entries in table.items():
        if kind not in _KINDS:
            yield source.fault(("services", kind), nearest(kind, _KINDS))
        elif not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            yield source.fault(("services", kind), f"expected [[services.{kind}]], got {shown(entries)}")
        else:
            into[kind] = ()
            names: set[str] = set()
            for number, entry in enumerate(entries):
                path = ("services", kind, str(number))
                faults = [*_faults(_KINDS[kind], entry, source, path)]
                yield from faults
                if not faults:
                    into[kind] += (msgspec.convert(entry, _KINDS[kind]),)
                    if entry["name"] in names:
                        yield source.fault((*path, "name"), f"a second {kind} of this name: {shown(entry['name'])}")
                    names.add(entry["name"])


def _faults(kind: type[msgspec.Struct], entry: dict[str, Any], source: Source, path: tuple[str, ...]) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    for key, value in entry.items():
        if key not in hints:
            yield source.fault((*path, key), nearest(key, hints))
            continue
        try:
            msgspec.convert(value, hints[key])
            if key == "timeout" and not 0 < duration_s(value) <= 60:
                raise ValueError
        except ValueError:  # msgspec's own is one
            yield source.fault((*path, key), f"expected {_description(hints[key])}, got {shown(value)}")
    for field in msgspec.structs.fields(kind):
        if field.required and field.encode_name not in entry:
            yield source.fault(path, f"{field.encode_name} is missing")
    if issubclass(kind, Http) and entry.get("level") in (3, 4) and "model" not in entry:
        yield source.fault((*path, "level"), f"level {entry['level']} needs model")


def _description(hint: Any) -> str:
    for one in (hint, *getattr(hint, "__args__", ())):
        for note in getattr(one, "__metadata__", ()):
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
    return "another value"
