"""A container engine, asked at its socket: does it answer, and which containers are unhealthy or restarting?

Source: Docker Engine API, `GET /_ping` and `GET /containers/json` with the filters `health` and `status`; Podman too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from urllib.parse import quote

from mltop.checks.service.asked import place_of
from mltop.checks.service.exchange import LARGE_BYTES, SMALL_BYTES, Reply, exchange
from mltop.checks.service.outcome import Refused, Told, Unasked
from mltop.checks.service.wire import Wire
from mltop.config.service import Docker
from mltop.model.finding import Level
from mltop.system.text import clean

_TROUBLES = {"unhealthy": {"health": ["unhealthy"]}, "restarting": {"status": ["restarting"]}}
"""What is asked for: who fails his health check, and who waits to be started again since he ended by himself."""
_NAMED, _TOLD = 5, 100
"""At most so many containers are named in words, and in the data."""


def ask(docker: Docker) -> Told:
    """Whether it answers, and which containers are unhealthy or restart again and again; raises Refused or Slow."""
    deadline = time.monotonic() + docker.timeout_s
    path = _path(docker)
    ping(path, docker.timeout_s)
    took_s = docker.timeout_s - (deadline - time.monotonic())
    found: dict[str, list[str]] = {}
    for trouble, filters in _TROUBLES.items():
        request = f"/containers/json?filters={quote(json.dumps(filters))}"
        reply = _get(path, request, deadline - time.monotonic(), LARGE_BYTES)
        names = _names(reply)
        if names is None and trouble == "unhealthy":  # Podman knows no state of restarting
            words, action = f"answers, but lists no containers: HTTP {reply.status}", f"docker -H unix://{path} ps"
            return Told(words=words, level=Level.UNKNOWN, reason="error", action=action, took_s=took_s)
        if names:
            found[trouble] = names
    if not found:
        return Told(words="answers, no container is unhealthy", took_s=took_s)
    return Told(
        words=", ".join(f"{trouble}: {_listed(names)}" for trouble, names in found.items()),
        level=Level.WARNING,
        reason=next(iter(found)),
        action=f"docker -H unix://{path} inspect {next(iter(found.values()))[0]}",
        took_s=took_s,
        data={trouble: names[:_TOLD] for trouble, names in found.items()},
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def ping(path: str, timeout_s: float) -> None:
    """Whether it answers; raises Refused or Slow."""
    reply = _get(path, "/_ping", timeout_s, SMALL_BYTES)
    if reply.status != 200:
        raise Refused(f"answers HTTP {reply.status}", reason="status", action="systemctl status docker")


def _path(docker: Docker) -> str:
    """The socket that its own client would take, where none is named; raises Unasked where that is none."""
    host = "" if docker.socket else os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix:///"):
        words = f"DOCKER_HOST is not a socket: {clean(host.partition('@')[2] or host, 80)}"
        raise Unasked(words, "unsupported", "name its socket: socket = …")
    return place_of(docker)


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
