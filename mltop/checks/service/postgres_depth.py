"""What a PostgreSQL server says of itself to somebody who logs in, by psycopg (extra `services`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.checks.service.postgres import POOL_IS_FULL
from mltop.model.finding import Level
from mltop.system.text import clean

_CLIENTS = """
SELECT count(*) FROM pg_stat_activity
 WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL
"""
"""Of others' sessions a role without pg_monitor is not told the type: what has a database is a client then."""
_PLACES = "SELECT current_setting('max_connections')::int"
_STANDBY = "SELECT pg_is_in_recovery()"
_BEHIND = """
SELECT CASE WHEN (SELECT count(*) FROM pg_stat_wal_receiver) > 0
                 AND pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp()
                                    - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END::float
"""
"""Of a standby: one that is connected and has replayed all that it got is not behind, however old the last write is.

One that has replayed no transaction yet, and is not connected or does not replay what it got, is as far behind as it
is up.
"""
_FOLLOWERS = "SELECT max(extract(epoch FROM replay_lag))::float FROM pg_stat_replication"
"""Of a primary: the slowest of its standbys; nothing where it has none, or this role may not see them."""


_FULL = ("too many clients", "remaining connection slots", POOL_IS_FULL)
"""A refused login has no code in psycopg, only the server's words."""


class _Facts(NamedTuple):
    clients: int
    places: int
    is_standby: bool
    behind_s: float | None

    def values(self) -> Iterator[tuple[str, float]]:
        """What is judged, by its row of the limits."""
        yield "pg.connections", 100 * self.clients / self.places
        if self.behind_s is not None:
            yield "pg.lag", max(0.0, self.behind_s)


def look(dsn: str, role: str | None, limit_s: float, took_s: float | None) -> Told:
    """Log in and ask, within `limit_s`; raises Refused or Slow.

    `took_s` is what the start of a connection took, in seconds; `None` where none was tried yet.
    """
    try:
        import psycopg  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        action = "pip install 'mltop[services]'"
        words = "dsn_file needs psycopg to look deeper"
        return Told(words=words, level=Level.UNKNOWN, reason="absent", took_s=took_s, action=action)
    try:
        facts = _asked(psycopg, dsn, limit_s)
    except psycopg.ProgrammingError:  # its message may repeat the string, password and all
        raise Refused("dsn_file is no connection string, or its role may not ask", Level.UNKNOWN, "error") from None
    except psycopg.Error as error:
        raise _refused(error, has_answered=took_s is not None) from None
    is_right = role is None or facts.is_standby == (role == "standby")
    name = "standby" if facts.is_standby else "primary"
    return Told(
        words=f"accepts connections, {name}" + ("" if is_right else f" and should be a {role}"),
        level=Level.OK if is_right else Level.CRITICAL,
        reason="ok" if is_right else "role",
        took_s=took_s,
        values=dict(facts.values()),
        data={"connections": facts.clients, "max_connections": facts.places, "role": name, "lag_s": facts.behind_s},
    )


def _asked(psycopg: Any, dsn: str, limit_s: float) -> _Facts:
    """Log in once, read only, and never for longer than the time that is left; nothing prompts."""
    limits = {"connect_timeout": max(2, round(limit_s)), "application_name": "mltop"}  # libpq: at least 2 s
    with psycopg.connect(dsn, autocommit=True, **limits) as connection:
        connection.execute(f"SET statement_timeout = {max(1, int(limit_s * 1000))}")

        def one(query: str) -> Any:
            return connection.execute(query).fetchone()[0]

        is_standby = bool(one(_STANDBY))
        return _Facts(one(_CLIENTS), one(_PLACES), is_standby, one(_BEHIND if is_standby else _FOLLOWERS))


def _refused(error: Any, *, has_answered: bool) -> Exception:
    """What a failed login or query means: a server that has answered is up."""
    state, words = error.sqlstate or "", clean(str(error).replace("\n", " ").strip(), 160)
    if state == "57014":  # query_canceled: the statement's own time is up
        return Slow()
    if state == "53300" or any(full in words for full in _FULL):
        return Refused(words, Level.CRITICAL, "full")
    if "starting up" in words or "shutting down" in words:
        return Refused(words, Level.WARNING, "busy")
    if not has_answered and not state and "FATAL" not in words:
        return Refused(words)
    return Refused(f"cannot log in: {words}", Level.UNKNOWN, "permission", "check dsn_file")
