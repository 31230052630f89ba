"""Redis, asked for a PONG and for its INFO (Redis serialization protocol, RESP2); no client library."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.checks.service.secret import secret
from mltop.checks.service.wire import Wire
from mltop.config.service import Redis
from mltop.model.finding import Level
from mltop.system.text import clean

_NO_ANSWER_OF_ITS_OWN = ("NOAUTH", "WRONGPASS", "NOPERM")
"""It is up, and does not let itself be asked."""
_BUSY = ("LOADING", "BUSY", "TRYAGAIN")
"""It is up, and will serve."""
_BROKEN = ("MISCONF", "MASTERDOWN", "CLUSTERDOWN")
"""It is up, and refuses to serve: snapshots fail, the primary is gone, slots are not covered."""
_HAS_NO_PASSWORD = ("without any password", "no password is set")
_FULL = "max number of clients"
_DIGITS = 20
"""Those of an unsigned number of 64 bits; what has more is none of Redis's."""
Info = Mapping[str, str]


def ask(redis: Redis) -> Told:
    """Ask for a PONG and what it says of itself; raises Refused or Slow."""
    started = time.monotonic()
    password = secret(redis.password_file, redis.password_env)
    tls = None
    if redis.tls:
        from mltop.checks.service.tls import Tls

        tls = Tls(redis.tls_ca_file, verify=redis.tls_verify)
    with Wire(redis.host, redis.port, redis.timeout_s, tls=tls) as wire:
        if password is not None:
            _log_in(wire, redis.user, password)
        if _said(wire, "PING") != "+PONG":
            raise Refused("answers something else", Level.CRITICAL, "garbage")
        took_s = time.monotonic() - started
        info, days_left = _info(wire), wire.days_left
    trouble = _trouble(info)
    return Told(
        words="PONG" + (f", {trouble}" if trouble else "" if info else ", no INFO"),
        level=Level.CRITICAL if trouble else Level.OK,
        reason="broken" if trouble else "ok",
        took_s=took_s,
        values=dict(_values(info)) if days_left is None else {**dict(_values(info)), "redis.certificate": days_left},
        counters=dict(_counters(info)),
        data=_data(info),
    )


def _log_in(wire: Wire, user: str | None, password: str) -> None:
    try:
        _said(wire, "AUTH", *(() if user is None else (user,)), password)
    except Refused as refused:
        if refused.reason != "down" or not str(refused).startswith("ERR"):
            raise
        if any(words in str(refused) for words in _HAS_NO_PASSWORD):
            words, action = "takes no password, though one is named", "remove password_file, or set requirepass"
        else:  # before version 6 a wrong password and a user are errors like any other
            words, action = "does not take the password: AUTH is refused", "check password_file and user"
        raise Refused(words, Level.UNKNOWN, "permission", action) from None


def _info(wire: Wire) -> Info:
    """What INFO says, by its keys; nothing where there is none (a proxy for many servers has no INFO of its own)."""
    try:
        reply = _said(wire, "INFO")
        length = int(reply[1:]) if reply.startswith("$") and reply[1:].isdecimal() else 0
        lines = wire.receive(length + 2).decode("utf-8", "replace").splitlines() if length else []
    except Refused as refused:
        if refused.reason == "permission":
            action = "let its user ask for INFO (ACL: +info)"
            raise Refused("PONG, but INFO is not permitted", Level.UNKNOWN, "permission", action) from None
        if refused.reason != "down":
            raise
        return {}
    except Slow:
        return {}
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {key: value for key, colon, value in pairs if colon}


def _trouble(info: Info) -> str | None:
    """What is broken though it answers; awesome-prometheus-alerts, Netdata."""
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return "its last snapshot failed (rdb_last_bgsave_status)"
    if info.get("aof_enabled") == "1" and info.get("aof_last_write_status", "ok") != "ok":
        return "its last write to the append-only file failed (aof_last_write_status)"
    if info.get("master_link_status", "up") != "up":
        primary = clean(f"{info.get('master_host', '?')}:{info.get('master_port', '?')}", 80)
        return f"no link to its primary {primary} (master_link_status)"
    return None


def _values(info: Info) -> Iterator[tuple[str, float]]:
    """The shares that are judged. A cache that evicts any key (allkeys-*) is full by design."""
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    if used is not None and most and not info.get("maxmemory_policy", "").startswith("allkeys-"):
        yield "redis.memory", 100 * used / most
    clients, limit = _number(info, "connected_clients"), _number(info, "maxclients")
    if clients is not None and limit:
        yield "redis.clients", 100 * clients / limit


def _counters(info: Info) -> Iterator[tuple[str, float]]:
    rejected = _number(info, "rejected_connections")
    if rejected is not None:
        yield "redis.rejected", rejected


_TOLD = ("used_memory", "maxmemory", "connected_clients", "maxclients", "rejected_connections", "uptime_in_seconds")
_NAMED = ("redis_version", "role", "maxmemory_policy", "rdb_last_bgsave_status", "master_link_status")


def _data(info: Info) -> dict[str, float | str]:
    numbers = {key: number for key in _TOLD if (number := _number(info, key)) is not None}
    return {**numbers, **{key: clean(info[key], 80) for key in _NAMED if key in info}}


def _number(info: Info, key: str) -> float | None:
    text = info.get(key, "")
    return float(text) if text.isdecimal() and len(text) <= _DIGITS else None


def _said(wire: Wire, *words: str) -> str:
    """One command's reply; an error reply is raised by what it means."""
    wire.send(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words))
    reply = clean(wire.receive_line(), 200)
    if not reply.startswith("-"):
        return reply
    code = reply[1:].partition(" ")[0]
    if code == "DENIED":
        why = "is in protected mode: without a password it answers on loopback alone (DENIED)"
        action = "ask it at 127.0.0.1 there, or set its requirepass and name password_file"
        raise Refused(why, Level.UNKNOWN, "permission", action)
    if code in _NO_ANSWER_OF_ITS_OWN:
        action = "name password_file, and user where it has users"
        raise Refused(f"needs a password ({code}): password_file", Level.UNKNOWN, "permission", action)
    if code in _BUSY:
        raise Refused(reply[1:], Level.WARNING, "busy")
    if code in _BROKEN:
        raise Refused(reply[1:], Level.CRITICAL, "broken")
    raise Refused(reply[1:], reason="full" if _FULL in reply else "down")
