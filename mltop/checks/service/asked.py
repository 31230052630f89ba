"""Which services are asked, and under which id."""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from mltop.checks.service.unit import ANY_FAILED, CHECK, DOCKER, Expectation
from mltop.config.service import Docker, Http, Postgres, Redis, Services, Tcp
from mltop.model.service import ServiceAnswer

Asked = Http | Redis | Postgres | Tcp | Docker
ENGINE_SOCKET = "/run/docker.sock"
PORTS = {"http": 80, "https": 443}
_KINDS = {CHECK: "unit", "api": "http", "redis": "redis", "pg": "postgres", "tcp": "tcp", "docker": "docker"}


class Wanted(msgspec.Struct, frozen=True):
    """What is asked though the config does not name it."""

    units: Expectation | None = None
    """How docker and ssh are expected; `None`: not at all."""
    failed: bool = False
    """Whether any unit has failed."""
    docker: bool = False
    """Whether the engine answers that systemd runs, where it runs one."""

    def units_to_ask(self) -> Expectation | None:
        """As `units`; who asks the engine has to know of its unit."""
        return "usual" if self.units is None and self.docker else self.units

    def asks_systemd(self, services: Services) -> bool:
        """Whether systemd is asked at all."""
        return bool(services.unit) or self.failed or self.units_to_ask() is not None


def wanted_of(services: Services, checks: Collection[str], units: Expectation) -> Wanted:
    """What these checks ask beside the config's services; `units` is how docker and ssh are expected."""
    return Wanted(units if CHECK in checks else None, ANY_FAILED in checks, "docker" in checks and not services.docker)


def selected(services: Services, checks: Collection[str]) -> Services:
    """The services whose check runs."""
    left_out = {kind: () for check, kind in _KINDS.items() if check not in checks}
    return msgspec.structs.replace(services, **left_out)


def checks_of(services: Services) -> list[tuple[str, Asked]]:
    """Each service that is asked by mltop itself, with the id of its check."""
    return [
        *(("api", one) for one in services.http),
        *(("redis", one) for one in services.redis),
        *(("pg", one) for one in services.postgres),
        *(("tcp", one) for one in services.tcp),
        *(("docker", one) for one in services.docker),
    ]


def place_of(service: Asked) -> str:
    """Where it is asked: `host:port`, or a socket's path."""
    if isinstance(service, Docker):
        return service.socket or os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or ENGINE_SOCKET
    if isinstance(service, Http):
        return service.socket or _authority(service.url)
    if isinstance(service, Tcp) or not service.host.startswith("/"):
        return _joined(service.host, service.port)
    return service.host if isinstance(service, Redis) else f"{service.host.rstrip('/')}/.s.PGSQL.{service.port}"


def _authority(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return _joined(parts.hostname or "", parts.port or PORTS[parts.scheme])


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_active_docker(answer: ServiceAnswer) -> bool:
    """Whether this is systemd's word that the container engine runs."""
    return answer.check == CHECK and (answer.data.get("Id"), answer.data.get("ActiveState")) == (DOCKER, "active")
