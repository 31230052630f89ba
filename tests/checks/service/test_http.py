"""A model API, asked to each depth, by servers on loopback that do what real ones do and what they should not."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within

from mltop.checks.service.child import ask
from mltop.config.service import Http
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer

ENDED = 0.6
"""Beyond a service's time: what a busy machine takes."""
Routes = dict[str, bytes | Callable[[bytes], bytes]]
MODELS = {"object": "list", "data": [{"id": "other", "object": "model"}, {"id": "llama", "object": "model"}]}
TOKEN = {
    "id": "cmpl-1",
    "object": "text_completion",
    "choices": [{"index": 0, "text": " 2", "finish_reason": "length"}],
}


def http(status: str, body: object = "", *headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(data)}", "", "")
    return "\r\n".join(lines).encode() + data


def metrics(running: float, tokens: float, copies: int = 1) -> bytes:
    """A page as vLLM's; `copies`: of an engine with so many replicas."""
    lines = [
        "# HELP vllm:num_requests_running Number of requests in model execution batches.",
        "# TYPE vllm:num_requests_running gauge",
        "process_open_fds NaN",
    ]
    for copy in range(copies):
        labels = f'{{engine="{copy}",model_name="llama"}}'
        lines += [f"vllm:num_requests_running{labels} {running}", f"vllm:generation_tokens_total{labels} {tokens}"]
    return http("200 OK", "\n".join(lines).encode() + b"\n", "Content-Type: text/plain; version=0.0.4")


def whole(connection: socket.socket) -> bytes:
    """A request with all of its body."""
    head, end, body = b"", b"", b""
    while not end:
        head, end, body = (head + end + body + connection.recv(65536)).partition(b"\r\n\r\n")
    length = next((line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), b"0")
    while len(body) < int(length):
        body += connection.recv(65536)
    return head + end + body


@pytest.fixture
def api(serve: Any) -> Callable[..., Http]:
    """A server by its routes (`METHOD path`); what is not there is 404. The config's entry that asks it."""

    def made(routes: Routes, **more: Any) -> Http:
        def answering(connection: socket.socket) -> None:
            request = whole(connection)
            reply = routes.get(b" ".join(request.split(b" ", 2)[:2]).decode(), http("404 Not Found"))
            connection.sendall(reply(request) if callable(reply) else reply)
            connection.shutdown(socket.SHUT_WR)

        return Http(name="llm", url=f"http://127.0.0.1:{serve(answering).port}/health", **more)

    return made


@pytest.fixture
def silence() -> Iterator[threading.Event]:
    """Set when the test ends: whoever waits for it is silent until then."""
    done = threading.Event()
    yield done
    done.set()


def asked_within(limit_s: float, service: Http) -> ServiceAnswer:
    started = time.monotonic()
    answer = ask("api", service)
    assert_within(limit_s, started)
    return answer


# --- level 2: an answer


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (http("200 OK", b""), (Level.OK, "ok")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (Level.OK, "ok")),
        (b"HTTP/1.0 200 OK\r\n\r\nwithout a length, to the end", (Level.OK, "ok")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", (Level.OK, "ok")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + http("200 OK"), (Level.OK, "ok")),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + http("200 OK"), (Level.OK, "ok")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", (Level.CRITICAL, "down")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc", (Level.CRITICAL, "down")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", (Level.CRITICAL, "down")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\nabc", (Level.OK, "ok")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdefgh", (Level.OK, "ok")),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n", (Level.CRITICAL, "garbage")),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", (Level.CRITICAL, "garbage")),
        (b"HTTP/1.1 999999 WHAT\r\n\r\n", (Level.CRITICAL, "garbage")),
        (b"\x16\x03\x01\x02\x00", (Level.CRITICAL, "garbage")),
        (b"+PONG\r\n", (Level.CRITICAL, "garbage")),
        (http("500 Internal Server Error"), (Level.CRITICAL, "status")),
        (http("404 Not Found"), (Level.CRITICAL, "status")),
        (http("200 OK", b"x" * (1 << 20)), (Level.OK, "ok")),
    ],
)
def test_what_an_answer_is(serve: Any, reply: bytes, expected: Any) -> None:
    answer = ask("api", Http(name="a", url=f"http://127.0.0.1:{serve(reply).port}/"))
    assert (answer.level, answer.reason) == expected, answer.summary
    assert answer.summary.isprintable()


