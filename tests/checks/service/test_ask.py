from __future__ import annotations

import json
import math
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within

from mltop.checks.service.child import ask
from mltop.config.service import Http, Postgres, Redis, Tcp
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer


def error(code: str, message: str) -> bytes:
    """An ErrorResponse of PostgreSQL."""
    body = b"SFATAL\0C" + code.encode() + b"\0M" + message.encode() + b"\0\0"
    return b"E" + (4 + len(body)).to_bytes(4, "big") + body


def told(answer: ServiceAnswer) -> tuple[Level | None, str]:
    return answer.level, answer.reason


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (b"+PONG\r\n", (Level.OK, "ok"), "PONG"),
        (b"-NOAUTH Authentication required.\r\n", (Level.UNKNOWN, "permission"), "needs a password"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", (Level.WARNING, "busy"), "LOADING"),
        (b"-ERR unknown command\r\n", (Level.CRITICAL, "down"), "ERR unknown command"),
        (b"-ERR max number of clients reached\r\n", (Level.CRITICAL, "full"), "max number of clients"),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", (Level.CRITICAL, "broken"), "MISCONF"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", (Level.CRITICAL, "broken"), "MASTERDOWN"),
        (b"-BUSY Redis is busy running a script\r\n", (Level.WARNING, "busy"), "BUSY"),
        (b"-DENIED Redis is running in protected mode\r\n", (Level.UNKNOWN, "permission"), "protected mode"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", (Level.CRITICAL, "garbage"), "something else"),
        (b"\xff\x00\x1b[31m\r\n", (Level.CRITICAL, "garbage"), "something else"),
        (b"", (Level.CRITICAL, "down"), "without an answer"),
        (b"+" + b"x" * (2 << 20), (Level.CRITICAL, "garbage"), "something else"),
    ],
)
def test_redis(serve: Any, reply: bytes, expected: Any, words: str) -> None:
    answer = ask("redis", Redis(name="cache", port=serve(reply).port))
    assert told(answer) == expected
    assert words in answer.summary
    assert answer.summary.isprintable()


@pytest.mark.parametrize("number", ["9" * 400, "-1", "1e9", "nan", "inf", "", "\u0663"])
def test_redis_tells_a_number_that_is_none(serve: Any, number: str) -> None:
    info = f"used_memory:{number}\r\nmaxmemory:{number}\r\nrejected_connections:{number}\r\nmaxclients:0\r\n".encode()
    answer = ask("redis", Redis(name="r", port=serve(b"+PONG\r\n$%d\r\n%s\r\n" % (len(info), info)).port))
    assert answer.level is Level.OK
    assert all(math.isfinite(value) for value in (*answer.values.values(), *answer.counters.values()))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"-ERR Client sent AUTH, but no password is set\r\n", "takes no password"),
        (b"-ERR AUTH <password> called without any password configured for the default user.\r\n", "takes no password"),
        (b"-ERR invalid password\r\n", "does not take the password"),
        (b"-ERR wrong number of arguments for 'auth' command: hunter2\r\n", "does not take the password"),
        (b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "WRONGPASS"),
    ],
)
def test_redis_refuses_a_password_in_the_words_of_its_version(
    serve: Any, monkeypatch: pytest.MonkeyPatch, reply: bytes, words: str
) -> None:
    monkeypatch.setenv("TRIED", "hunter2")
    answer = ask("redis", Redis(name="r", port=serve(reply).port, password_env="TRIED"))
    assert told(answer) == (Level.UNKNOWN, "permission")
    assert words in answer.summary
    assert answer.action
    assert "hunter2" not in repr(answer)


def test_redis_gets_its_password_from_a_file_and_tells_nobody(serve: Any, tmp_path: Path) -> None:
    heard: list[bytes] = []

    def answering(connection: socket.socket) -> None:
        for reply in (b"+OK\r\n", b"+PONG\r\n", b"$26\r\nredis_version:7\r\nrole:master\r\n"):
            heard.append(connection.recv(4096))
            connection.sendall(reply)

    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    answer = ask("redis", Redis(name="cache", port=serve(answering).port, password_file=str(secret)))
    assert answer.level is Level.OK
    assert heard[0] == b"*2\r\n$4\r\nAUTH\r\n$7\r\nhunter2\r\n"
    wrong = ask("redis", Redis(name="c", port=serve(b"-WRONGPASS no\r\n").port, password_file=str(secret)))
    assert told(wrong) == (Level.UNKNOWN, "permission")
    assert "hunter2" not in repr((answer, wrong))
    missing = ask("redis", Redis(name="c", port=1, password_file=str(tmp_path / "none")))
    assert told(missing) in ((Level.UNKNOWN, "error"), (Level.CRITICAL, "down"))


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (b"R\0\0\0\x08\0\0\0\x0a", (Level.OK, "ok"), "accepts connections"),
        (error("28000", "no pg_hba.conf entry"), (Level.OK, "ok"), "accepts connections"),
        (error("57P03", "the database system is starting up"), (Level.WARNING, "busy"), "starting up"),
        (error("53300", "sorry, too many clients already"), (Level.CRITICAL, "full"), "too many clients"),
        (error("08P01", "no more connections allowed (max_client_conn)"), (Level.CRITICAL, "full"), "no more"),
        (error("08P01", "no such database: postgres"), (Level.OK, "ok"), "accepts connections"),
        (error("57P03", "the database system is shutting down"), (Level.WARNING, "busy"), "shutting down"),
        (error("57P03", "the database system is not yet accepting connections"), (Level.WARNING, "busy"), "not yet"),
        (
            b"Ecould not fork new process for connection: Cannot allocate memory\n\0",
            (Level.CRITICAL, "full"),
            "could not fork new process for connection: Cannot allocate memory",
        ),
        (
            "Ekonnte neuen Prozess für Verbindung nicht starten: Nicht genügend Speicher\n\0".encode(),
            (Level.CRITICAL, "full"),
            "für Verbindung",
        ),
        (b"E\x01\x02\x03\x04\n\0", (Level.CRITICAL, "garbage"), "something else"),
        (b"ERROR\r\n", (Level.CRITICAL, "garbage"), "something else"),  # memcached
        (b"Ecould not " + b"x" * 5000, (Level.CRITICAL, "garbage"), "something else"),
        (b"E\xff\xff\xff\xff", (Level.CRITICAL, "garbage"), "something else"),
        (b"+PONG\r\n", (Level.CRITICAL, "garbage"), "something else"),
        (b"", (Level.CRITICAL, "down"), "without an answer"),
    ],
)
def test_postgres(serve: Any, reply: bytes, expected: Any, words: str) -> None:
    answer = ask("pg", Postgres(name="db", port=serve(reply).port))
    assert told(answer) == expected
    assert words in answer.summary


