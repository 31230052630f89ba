"""A container engine, asked at its socket: does it answer, and which containers are unhealthy?

Source: Docker Engine API, `GET /_ping` and `GET /containers/json` with the filter `health`; Podman has both too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from urllib.parse import quote

from mltop.checks.service.exchange import LARGE_BYTES, SMALL_BYTES, Reply, exchange
from mltop.checks.service.outcome import Refused, Told
from mltop.checks.service.wire import Wire
from mltop.config.service import Docker
from mltop.model.finding import Level
from mltop.system.text import clean

USUAL = "/run/docker.sock"
_UNHEALTHY = f"/containers/json?filters={quote(json.dumps({'health': ['unhealthy']}))}"
_NAMED = 5
"""At most so many containers are named."""


def ask(docker: Docker) -> Told:
    """Whether it answers, and which containers are unhealthy; raises Refused or Slow."""
    started = time.monotonic()
    path = docker.socket or _path()
    ping(path, docker.timeout_s)
    took_s = time.monotonic() - started
    reply = _get(path, _UNHEALTHY, docker.timeout_s - took_s, LARGE_BYTES)
    names = _names(reply)
    if names is None:
        words, action = f"answers, but lists no containers: HTTP {reply.status}", f"ask it by hand: docker -H {path} ps"
        return Told(words=words, level=Level.UNKNOWN, reason="error", action=action, took_s=took_s)
    if not names:
        return Told(words="answers, no container is unhealthy", took_s=took_s)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return Told(
        words=f"unhealthy: {', '.join(names[:_NAMED])}{more}",
        level=Level.WARNING,
        reason="unhealthy",
        action=f"docker inspect {names[0]}",
        took_s=took_s,
        data={"unhealthy": names},
    )


def ping(path: str, timeout_s: float) -> None:
    """Whether it answers; raises Refused or Slow."""
    reply = _get(path, "/_ping", timeout_s, SMALL_BYTES)
    if reply.status != 200:
        raise Refused(f"answers HTTP {reply.status}", reason="status", action="systemctl status docker")


def _path() -> str:
    """The socket that its own client would take: DOCKER_HOST's, else the usual one."""
    host = os.environ.get("DOCKER_HOST", "")
    if not host:
        return USUAL
    if not host.startswith("unix:///"):
        words = f"DOCKER_HOST is not a socket: {clean(host.partition('@')[2] or host, 80)}"
        raise Refused(words, Level.UNKNOWN, "unsupported", "name its socket: socket = …")
    return host.removeprefix("unix://")


def _get(path: str, request: str, timeout_s: float, limit_bytes: int) -> Reply:
    try:
        wire = Wire(path, 0, timeout_s)
    except Refused as refused:
        if refused.reason != "permission":
            raise
        raise Refused(str(refused), Level.UNKNOWN, "permission", _remedy(path)) from None
    with wire:
        return exchange(wire, "docker", "GET", request, limit_bytes=limit_bytes)


def _remedy(path: str) -> str:
    """The group that may use the socket."""
    with contextlib.suppress(OSError, KeyError):
        import grp

        number = os.stat(path).st_gid  # noqa: PTH116 - no need of pathlib
        if number != 0:
            return f"join the group {clean(grp.getgrgid(number).gr_name, 64)}"
    return "run as root"


def _names(reply: Reply) -> list[str] | None:
    """The containers of the list, by name, else by the id's first letters; `None` where it is no list of them."""
    if reply.status != 200:
        return None
    try:
        listed = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return None
    return sorted(_name(one) for one in listed)


def _name(container: dict[str, object]) -> str:
    names = container.get("Names")
    if isinstance(names, list) and names and isinstance(names[0], str):
        return clean(names[0].removeprefix("/"), 64)
    return clean(str(container.get("Id", "?")), 12)