def test_a_body_without_an_end_is_an_answer(serve: Any) -> None:
    def answering(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    answer = asked_within(10, Http(name="a", url=f"http://127.0.0.1:{serve(answering).port}/", timeout="10s"))
    assert (answer.level, answer.reason) == (Level.OK, "ok")


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ids=["status", "header", "body", "chunk"],
)  # fmt: skip
def test_who_drips_gains_no_time(serve: Any, silence: threading.Event, head: bytes) -> None:
    """Each byte comes well within the time of one: the deadline is that of the whole."""

    def answering(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while not silence.wait(0.05):
            connection.sendall(b"1")

    service = Http(name="a", url=f"http://127.0.0.1:{serve(answering).port}/", timeout="0.4s")
    answer = asked_within(0.4 + ENDED, service)
    assert (answer.level, answer.reason) == (Level.CRITICAL, "timeout")


def test_a_redirect_says_where_to_and_no_key_in_it(api: Any) -> None:
    reply = http("307 Temporary Redirect", "", "Location: /health/?api_key=hunter2")
    answer = ask("api", api({"GET /health": reply}))
    assert (answer.level, answer.reason, answer.summary) == (Level.CRITICAL, "status", "HTTP 307 to /health/")
    assert "url" in str(answer.action)
    assert ask("api", api({"GET /health": reply}, expect_status=307)).level is Level.OK


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_an_answer_that_wants_a_token_says_which_key_to_name(api: Any, status: str) -> None:
    answer = ask("api", api({"GET /health": http(status)}))
    assert (answer.level, answer.reason) == (Level.CRITICAL, "status")
    assert "token_file" in str(answer.action)


def test_the_query_is_sent_and_never_told(serve: Any) -> None:
    heard: list[bytes] = []

    def answering(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(http("503 Service Unavailable"))

    port = serve(answering).port
    answer = ask("api", Http(name="a", url=f"http://127.0.0.1:{port}/health?key=hunter2"))
    assert heard[0].startswith(b"GET /health?key=hunter2 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in heard[0]
    assert (answer.level, answer.place) == (Level.CRITICAL, f"127.0.0.1:{port}")
    assert "hunter2" not in repr(answer)


def test_a_socket_instead_of_the_host(short_path: Path) -> None:
    path = short_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        service = Http(name="a", url="http://api/health", socket=str(path), timeout="0.5s")

        def answering() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(http("200 OK"))

        thread = threading.Thread(target=answering)
        thread.start()
        assert ask("api", service).level is Level.OK
        thread.join(5)
        silent = ask("api", service)
    assert (silent.level, silent.reason, silent.place) == (Level.CRITICAL, "timeout", str(path))
    gone = ask("api", service)
    assert (gone.level, gone.reason, gone.place) == (Level.CRITICAL, "down", str(path))


# --- level 3: its model


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (http("200 OK", MODELS), (Level.OK, "ok")),
        (http("200 OK", {"data": []}), (Level.CRITICAL, "model")),
        (http("200 OK", {"data": [None, 1, "llama", {"id": ["llama"]}]}), (Level.CRITICAL, "model")),
        (http("200 OK", {"data": {"id": "llama"}}), (Level.CRITICAL, "model")),
        (http("200 OK", b"<html>llama</html>"), (Level.CRITICAL, "model")),
        (http("200 OK", b"[" * 100000), (Level.CRITICAL, "model")),
        (http("404 Not Found"), (Level.CRITICAL, "model")),
        (http("401 Unauthorized"), (Level.UNKNOWN, "permission")),
        (http("503 Service Unavailable"), (Level.CRITICAL, "model")),
    ],
)
def test_level_3(api: Any, reply: bytes, expected: Any) -> None:
    answer = ask("api", api({"GET /health": http("200 OK"), "GET /v1/models": reply}, level=3, model="llama"))
    assert (answer.level, answer.reason) == expected


def test_the_path_of_the_api_is_the_configs(api: Any) -> None:
    routes: Routes = {"GET /health": http("200 OK"), "GET /openai/v1/models": http("200 OK", MODELS)}
    assert ask("api", api(routes, level=3, model="llama", api_path="/openai/v1/")).level is Level.OK


# --- level 4: a token


def generating(reply: bytes | Callable[[bytes], bytes], path: str = "completions", **more: bytes) -> Routes:
    return {
        "GET /health": http("200 OK"),
        "GET /v1/models": http("200 OK", MODELS),
        f"POST /v1/{path}": reply,
        **{f"GET /{key}": value for key, value in more.items()},
    }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (http("200 OK", TOKEN), (Level.OK, "ok")),
        (http("200 OK", {"choices": []}), (Level.CRITICAL, "generation")),
        (http("200 OK", {"error": "EngineDeadError"}), (Level.CRITICAL, "generation")),
        (http("200 OK", b""), (Level.CRITICAL, "generation")),
        (http("500 Internal Server Error", {"error": "CUDA error"}), (Level.CRITICAL, "generation")),
        (http("401 Unauthorized"), (Level.UNKNOWN, "permission")),
        (http("429 Too Many Requests", {"error": "Model is overloaded"}), (Level.WARNING, "busy")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", (Level.CRITICAL, "down")),
    ],
)
def test_level_4(api: Any, reply: bytes, expected: Any) -> None:
    answer = ask("api", api(generating(reply), level=4, model="llama"))
    assert (answer.level, answer.reason) == expected


