"""A container engine's socket, by a server at a path that answers as one does, or as one should not."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from needed import by_modes
from patience import assert_within

from mltop.checks.service import child
from mltop.checks.service.child import ask
from mltop.config.service import Docker
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer

Reply = bytes | Callable[[socket.socket], None]


def http(status: str, body: object) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


PONG = http("200 OK", b"OK")


def container(name: str | None, **more: object) -> dict[str, object]:
    names = {} if name is None else {"Names": [f"/{name}"]}
    return {"Id": "4cb07b47f9fb" + "0" * 52, "Image": "redis:7", "State": "running", **names, **more}


class Engine:
    """An engine at a socket; a list by `health` or `status` is what the test says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ping: Reply = PONG
        self.unhealthy: Reply = http("200 OK", [])
        self.restarting: Reply = http("200 OK", [])
        self.heard: list[str] = []
        self.done = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self._listener.accept()[0] as connection, contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        target = urlsplit(connection.recv(65536).split()[1].decode())
        self.heard.append(target.path)
        filters = json.loads(parse_qs(target.query).get("filters", ["{}"])[0])
        wanted = self.ping
        if target.path == "/containers/json":
            wanted = self.unhealthy if filters == {"health": ["unhealthy"]} else self.restarting
        if callable(wanted):
            wanted(connection)
        else:
            connection.sendall(wanted)

    def silent(self, _: socket.socket) -> None:
        self.done.wait(10)

    def close(self) -> None:
        self.done.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def engine(short_path: Path) -> Iterator[Engine]:
    made = Engine(short_path / "docker.sock")
    yield made
    made.close()


def asked(path: Path, timeout: str = "2s") -> ServiceAnswer:
    answer = ask("docker", Docker(name="d", socket=str(path), timeout=timeout))
    assert answer.place == str(path)
    return answer


def test_an_engine_that_is_well(engine: Engine) -> None:
    answer = asked(engine.path)
    assert (answer.level, answer.reason) == (Level.OK, "ok")
    assert engine.heard == ["/_ping", "/containers/json", "/containers/json"]


def test_unhealthy_containers_are_named(engine: Engine) -> None:
    engine.unhealthy = http("200 OK", [container("web"), container("db"), container(None)])
    answer = asked(engine.path)
    assert (answer.level, answer.reason) == (Level.WARNING, "unhealthy")
    assert "unhealthy: 4cb07b47f9fb, db, web" in answer.summary
    assert answer.action == f"docker -H unix://{engine.path} inspect 4cb07b47f9fb"
    engine.unhealthy = http("200 OK", [container(f"c{n}") for n in range(7000)])
    many = asked(engine.path)
    assert "and 6995 more" in many.summary
    assert len(many.data["unhealthy"]) == 100


def test_a_container_in_a_restart_loop_is_named(engine: Engine) -> None:
    engine.restarting = http("200 OK", [container("loops", State="restarting")])
    answer = asked(engine.path)
    assert (answer.level, answer.reason) == (Level.WARNING, "restarting")
    assert "restarting: loops" in answer.summary
    engine.unhealthy = http("200 OK", [container("ill")])
    assert "unhealthy: ill, restarting: loops" in asked(engine.path).summary
    engine.unhealthy = http("200 OK", [])
    engine.restarting = http("500 Internal Server Error", {"cause": "restarting is not a valid value"})  # Podman
    assert asked(engine.path).level is Level.OK


def test_a_name_with_escapes_is_harmless(engine: Engine) -> None:
    engine.unhealthy = http("200 OK", [container("\x1b[31m\u202eevil\n"), {"Names": [7]}, {"Names": "x", "Id": None}])
    answer = asked(engine.path)
    assert answer.level is Level.WARNING
    assert answer.summary.isprintable()


