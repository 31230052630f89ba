"""A connection with one deadline for all that goes over it: a peer that drips bytes gains no time."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from mltop.checks.service.outcome import Refused, Slow
from mltop.model.finding import Level
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.checks.service.tls import Tls

_REPLY_BYTES = 1 << 20
"""No answer that is waited for is longer."""


class Wire:
    """A connection to a host and port, or to a socket's path; use it as a context manager."""

    def __init__(
        self, host: str, port: int, timeout_s: float, *, socket_name: str = "", tls: Tls | None = None
    ) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._buffer = bytearray()
        with told_as_refused():
            path = f"{host.rstrip('/')}/{socket_name}" if socket_name else host
            if host.startswith("/"):
                self._socket = self._connected_to(path)
            else:
                self._socket = socket.create_connection((host, port), self.left_s())
            if tls is not None:
                self._socket.settimeout(self.left_s())
                self._socket = tls.wrapped(self._socket, host)

    def _connected_to(self, path: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.left_s())
            connection.connect(path)
        except BaseException:
            connection.close()
            raise
        return connection

    def left_s(self) -> float:
        """How much of its time is left, in seconds; raises Slow where none is."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Slow
        return left

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with told_as_refused("ends the connection"):
            self._socket.settimeout(self.left_s())
            self._socket.sendall(data)

    def receive(self, count: int) -> bytes:
        """Exactly so many bytes."""
        if count > _REPLY_BYTES:
            raise Refused("answers something else", Level.CRITICAL, "garbage")
        while len(self._buffer) < count:
            self._more()
        return self._take(count)

    def receive_line(self) -> bytes:
        """A line without its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        return self._take(end + 1).rstrip(b"\r\n")

    def receive_some(self, count: int) -> bytes:
        """Up to so many bytes, as soon as there are any; none at the end."""
        with told_as_refused("ends the connection"):
            self._socket.settimeout(self.left_s())
            return self._socket.recv(count)

    def _more(self) -> None:
        if len(self._buffer) > _REPLY_BYTES:
            raise Refused("answers something else", Level.CRITICAL, "garbage")
        data = self.receive_some(65536)
        if not data:
            raise Refused("ends the connection without an answer")
        self._buffer += data

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def close(self) -> None:
        """Close it; what is not sent yet is not sent."""
        self._socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextlib.contextmanager
def told_as_refused(what: str = "cannot connect") -> Iterator[None]:
    """What the kernel says of a connection, as Refused or Slow."""
    try:
        yield
    except TimeoutError:
        raise Slow from None
    except socket.gaierror as error:
        raise Refused(f"no address: {clean(error.strerror or str(error), 80)}") from None
    except ConnectionRefusedError:
        raise Refused("refuses connections") from None
    except PermissionError:
        raise Refused("no permission to connect", Level.UNKNOWN, "permission") from None
    except OSError as error:
        raise Refused(f"{what}: {error.strerror or clean(str(error), 80)}") from None