def test_level_4_asks_for_one_token_and_chats_where_nothing_else_is_offered(api: Any) -> None:
    heard: list[Any] = []

    def reply(request: bytes) -> bytes:
        heard.append(json.loads(request.partition(b"\r\n\r\n")[2]))
        return http("200 OK", TOKEN)

    assert ask("api", api(generating(reply), level=4, model="llama")).level is Level.OK
    assert ask("api", api(generating(reply, "chat/completions"), level=4, model="llama")).level is Level.OK
    assert [one["max_tokens"] for one in heard] == [1, 1]
    assert [one["model"] for one in heard] == ["llama", "llama"]
    assert ("prompt" in heard[0], "messages" in heard[1]) == (True, True)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "405 Method Not Allowed", "422 Unprocessable"])
def test_a_model_that_only_chats_is_asked_to(api: Any, status: str) -> None:
    routes = {**generating(http("200 OK", TOKEN), "chat/completions"), "POST /v1/completions": http(status)}
    assert ask("api", api(routes, level=4, model="llama")).level is Level.OK
    routes["POST /v1/chat/completions"] = http(status)
    answer = ask("api", api(routes, level=4, model="llama"))
    assert (answer.level, answer.reason) == (Level.CRITICAL, "generation")


def test_an_engine_that_never_generates_is_critical_by_its_deadline(api: Any, silence: threading.Event) -> None:
    """C12: 200 on /health, the model is listed, and no token ever comes."""

    def reply(_: bytes) -> bytes:
        silence.wait(10)
        return b""

    answer = asked_within(0.4 + ENDED, api(generating(reply), level=4, model="llama", timeout="0.4s"))
    assert (answer.level, answer.reason, answer.summary) == (Level.CRITICAL, "timeout", "no answer in 0.4 s")


def test_an_engine_under_load_that_makes_tokens_is_not_given_more_to_do(api: Any) -> None:
    made = [0.0]

    def flowing(_: bytes) -> bytes:
        made[0] += 5
        return metrics(3, made[0])

    routes = {**generating(lambda _: pytest.fail("asked for a token")), "GET /metrics": flowing}
    answer = ask("api", api(routes, level=4, model="llama"))
    assert answer.level is Level.OK
    assert "3 running" in answer.summary


def test_an_engine_that_stands_is_asked_for_a_token(api: Any) -> None:
    stands = generating(http("200 OK", {"choices": []}), metrics=metrics(3, 100))
    answer = ask("api", api(stands, level=4, model="llama"))
    assert (answer.level, answer.reason) == (Level.CRITICAL, "generation")


def test_the_time_that_counts_as_slow_is_that_of_the_first_answer(api: Any, silence: threading.Event) -> None:
    def reply(_: bytes) -> bytes:
        silence.wait(1.5)  # a token of a busy engine
        return http("200 OK", TOKEN)

    answer = ask("api", api(generating(reply), level=4, model="llama"))
    assert answer.level is Level.OK
    assert answer.duration_s is not None
    assert answer.duration_s < 1.5


# --- level 5: tokens that flow


