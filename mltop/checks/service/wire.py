"""A connection with one deadline for all that goes over it: a peer that drips bytes gains no time."""

from __future__ import annotations

import socket
import time
from types import TracebackType

from mltop.checks.service.outcome import Refused, Slow
from mltop.model.finding import Level
from mltop.system.text import clean

_REPLY_BYTES = 1 << 20
"""No answer that is waited for is longer."""


class Wire:
    """A connection to a host and port, or to a socket's path; use it as a context manager."""

    def __init__(self, host: str, port: int, timeout_s: float, *, socket_name: str = "") -> None:
        self._deadline = time.monotonic() + timeout_s
        self._buffer = bytearray()
        try:
            self._socket = self._connected(host, port, socket_name)
        except TimeoutError:
            raise Slow from None
        except socket.gaierror as error:
            raise Refused(f"no address: {clean(error.strerror or str(error), 80)}") from None
        except ConnectionRefusedError:
            raise Refused("refuses connections") from None
        except PermissionError:
            raise Refused("no permission to connect", Level.UNKNOWN, "permission") from None
        except OSError as error:
            raise Refused(f"cannot connect: {error.strerror or error}") from None

    def _connected(self, host: str, port: int, socket_name: str) -> socket.socket:
        if host.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(self._left())
                connection.connect(f"{host.rstrip('/')}/{socket_name}" if socket_name else host)
            except BaseException:
                connection.close()
                raise
            return connection
        return socket.create_connection((host, port), self._left())

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Slow
        return left

    def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        except TimeoutError:
            raise Slow from None
        except OSError as error:
            raise Refused(f"ends the connection: {error.strerror or error}") from None

    def receive(self, count: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._buffer) < count:
            self._more()
        return self._take(count)

    def receive_line(self) -> bytes:
        """A line without its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        return self._take(end + 1).rstrip(b"\r\n")

    def _more(self) -> None:
        if len(self._buffer) > _REPLY_BYTES:
            raise Refused("answers something else", Level.CRITICAL, "garbage")
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(65536)
        except TimeoutError:
            raise Slow from None
        except OSError as error:
            raise Refused(f"ends the connection: {error.strerror or error}") from None
        if not data:
            raise Refused("ends the connection without an answer")
        self._buffer += data

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()