def http(status: str, body: object = None) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(text), text)


@pytest.mark.parametrize(
    ("reply", "more", "expected"),
    [
        (http("200 OK"), {}, (Level.OK, "ok")),
        (http("503 Service Unavailable"), {}, (Level.CRITICAL, "status")),
        (http("302 Found"), {}, (Level.CRITICAL, "status")),
        (http("503 Service Unavailable"), {"expect_status": 503}, (Level.OK, "ok")),
        (b"SSH-2.0-OpenSSH\r\n", {}, (Level.CRITICAL, "garbage")),
        (b"", {}, (Level.CRITICAL, "garbage")),
        (http("200 OK", {"data": [{"id": "llama"}]}), {"level": 3, "model": "llama"}, (Level.OK, "ok")),
        (http("200 OK", {"data": [{"id": "other"}]}), {"level": 3, "model": "llama"}, (Level.CRITICAL, "model")),
        (http("200 OK", "what"), {"level": 3, "model": "llama"}, (Level.CRITICAL, "model")),
        (b"not http", {"level": 1}, (Level.OK, "ok")),
    ],
)
def test_http(serve: Any, reply: bytes, more: Any, expected: Any) -> None:
    answer = ask("api", Http(name="llm", url=f"http://127.0.0.1:{serve(reply).port}/health", **more))
    assert told(answer) == expected


def test_a_model_that_is_listed_and_never_generates_is_critical_at_level_4_only(serve: Any) -> None:
    done = threading.Event()

    def answering(connection: socket.socket) -> None:
        request = connection.recv(65536)
        if request.startswith(b"POST"):
            done.wait(10)
            return
        connection.sendall(http("200 OK", {"data": [{"id": "llama"}]}))

    url = f"http://127.0.0.1:{serve(answering).port}/health"
    for level, expected in ((2, Level.OK), (3, Level.OK), (4, Level.CRITICAL)):
        answer = ask("api", Http(name="llm", url=url, level=level, model="llama", timeout="0.5s"))  # type: ignore[arg-type]
        assert answer.level is expected
    assert answer.reason == "timeout"
    done.set()


@pytest.mark.parametrize("check", ["redis", "pg", "api"])
def test_a_server_that_takes_the_connection_and_says_nothing_is_critical_in_its_time(serve: Any, check: str) -> None:
    done = threading.Event()
    port = serve(lambda _: (done.wait(10), None)[1]).port
    service = {
        "redis": Redis(name="a", port=port, timeout="0.3s"),
        "pg": Postgres(name="a", port=port, timeout="0.3s"),
        "api": Http(name="a", url=f"http://127.0.0.1:{port}/", timeout="0.3s"),
    }[check]
    started = time.monotonic()
    answer = ask(check, service)
    done.set()
    assert told(answer) == (Level.CRITICAL, "timeout")
    assert_within(1.0, started)


def test_a_server_that_drips_gains_no_time(serve: Any) -> None:
    done = threading.Event()

    def answering(connection: socket.socket) -> None:
        while not done.wait(0.05):
            connection.sendall(b"x")

    started = time.monotonic()
    answer = ask("redis", Redis(name="a", port=serve(answering).port, timeout="0.4s"))
    done.set()
    assert told(answer) == (Level.CRITICAL, "timeout")
    assert_within(1.0, started)


def test_nobody_listens(serve: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for check, service in (
        ("redis", Redis(name="a", port=port)),
        ("pg", Postgres(name="a", port=port)),
        ("tcp", Tcp(name="a", port=port)),
        ("api", Http(name="a", url=f"http://127.0.0.1:{port}/")),
    ):
        answer = ask(check, service)
        assert (answer.level, answer.summary) == (Level.CRITICAL, "refuses connections")
    assert ask("tcp", Tcp(name="a", port=serve(b"").port)).level is Level.OK


def test_a_socket_in_the_file_system_is_asked_by_its_path(short_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_path / ".s.PGSQL.5433"))
        listener.listen()

        def answering() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"R\0\0\0\x08\0\0\0\0")
                connection.recv(4096)

        thread = threading.Thread(target=answering)
        thread.start()
        assert ask("pg", Postgres(name="db", host=str(short_path), port=5433)).level is Level.OK
        thread.join(5)
    assert ask("redis", Redis(name="r", host=str(short_path / "none"))).level is Level.CRITICAL


def test_a_fault_of_ours_is_unknown() -> None:
    answer = ask("redis", Redis(name="a", host="bad\u0000host"))
    assert answer.level in (Level.UNKNOWN, Level.CRITICAL)
    assert answer.summary
