"""One HTTP request and its answer, under the deadline of a `Wire`."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from mltop import __version__
from mltop.checks.service.outcome import Refused
from mltop.checks.service.wire import Wire
from mltop.model.finding import Level

SMALL_BYTES = 64 << 10
"""All of a health page; nobody needs what is beyond."""
LARGE_BYTES = 4 << 20


class Reply(NamedTuple):
    """What came back."""

    status: int
    location: str
    """Where a redirect points to; "" for none."""
    body: bytes

    def object(self) -> dict[str, Any]:
        """The JSON object that came back; an empty one where something else did."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


def exchange(
    wire: Wire,
    host: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    limit_bytes: int = SMALL_BYTES,
) -> Reply:
    """Send a request and take the answer, up to `limit_bytes` of its body; raises Refused or Slow.

    `host` is that of the header, with the port where it is not the usual one. The wire is good for this one request.
    """
    sent = {"Host": host, "User-Agent": f"mltop/{__version__}", "Connection": "close", **(headers or {})}
    connection = http.client.HTTPConnection("localhost")
    connection.response_class = _Response
    connection.sock = _Socket(wire)  # all of a socket that http.client uses
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        data = response.read(limit_bytes)
    except http.client.IncompleteRead:
        raise Refused("ends the connection in the middle of its answer") from None
    except (http.client.HTTPException, ValueError) as error:  # a chunk whose size is no number is a ValueError
        raise Refused(f"answers no HTTP: {type(error).__name__}", Level.CRITICAL, "garbage") from None
    if response.length and len(data) < limit_bytes:
        raise Refused("ends the connection in the middle of its answer")
    return Reply(response.status, response.headers.get("Location", ""), data)


class _Response(http.client.HTTPResponse):
    """The answer itself: others of 102 to 199 (Early Hints) come before it, as 100 does, and are passed over."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, http.HTTPStatus.CONTINUE if 102 <= status <= 199 else status, reason


class _Socket:
    """A wire as http.client sees a socket; closing it is its owner's affair."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def sendall(self, data: bytes) -> None:
        self._wire.send(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._wire))

    def close(self) -> None:
        pass


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._wire.receive_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)
