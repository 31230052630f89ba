"""Servers on loopback that answer as they are told."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Answering = Callable[[socket.socket], None]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room in the 107 bytes of a socket's (unix(7)), wherever this box has its TMPDIR."""
    with tempfile.TemporaryDirectory(prefix="mltop-", dir="/tmp") as folder:
        yield Path(folder)


class FakeServer:
    """Takes connections one after another, and does with each what `answer` says."""

    def __init__(self, answer: Answering) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self._thread.start()

    def _serve(self, answer: Answering) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                with contextlib.suppress(OSError):
                    answer(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[[Answering | bytes], FakeServer]]:
    """Starts a server that sends these bytes to each request, or does as the function says."""
    servers: list[FakeServer] = []

    def serving(answer: Answering | bytes) -> FakeServer:
        if isinstance(answer, bytes):
            data = answer

            def answer(connection: socket.socket) -> None:
                connection.recv(65536)
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)

        servers.append(FakeServer(answer))
        return servers[-1]

    yield serving
    for server in servers:
        server.close()
