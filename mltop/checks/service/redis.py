"""Redis, asked for a PONG (Redis serialization protocol, RESP2); no client library."""

from __future__ import annotations

from pathlib import Path

from mltop.checks.service.outcome import Refused, Told
from mltop.checks.service.wire import Wire
from mltop.config.service import Redis
from mltop.model.finding import Level
from mltop.system.text import clean

_NO_ANSWER_OF_ITS_OWN = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED")
"""It is up, and does not let itself be asked."""
_BUSY = ("LOADING", "BUSY", "MASTERDOWN", "MISCONF", "TRYAGAIN", "CLUSTERDOWN")
"""It is up, and does not serve as it should."""


def ask(redis: Redis) -> Told:
    """Ask for a PONG: the words for an answer that is well; raises Refused or Slow."""
    with Wire(redis.host, redis.port, redis.timeout_s) as wire:
        if redis.password_file is not None:
            _said(wire, "AUTH", Path(redis.password_file).read_text().strip())
        reply = _said(wire, "PING")
    if reply != "+PONG":
        raise Refused("answers something else", Level.CRITICAL, "garbage")
    return Told(words="PONG")


def _said(wire: Wire, *words: str) -> str:
    """One command's reply; an error reply is raised by what it means."""
    wire.send(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words))
    reply = clean(wire.receive_line(), 200)
    if not reply.startswith("-"):
        return reply
    code = reply[1:].partition(" ")[0]
    if code in _NO_ANSWER_OF_ITS_OWN:
        raise Refused(f"needs a password ({code}): password_file", Level.UNKNOWN, "permission")
    if code in _BUSY:
        raise Refused(reply[1:], Level.WARNING, "busy")
    raise Refused(reply[1:])
