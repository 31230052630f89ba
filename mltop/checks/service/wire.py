"""A connection with one deadline for all that goes over it: a peer that drips bytes gains no time."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mltop.checks.service.outcome import Refused, Slow
from mltop.model.finding import Level
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.checks.service.tls import Tls

_REPLY_BYTES = 1 << 20
"""No answer that is waited for is longer."""
_RETRY_S = 0.02


class Wire:
    """A connection to a host and port, or to a socket's path; use it as a context manager."""

    def __init__(
        self, host: str, port: int, timeout_s: float, *, socket_name: str = "", tls: Tls | None = None
    ) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._buffer = bytearray()
        self.days_left: float | None = None
        """For how many days the peer's certificate is still good; `None` where it is not due to be renewed."""
        with told_as_refused():
            path = f"{host.rstrip('/')}/{socket_name}" if socket_name else host
            if host.startswith("/"):
                self._socket = self._connected(socket.AF_UNIX, path, self.left_s())
            else:
                self._socket = self._connected_to_any(host, port)
            if tls is not None:
                self._socket.settimeout(self.left_s())
                self._socket = tls.wrapped(self._socket, host)
                self.days_left = tls.days_left(self._socket)

    def _connected_to_any(self, host: str, port: int) -> socket.socket:
        """Over the first of its addresses that takes a connection; one that is silent leaves the others their time."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for left, (family, _, _, _, address) in zip(range(len(found), 0, -1), found, strict=True):
            try:
                return self._connected(family, address, self.left_s() / left)
            except OSError:
                if left == 1:
                    raise
        raise Refused("no address")

    def _connected(self, family: int, address: Any, time_s: float) -> socket.socket:
        connection = socket.socket(family)
        try:
            connection.settimeout(time_s)
            while True:
                try:
                    connection.connect(address)
                except BlockingIOError:  # a socket's path whose queue is full: connect(2) does not wait there
                    self.left_s()
                    time.sleep(_RETRY_S)
                else:
                    return connection
        except BaseException:
            connection.close()
            raise

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
        words = f"no address: {clean(error.strerror or str(error), 80)}"
        raise Refused(words, action="correct its host's name, or look at /etc/resolv.conf") from None
    except ConnectionRefusedError:
        raise Refused("refuses connections") from None
    except PermissionError:
        action = "let this user connect to it"
        raise Refused("no permission to connect", Level.UNKNOWN, "permission", action) from None
    except OSError as error:
        raise Refused(f"{what}: {error.strerror or clean(str(error), 80)}") from None