@pytest.mark.parametrize(
    ("page", "level", "counters"),
    [
        (metrics(2, 1234), Level.OK, {"api.stalled": 1234.0}),
        (metrics(0, 1234), Level.OK, {"api.stalled": -1.0}),
        (http("200 OK", b"up 1\n"), Level.UNKNOWN, {}),
        (http("404 Not Found"), Level.UNKNOWN, {}),
        (metrics(2, 1.7e308, copies=2), Level.UNKNOWN, {}),
        (http("200 OK", b"\xff\xfe\n{}{}{\nvllm:num_requests_running NaN\n"), Level.UNKNOWN, {}),
    ],
)
def test_level_5(api: Any, page: bytes, level: Level, counters: Any) -> None:
    answer = ask("api", api({"GET /health": http("200 OK"), "GET /metrics": page}, level=5))
    assert (answer.level, answer.counters) == (level, counters)


# --- secrets


@pytest.fixture
def authorized(serve: Any) -> tuple[str, list[bytes]]:
    heard: list[bytes] = []

    def answering(connection: socket.socket) -> None:
        request = connection.recv(65536)
        heard.extend(line for line in request.split(b"\r\n") if line.startswith(b"Authorization"))
        connection.sendall(http("401 Unauthorized"))

    return f"http://127.0.0.1:{serve(answering).port}/", heard


def private(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_secret_goes_into_the_header_and_nowhere_else(
    authorized: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, heard = authorized
    file = private(tmp_path / "secret", "hunter2\n")
    monkeypatch.setenv("TRIED", "hunter2")
    ways: tuple[dict[str, Any], ...] = (
        {"token_file": file},
        {"token_env": "TRIED"},
        {"user": "me", "password_file": file},
        {"user": "me", "password_env": "TRIED"},
    )
    answers = [ask("api", Http(name="a", url=url, **way)) for way in ways]
    basic = b"Authorization: Basic " + base64.b64encode(b"me:hunter2")
    assert heard == [b"Authorization: Bearer hunter2"] * 2 + [basic] * 2
    assert {answer.reason for answer in answers} == {"status"}
    assert "hunter2" not in repr(answers)


@pytest.mark.parametrize(
    ("text", "mode", "words", "remedy"),
    [
        ("hunter2\n", 0o644, "can be read by others", "chmod 600"),
        ("hunter2\n", 0o604, "can be read by others", "chmod 600"),
        ("", 0o600, "has no secret", "fill it"),
        ("\n", 0o600, "has no secret", "fill it"),
        ("hunter2\nX-Evil: 1\n", 0o600, "more than one line", "one line"),
        ("hun\0ter2", 0o600, "more than one line, or no text", "one line"),
        ("hünter2", 0o600, "not ASCII", "token"),
        (None, 0o600, "No such file", "create"),
    ],
)
def test_a_secret_that_is_none_is_unknown_and_nobody_is_asked(
    authorized: tuple[str, list[bytes]], tmp_path: Path, text: str | None, mode: int, words: str, remedy: str
) -> None:
    url, heard = authorized
    path = tmp_path / "secret"
    file = str(path) if text is None else private(path, text, mode)
    answer = ask("api", Http(name="a", url=url, token_file=file))
    assert answer.level is Level.UNKNOWN
    assert words in answer.summary
    assert remedy in str(answer.action)
    assert "unter2" not in repr(answer)
    assert (answer.place, heard) == ("", [])


def test_a_secret_may_be_read_by_a_group(authorized: tuple[str, list[bytes]], tmp_path: Path) -> None:
    url, heard = authorized
    ask("api", Http(name="a", url=url, token_file=private(tmp_path / "secret", "hunter2", 0o640)))
    assert len(heard) == 1


def test_a_folder_and_a_device_are_no_secret(authorized: tuple[str, list[bytes]], tmp_path: Path) -> None:
    url, heard = authorized
    for path in (tmp_path, Path(os.devnull)):
        answer = ask("api", Http(name="a", url=url, token_file=str(path)))
        assert (answer.level, heard) == (Level.UNKNOWN, [])


def test_a_variable_that_is_not_set_is_unknown(authorized: tuple[str, list[bytes]]) -> None:
    answer = ask("api", Http(name="a", url=authorized[0], token_env="TRIED_AND_NOT_SET"))
    assert (answer.level, answer.reason) == (Level.UNKNOWN, "absent")
    assert "TRIED_AND_NOT_SET" in answer.summary
