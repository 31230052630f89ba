"""Which of the usual services answer on this box right now."""

from __future__ import annotations

import contextlib
import socket

from mltop.checks.service.exchange import exchange
from mltop.checks.service.outcome import Refused, Slow
from mltop.checks.service.wire import Wire

_PATIENCE_S = 0.3
_PORTS = {"redis": 6379, "postgres": 5432}
_API_PORT = 8080


def answering() -> frozenset[str]:
    """Those of `http` (a health page on 8080), `redis` and `postgres` that answer on loopback, within a second."""
    found = {name for name, port in _PORTS.items() if _is_open(port)}
    return frozenset(found | ({"http"} if _is_open(_API_PORT) and _is_healthy(_API_PORT) else set()))


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), _PATIENCE_S):
        return True
    return False


def _is_healthy(port: int) -> bool:
    """Another program may have the port, and drip: only a page that is there in that time is a model API's."""
    with contextlib.suppress(Refused, Slow), Wire("127.0.0.1", port, _PATIENCE_S) as wire:
        return 200 <= exchange(wire, f"localhost:{port}", "GET", "/health").status < 300
    return False
