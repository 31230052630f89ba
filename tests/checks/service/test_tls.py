"""Real TLS on loopback: certificates that are well, at their end, of nobody, of another host."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificate import Authority, Signed

from mltop.checks.service.child import ask
from mltop.config.service import Http, Redis
from mltop.model.finding import Level

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl")
HOST = ("CN=a", "IP:127.0.0.1")
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
INFO = b"+PONG\r\n$6\r\nrole:x\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), OPENSSL or "")


def speaking(certificate: Signed, reply: bytes) -> Callable[[socket.socket], None]:
    """A server that has this certificate and says the same to everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(65536)
            wrapped.sendall(reply)

    return answer


def page(serve: Any, certificate: Signed, **more: Any) -> Any:
    port = serve(speaking(certificate, PAGE)).port
    return ask("api", Http(name="a", url=f"https://127.0.0.1:{port}/", **more))


def test_a_good_certificate_says_nothing(serve: Any, authority: Authority) -> None:
    answer = page(serve, authority.signed(HOST, (-10, 80)), tls_ca_file=authority.file)
    assert (answer.level, answer.values) == (Level.OK, {})
    unverified = page(serve, authority.signed(HOST, (-90, -1)), tls_verify=False)
    assert (unverified.level, unverified.values) == (Level.OK, {})


@pytest.mark.parametrize(
    ("who", "days", "is_own", "words", "remedy"),
    [
        (HOST, (-90, -1), False, "certificate has expired", "renew it"),
        (HOST, (1, 90), False, "not yet valid", "clock"),
        (HOST, (-1, 90), True, "self", "tls_ca_file"),
        (("CN=a", "DNS:elsewhere"), (-1, 90), False, "mismatch", "by a name"),
    ],
)
def test_a_bad_certificate_is_critical_and_says_why(
    serve: Any, authority: Authority, who: Any, days: Any, is_own: bool, words: str, remedy: str
) -> None:
    answer = page(serve, authority.signed(who, days, is_own=is_own), tls_ca_file=authority.file)
    assert (answer.level, answer.reason) == (Level.CRITICAL, "tls")
    assert words in answer.summary
    assert answer.place.startswith("127.0.0.1:")
    assert remedy in str(answer.action)


@pytest.mark.parametrize(
    ("days", "left"),
    [((-80, 10), 10), ((-88, 2), 2), ((-5, 1), 1), ((-2, 4), None), ((-0.5, 0.5), None), ((-340, 25), 25)],
)
def test_a_certificate_that_is_due_to_be_renewed_is_held_against_the_limit(
    serve: Any, authority: Authority, days: tuple[float, float], left: float | None
) -> None:
    """However short its life is: one of six days with four left is not late."""
    answer = page(serve, authority.signed(HOST, days), tls_ca_file=authority.file)
    assert answer.level is Level.OK
    found = answer.values.get("api.certificate")
    assert found is None if left is None else found == pytest.approx(left, abs=0.01)


def test_redis_over_tls(serve: Any, authority: Authority) -> None:
    port = serve(speaking(authority.signed(HOST, (-80, 10)), INFO)).port
    answer = ask("redis", Redis(name="r", port=port, tls=True, tls_ca_file=authority.file))
    assert answer.level is Level.OK
    assert answer.values["redis.certificate"] == pytest.approx(10, abs=0.01)


def test_a_port_that_speaks_no_tls_and_one_that_never_answers(serve: Any, tmp_path: Path) -> None:
    plain = ask("redis", Redis(name="r", port=serve(b"+PONG\r\n").port, tls=True))
    assert (plain.level, plain.reason) == (Level.CRITICAL, "tls")
    done = threading.Event()
    port = serve(lambda _: (done.wait(10), None)[1]).port
    silent = ask("api", Http(name="a", url=f"https://127.0.0.1:{port}/", timeout="0.3s"))
    done.set()
    assert (silent.level, silent.reason) == (Level.CRITICAL, "timeout")
    missing = ask("redis", Redis(name="r", tls=True, tls_ca_file=str(tmp_path / "none")))
    assert (missing.level, missing.reason, missing.action) == (Level.UNKNOWN, "error", "check tls_ca_file")