@pytest.mark.parametrize(
    ("ping", "expected"),
    [
        (http("500 Internal Server Error", b""), (Level.CRITICAL, "status")),
        (http("404 Not Found", b""), (Level.CRITICAL, "status")),
        (b"+PONG\r\n", (Level.CRITICAL, "garbage")),
        (b"", (Level.CRITICAL, "garbage")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nO", (Level.CRITICAL, "down")),
    ],
)
def test_an_engine_that_is_not_well(engine: Engine, ping: bytes, expected: Any) -> None:
    engine.ping = ping
    answer = asked(engine.path)
    assert (answer.level, answer.reason) == expected


@pytest.mark.parametrize(
    "listed",
    [
        http("200 OK", b"not json"),
        http("200 OK", {"message": "no"}),
        http("200 OK", ["a"]),
        http("200 OK", b"[" * 200000),
        http("200 OK", b'[{"Id": "' + b"x" * (5 << 20)),
        http("403 Forbidden", {"message": "filtered by a proxy"}),
    ],
    ids=["no-json", "object", "texts", "deep", "huge", "forbidden"],
)
def test_an_engine_that_answers_and_lists_nothing_is_unknown(engine: Engine, listed: bytes) -> None:
    """A proxy before the socket (docker-socket-proxy) lets `_ping` through, and no more."""
    engine.unhealthy = listed
    answer = asked(engine.path)
    assert (answer.level, answer.reason) == (Level.UNKNOWN, "error")
    assert answer.action == f"docker -H unix://{engine.path} ps"


@pytest.mark.parametrize("silent", ["ping", "unhealthy", "restarting"])
def test_an_engine_that_hangs_is_critical_in_its_time(engine: Engine, silent: str) -> None:
    setattr(engine, silent, engine.silent)
    started = time.monotonic()
    answer = asked(engine.path, "0.3s")
    assert (answer.level, answer.reason) == (Level.CRITICAL, "timeout")
    assert_within(1, started)


def test_no_socket_a_stale_one_and_no_socket_at_all(short_path: Path) -> None:
    absent = asked(short_path / "none")
    assert (absent.level, absent.reason) == (Level.CRITICAL, "down")
    assert "No such file" in absent.summary
    stale = short_path / "stale"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(stale))
    refused = asked(stale)
    assert (refused.level, refused.summary) == (Level.CRITICAL, "refuses connections")
    file = short_path / "file"
    file.touch()
    assert asked(file).level is Level.CRITICAL
    assert asked(short_path / ("x" * 200)).level in (Level.CRITICAL, Level.UNKNOWN)


def test_a_socket_whose_queue_is_full_is_waited_for(short_path: Path) -> None:
    """connect(2) to a path does not wait: it says EAGAIN, and that is no word of the engine's."""
    path = short_path / "full"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as held:
        listener.bind(str(path))
        listener.listen(0)
        first = held.enter_context(socket.socket(socket.AF_UNIX))
        first.connect(str(path))
        full = asked(path, "0.3s")
        assert (full.level, full.reason) == (Level.CRITICAL, "timeout")

        def answering() -> None:
            for _ in range(4):
                with listener.accept()[0] as connection, contextlib.suppress(OSError):
                    if connection.recv(4096):
                        connection.sendall(PONG if _ == 1 else http("200 OK", []))

        first.close()
        thread = threading.Thread(target=answering)
        thread.start()
        assert asked(path).level is Level.OK
        thread.join(5)


def test_the_engine_that_systemd_runs_is_asked_for_the_same(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_ENGINE", Docker(name="docker", socket=str(engine.path), timeout="0.5s"))

    def told() -> tuple[Level | None, str]:
        (answer,) = child._engine()
        assert answer.name == "docker"
        return answer.level, answer.reason

    assert told() == (Level.OK, "ok")
    engine.unhealthy = http("200 OK", [container("ill")])
    assert told() == (Level.WARNING, "unhealthy")
    engine.unhealthy = http("403 Forbidden", {})  # nobody has asked for a list
    assert told() == (Level.OK, "ok")
    engine.ping = http("500 Internal Server Error", {})
    assert told() == (Level.CRITICAL, "status")
    engine.ping = engine.silent
    assert told() == (Level.CRITICAL, "timeout")


def test_the_socket_of_docker_host(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
    answer = ask("docker", Docker(name="d"))
    assert (answer.level, answer.place) == (Level.OK, str(engine.path))
    for host in ("tcp://me:hunter2@box:2376", "ssh://box", "nonsense\x1b[31m"):
        monkeypatch.setenv("DOCKER_HOST", host)
        answer = ask("docker", Docker(name="d"))
        assert (answer.level, answer.reason, answer.place) == (Level.UNKNOWN, "unsupported", "")
        assert "socket" in str(answer.action)
        assert "hunter2" not in repr(answer)


def test_a_socket_that_may_not_be_used_says_which_group_may(engine: Engine) -> None:
    """Root too is refused without its capabilities."""
    engine.path.chmod(0)
    prefix = by_modes()
    if prefix:
        os.chown(engine.path, -1, grp.getgrnam("daemon").gr_gid)
    code = (
        "from mltop.checks.service.child import ask; from mltop.config.service import Docker\n"
        f"answer = ask('docker', Docker(name='d', socket={str(engine.path)!r}))\n"
        "print(answer.level.name, answer.reason, answer.action, sep='\\n')"
    )
    done = subprocess.run([*prefix, sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    level, reason, action = done.stdout.splitlines()
    assert (level, reason) == ("UNKNOWN", "permission")
    assert action == "join the group daemon" if prefix else "run as root" in action or "join" in action
