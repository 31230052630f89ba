"""PostgreSQL, asked to start a connection as `pg_isready` does: no credentials, no client library.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", StartupMessage and ErrorResponse.
"""

from __future__ import annotations

import contextlib
import struct
import time

from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.checks.service.secret import secret
from mltop.checks.service.wire import Wire
from mltop.config.service import Postgres
from mltop.model.finding import Level
from mltop.system.text import clean

_PROTOCOL_3_0 = 196608
_CANNOT_CONNECT_NOW = "57P03"
"""Starting up, shutting down or in recovery: pg_isready's "rejecting connections"."""
_TOO_MANY_CONNECTIONS = "53300"
POOL_IS_FULL = "no more connections allowed"
"""PgBouncer's words for it: pgbouncer/pgbouncer#293."""
_ERROR_BYTES = 65536
_WORDS_BYTES = 1000
_HOST, _PORT = "127.0.0.1", 5432


def ask(postgres: Postgres) -> Told:
    """Start a connection, and with a connection string look deeper; raises Refused or Slow."""
    started = time.monotonic()
    dsn = secret(postgres.dsn_file, is_private=True)
    host, port = _place(postgres, dsn)
    took_s = None
    if host is not None:
        _start(host, port, postgres.timeout_s)
        took_s = time.monotonic() - started
    if dsn is None:
        return Told(words="accepts connections")
    from mltop.checks.service.postgres_depth import look

    return look(dsn, postgres.role, postgres.timeout_s - (time.monotonic() - started), took_s)


def _place(postgres: Postgres, dsn: str | None) -> tuple[str | None, int]:
    """Where to knock: what the config says, else what the connection string says; no host where that names several."""
    if dsn is None or (postgres.host, postgres.port) != (_HOST, _PORT):
        return postgres.host, postgres.port
    from mltop.checks.service.dsn import place

    try:
        host, port = place(dsn)
    except ValueError:
        host, port = None, None
    return host, port or _PORT


def _start(host: str, port: int, timeout_s: float) -> None:
    """Start a connection that would be let in.

    Whatever else the server asks for or complains of (a password, an unknown role) says that it takes connections.
    """
    parameters = b"user\0postgres\0database\0postgres\0application_name\0mltop\0\0"
    with Wire(host, port, timeout_s, socket_name=f".s.PGSQL.{port}") as wire:
        wire.send(struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3_0) + parameters)
        kind = wire.receive(1)
        if kind == b"R":
            with contextlib.suppress(Refused, Slow):  # it has answered: what it makes of a goodbye is its own affair
                wire.send(b"X\0\0\0\4")  # Terminate
        elif kind == b"E":
            _judge(_fields(wire))
        else:
            raise Refused("answers something else", Level.CRITICAL, "garbage")


def _fields(wire: Wire) -> dict[str, str]:
    """The fields of an error: one letter each to its text."""
    head = wire.receive(4)
    (length,) = struct.unpack("!i", head)
    if not 4 <= length <= _ERROR_BYTES:
        raise _without_process(wire, head)
    fields = wire.receive(length - 4).split(b"\0")
    return {chr(field[0]): clean(field[1:], 200) for field in fields if field}


def _without_process(wire: Wire, head: bytes) -> Refused:
    """A server that cannot start a process for a connection says so as protocol 2 did, with no length: the text alone.

    Source: report_fork_failure_to_client of the postmaster, in every version; libpq's PQconnectPoll tells it so too.
    """
    text = head
    with contextlib.suppress(Refused, Slow):
        while b"\0" not in text and len(text) < _WORDS_BYTES:
            text += wire.receive(1)
    words, end, _ = text.partition(b"\n\0")
    if not end or not words.decode("utf-8", "replace").isprintable():
        return Refused("answers something else", Level.CRITICAL, "garbage")
    action = "free memory or processes on its box; its log says which"
    return Refused(clean(words, 200), Level.CRITICAL, "full", action)


def _judge(error: dict[str, str]) -> None:
    code = error.get("C", "")
    if code == _CANNOT_CONNECT_NOW:
        raise Refused(error.get("M", "rejects connections"), Level.WARNING, "busy")
    is_full = code == _TOO_MANY_CONNECTIONS or POOL_IS_FULL in error.get("M", "")
    if is_full:  # all of max_connections: more than what is CRITICAL of it
        raise Refused(error.get("M", "too many connections"), Level.CRITICAL, "full")
