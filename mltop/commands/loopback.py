"""Which of the usual services answer on this box right now."""

from __future__ import annotations

import contextlib
import http.client
import socket

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
    """Another program may have the port: only a page that is there is a model API's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/health")
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
