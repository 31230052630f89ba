"""PostgreSQL, asked to start a connection as `pg_isready` does: no credentials, no client library.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", StartupMessage and ErrorResponse.
"""

from __future__ import annotations

import contextlib
import struct

from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.checks.service.wire import Wire
from mltop.config.service import Postgres
from mltop.model.finding import Level
from mltop.system.text import clean

_PROTOCOL_3_0 = 196608
_CANNOT_CONNECT_NOW = "57P03"
"""Starting up, shutting down or in recovery: pg_isready's "rejecting connections"."""
_TOO_MANY_CONNECTIONS = "53300"
_ERROR_BYTES = 65536


def ask(postgres: Postgres) -> Told:
    """Start a connection: the words for one that would be let in; raises Refused or Slow.

    Whatever else the server asks for or complains of (a password, an unknown role) says that it takes connections.
    """
    parameters = b"user\0postgres\0database\0postgres\0application_name\0mltop\0\0"
    name = f".s.PGSQL.{postgres.port}"
    with Wire(postgres.host, postgres.port, postgres.timeout_s, socket_name=name) as wire:
        wire.send(struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3_0) + parameters)
        kind = wire.receive(1)
        if kind == b"R":
            with contextlib.suppress(Refused, Slow):  # it has answered: what it makes of a goodbye is its own affair
                wire.send(b"X\0\0\0\4")  # Terminate
        elif kind == b"E":
            _judge(_fields(wire))
        else:
            raise Refused("answers something else", Level.CRITICAL, "garbage")
    return Told(words="accepts connections")


def _fields(wire: Wire) -> dict[str, str]:
    """The fields of an error: one letter each to its text."""
    (length,) = struct.unpack("!i", wire.receive(4))
    if not 4 <= length <= _ERROR_BYTES:
        raise Refused("answers something else", Level.CRITICAL, "garbage")
    fields = wire.receive(length - 4).split(b"\0")
    return {chr(field[0]): clean(field[1:], 200) for field in fields if field}


def _judge(error: dict[str, str]) -> None:
    code = error.get("C", "")
    if code in (_CANNOT_CONNECT_NOW, _TOO_MANY_CONNECTIONS):
        raise Refused(error.get("M", "rejects connections"), Level.WARNING, "busy")
