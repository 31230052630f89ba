"""`[services]` and `[checks]`: which services a verdict asks, and which checks it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from mltop.config.fault import Source, nearest, one_of, shown
from mltop.config.profile import PROFILES, Profile
from mltop.config.quantity import duration_s

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f]*$", description="a text")]
Url = Annotated[
    str, msgspec.Meta(pattern="^https?://[!-.0-~]+[!-~]*$", max_length=4096, description="an http or https URL")
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port, 1 to 65535")]
Pause = Annotated[str, msgspec.Meta(description='a duration such as "2s", above 0 and up to 60s')]
File = Annotated[str, msgspec.Meta(pattern="^/", max_length=4096, description="an absolute path")]
Depth = Annotated[
    Literal[1, 2, 3, 4, 5],
    msgspec.Meta(description="1 (TCP), 2 (GET), 3 (model listed), 4 (a token) or 5 (tokens in /metrics)"),
]
Path = Annotated[str, msgspec.Meta(pattern="^/[!-~]*$", max_length=4096, description="a path that begins with /")]
Variable = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=256, description="the name of a variable")
]
UnitName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9:_.\\@-]+$", max_length=240, description='a unit\'s name such as "docker" or "ssh.socket"'
    ),
]
"""Of what systemd.unit(5) allows: systemctl takes others for a pattern, or stops at them and tells of no unit."""
Flag = Annotated[bool, msgspec.Meta(description="true or false")]
Role = Annotated[Literal["primary", "standby"], msgspec.Meta(description='"primary" or "standby"')]
Code = Annotated[int, msgspec.Meta(ge=100, le=599, description="an HTTP status, 100 to 599")]
ProfileName = Annotated[Profile, msgspec.Meta(description=one_of(PROFILES))]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What every service has."""

    name: Text
    timeout: Pause | None = None

    @property
    def timeout_s(self) -> float:
        """How long it may take to answer, in seconds."""
        return duration_s(self.timeout) if self.timeout is not None else self.patience_s

    @property
    def patience_s(self) -> float:
        """How long that is where the config does not say; all-smi's doctor gives a check 3 s, and 2 s is slow."""
        return 3.0


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """`[[services.unit]]`: a systemd unit that must be active; a name without an ending is a service."""

    name: UnitName


class Http(Service, frozen=True, kw_only=True):
    """`[[services.http]]`: a model API."""

    url: Url
    level: Depth = 2
    model: Text | None = None
    """The id that the list of models must have, and that is asked for a token."""
    expect_status: Code | None = None
    """The status that is well; by default any of 200 to 299."""
    socket: File | None = None
    """A socket in the file system that is connected to instead of the URL's host."""
    api_path: Path = "/v1"
    """Where the OpenAI-like functions are (`/v1/models`, `/v1/completions`)."""
    metrics_path: Path = "/metrics"
    token_file: File | None = None
    """A file with the bearer token."""
    token_env: Variable | None = None
    user: Text | None = None
    password_file: File | None = None
    password_env: Variable | None = None
    tls_ca_file: File | None = None
    """The authorities to trust, instead of the system's."""
    tls_verify: Flag = True

    @property
    def patience_s(self) -> float:
        """A token of a busy engine takes longer than a page."""
        return 10.0 if self.level == 4 else 3.0


class Redis(Service, frozen=True, kw_only=True):
    """`[[services.redis]]`."""

    host: Text = "127.0.0.1"
    """A host, or the absolute path of a socket."""
    port: Port = 6379
    user: Text | None = None
    password_file: File | None = None
    password_env: Variable | None = None
    tls: Flag = False
    tls_ca_file: File | None = None
    tls_verify: Flag = True


class Postgres(Service, frozen=True, kw_only=True):
    """`[[services.postgres]]`."""

    host: Text = "127.0.0.1"
    """A host, or the folder of a socket."""
    port: Port = 5432
    dsn_file: File | None = None
    """A file, its owner's alone, with the connection string that looks deeper: connections, recovery, lag."""
    role: Role | None = None
    """What it must be: a standby that was promoted, or a primary that was not, is CRITICAL."""


class Docker(Service, frozen=True, kw_only=True):
    """`[[services.docker]]`: a container engine that answers at its socket, and its unhealthy containers."""

    socket: File | None = None
    """By default that of DOCKER_HOST, else /run/docker.sock."""


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
    docker: tuple[Docker, ...] = ()


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
    "docker": Docker,
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
    for key, words in _RULES.get(kind, _no_rules)(entry):
        yield source.fault((*path, key), words)


def _no_rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ()


def _http_rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What no key says alone, by the key that it is about."""
    if entry.get("level") in (3, 4) and "model" not in entry:
        yield "level", f"level {entry['level']} needs model"
    yield from _url_rules(entry.get("url"))
    if "socket" in entry and str(entry.get("url")).startswith("https:"):
        yield "socket", "needs an http:// URL: there is no TLS over it"
    yield from _one_of(entry, "token_file", "token_env", "user")
    yield from _one_of(entry, "password_file", "password_env")
    has_password = "password_file" in entry or "password_env" in entry
    if has_password != ("user" in entry):
        yield "user", "user needs password_file or password_env" if "user" in entry else "a password needs user"


def _url_rules(url: object) -> Iterator[tuple[str, str]]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is not None and "@" in parts.netloc:  # the value is not shown: it has a secret
            yield "url", "a URL must not have a user or password: name user and password_file"
        elif parts is not None and parts.scheme in ("http", "https") and (not parts.hostname or parts.port == 0):
            raise ValueError
    except ValueError:
        yield "url", f"expected an http or https URL with a host and a port, got {shown(url)}"


def _unit_rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = entry.get("name")
    if isinstance(name, str) and name.removesuffix(".service").endswith("@"):
        yield "name", f"a template has no state: name an instance, as {name.partition('@')[0]}@1"


def _redis_rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _one_of(entry, "password_file", "password_env")
    if "user" in entry and not ("password_file" in entry or "password_env" in entry):
        yield "user", "user needs password_file or password_env"
    for key in ("tls_ca_file", "tls_verify"):
        if key in entry and entry.get("tls") is not True:
            yield key, "needs tls = true"


def _postgres_rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "role" in entry and "dsn_file" not in entry:
        yield "role", "role needs dsn_file"


def _one_of(entry: Mapping[str, Any], *keys: str) -> Iterator[tuple[str, str]]:
    given = [key for key in keys if key in entry]
    if len(given) > 1:
        yield given[1], f"{' and '.join(given)} exclude each other"


_RULES: Mapping[type[msgspec.Struct], Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {
    Unit: _unit_rules,
    Http: _http_rules,
    Redis: _redis_rules,
    Postgres: _postgres_rules,
}


def _description(hint: Any) -> str:
    for one in (hint, *getattr(hint, "__args__", ())):
        for note in getattr(one, "__metadata__", ()):
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
    return "another value"
