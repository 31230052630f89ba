"""A real PostgreSQL in every state that it can be in, asked at its door and by who logs in."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within, wait_until
from served import PostgresServer

from mltop.checks.service.child import ask
from mltop.config.service import Postgres
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer

pytestmark = pytest.mark.integration
ENDED = 0.6
HAS_CLIENT = importlib.util.find_spec("psycopg") is not None
logs_in = pytest.mark.skipif(not HAS_CLIENT, reason="no psycopg: install the extra services")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One cluster; each test starts it as it wants it.

    Not below pytest's own folder: another session that begins shuts that to the user who the server runs as.
    """
    with tempfile.TemporaryDirectory(prefix="tried-postgres-") as folder:
        made = PostgresServer(Path(folder))
        made.make()
        with made:
            yield made


@pytest.fixture
def dsn(tmp_path: Path, server: PostgresServer) -> Callable[..., str]:
    def made(more: str = "", mode: int = 0o600) -> str:
        path = tmp_path / "dsn"
        path.write_text(server.dsn(more) + "\n")
        path.chmod(mode)
        return str(path)

    return made


@contextlib.contextmanager
def running(server: PostgresServer, *settings: str) -> Iterator[None]:
    try:
        server.start(*settings)
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "it has started")
        yield
    finally:
        server.kill()


def asked(server: PostgresServer, **more: Any) -> ServiceAnswer:
    started = time.monotonic()
    service = Postgres(name="p", **{"port": server.port, "timeout": "1s", **more})
    answer = ask("pg", service)
    assert_within(service.timeout_s + ENDED, started)
    assert "hunter2" not in repr(answer)
    return answer


def told(server: PostgresServer, **more: Any) -> tuple[Level | None, str]:
    answer = asked(server, **more)
    return answer.level, answer.reason


def allowed(server: PostgresServer, *lines: str) -> None:
    """What pg_hba.conf says from now on."""
    (server.data / "pg_hba.conf").write_text("\n".join((*lines, "")))
    server.process.send_signal(signal.SIGHUP)


OPEN = ("local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust")


def test_up_by_port_and_by_socket_stopped_and_killed(server: PostgresServer) -> None:
    with running(server):
        assert told(server) == (Level.OK, "ok")
        assert told(server, host=str(server.folder)) == (Level.OK, "ok")
        server.stop()
        assert told(server) == (Level.CRITICAL, "timeout")
        assert told(server, host=str(server.folder)) == (Level.CRITICAL, "timeout")
        server.resume()
        assert told(server) == (Level.OK, "ok")
    down = asked(server)
    assert (down.level, down.reason, down.place) == (Level.CRITICAL, "down", f"127.0.0.1:{server.port}")
    gone = asked(server, host=str(server.folder))
    assert (gone.level, gone.place) == (Level.CRITICAL, f"{server.folder}/.s.PGSQL.{server.port}")


def test_whom_it_does_not_let_in_says_that_it_is_up(server: PostgresServer) -> None:
    """As pg_isready: a password, a role that is not there or TLS alone are no outage."""
    with running(server):
        for rule in ("host all all 127.0.0.1/32 scram-sha-256", "hostssl all all 127.0.0.1/32 trust",
                     "host all all 127.0.0.1/32 reject", "host all nobody 127.0.0.1/32 trust"):  # fmt: skip
            allowed(server, rule)
            wait_until(lambda: told(server) == (Level.OK, "ok"), 30, rule)
        allowed(server, *OPEN)


def test_a_server_that_is_not_ready_yet_is_a_warning(server: PostgresServer) -> None:
    """A standby that lets nobody in is starting up for as long as it lives."""
    (server.data / "standby.signal").touch()
    try:
        server.start("hot_standby=off")
        wait_until(lambda: told(server) == (Level.WARNING, "busy"), 30, "not ready")
        answer = asked(server)
        assert (answer.level, answer.reason, answer.place) == (Level.WARNING, "busy", f"127.0.0.1:{server.port}")
        assert "the database system is " in answer.summary
    finally:
        server.kill()
        (server.data / "standby.signal").unlink()


@logs_in
def test_shutting_down_is_a_warning(server: PostgresServer, dsn: Callable[..., str]) -> None:
    import psycopg

    with running(server), psycopg.connect(server.dsn()):
        server.process.send_signal(signal.SIGTERM)  # smart: it waits for who is there
        wait_until(lambda: told(server) == (Level.WARNING, "busy"), 30, "shutting down")
        assert "shutting down" in asked(server).summary
        assert told(server, dsn_file=dsn()) == (Level.WARNING, "busy")


@logs_in
def test_connections_run_out(server: PostgresServer, dsn: Callable[..., str]) -> None:
    import psycopg

    settings = ("max_connections=5", "superuser_reserved_connections=1", "max_wal_senders=0")
    with running(server, *settings), contextlib.ExitStack() as held:
        assert asked(server, dsn_file=dsn()).values["pg.connections"] == 20
        for _ in range(4):
            held.enter_context(psycopg.connect(server.dsn()))
        wait_until(
            lambda: asked(server, dsn_file=dsn()).values.get("pg.connections") == 100, 30, "the last place is ours"
        )
        held.enter_context(psycopg.connect(server.dsn()))

        def is_full() -> bool:
            return told(server) == (Level.CRITICAL, "full")

        wait_until(is_full, 30, "full")
        assert "too many clients" in asked(server).summary
        assert told(server, dsn_file=dsn()) == (Level.CRITICAL, "full")


@logs_in
def test_places_that_are_kept_for_a_superuser_are_full_too(server: PostgresServer, dsn: Callable[..., str]) -> None:
    import psycopg

    settings = ("max_connections=5", "superuser_reserved_connections=3", "max_wal_senders=0")
    with running(server, *settings), contextlib.ExitStack() as held:
        first = held.enter_context(psycopg.connect(server.dsn(), autocommit=True))
        first.execute("CREATE ROLE plain LOGIN")
        held.enter_context(psycopg.connect(server.dsn()))
        file = Path(dsn())
        file.write_text(f"host=127.0.0.1 port={server.port} user=plain dbname=postgres")
        answer = asked(server, dsn_file=str(file))
        assert (answer.level, answer.reason) == (Level.CRITICAL, "full")


@logs_in
def test_what_a_login_meets(server: PostgresServer, dsn: Callable[..., str], tmp_path: Path) -> None:
    import psycopg

    with running(server):
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS tried")
            connection.execute("CREATE ROLE tried LOGIN PASSWORD 'hunter2'")
        good = asked(server, dsn_file=dsn("password=hunter2"))
        assert (good.level, good.data["role"]) == (Level.OK, "primary")
        assert told(server, dsn_file=dsn(), role="primary") == (Level.OK, "ok")
        assert told(server, dsn_file=dsn(), role="standby") == (Level.CRITICAL, "role")
        allowed(server, "host all tried 127.0.0.1/32 scram-sha-256", *OPEN)
        file = Path(dsn())

        def by(text: str) -> tuple[Level | None, str]:
            file.write_text(text.replace("PORT", str(server.port)))
            return told(server, dsn_file=str(file))

        where = "host=127.0.0.1 port=PORT user=tried dbname=postgres"
        wait_until(lambda: by(f"{where} password=wrong") == (Level.UNKNOWN, "permission"), 30, "refused")
        assert by(f"{where} password=hunter2") == (Level.OK, "ok")
        assert by("postgresql://tried:hunter2@127.0.0.1:PORT/postgres") == (Level.OK, "ok")
        assert by(f"{where.replace('postgres', 'none')} password=hunter2") == (Level.UNKNOWN, "permission")
        assert by(f"{where} password=hunter2 sslmode=require")[0] is Level.UNKNOWN  # it is up: the door said so
        assert by(f"{where} password=hunter2 sslmode=nonsense")[0] is Level.UNKNOWN
        assert by("password=hunter2 nonsense")[0] is Level.UNKNOWN
        assert by(f"host={server.folder} port=PORT user=postgres dbname=postgres") == (Level.OK, "ok")
        open_to_all = asked(server, dsn_file=dsn("password=hunter2", mode=0o640))
        assert (open_to_all.level, open_to_all.action) == (Level.UNKNOWN, f"chmod 600 {file}")


@logs_in
def test_a_server_that_stops_while_it_is_asked(server: PostgresServer, dsn: Callable[..., str]) -> None:
    with running(server):
        server.stop()
        assert told(server, dsn_file=dsn()) == (Level.CRITICAL, "timeout")
        server.resume()
        assert told(server, dsn_file=dsn()) == (Level.OK, "ok")


@logs_in
def test_a_standby_that_is_behind(server: PostgresServer, dsn: Callable[..., str]) -> None:
    import psycopg

    (server.folder / "standby").mkdir(exist_ok=True)
    if os.geteuid() == 0:
        import shutil

        shutil.chown(server.folder / "standby", "nobody", "nogroup")
    allowed(server, *OPEN)
    with running(server), PostgresServer(server.folder / "standby") as standby:
        server.run(
            "pg_basebackup", "-D", str(standby.data), "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-R",
            "-X", "stream", "-c", "fast", "--no-sync",
        )  # fmt: skip
        standby.start("hot_standby=on")
        file = Path(dsn())
        file.write_text(standby.dsn())

        def of_standby(**more: Any) -> ServiceAnswer:
            return asked(standby, dsn_file=str(file), **more)

        wait_until(lambda: of_standby(role="standby").level is Level.OK, 30, "a standby")
        wait_until(lambda: of_standby().values.get("pg.lag") == 0, 30, "not behind")
        assert (of_standby(role="primary").level, of_standby(role="primary").reason) == (Level.CRITICAL, "role")
        with (
            psycopg.connect(server.dsn(), autocommit=True) as there,
            psycopg.connect(standby.dsn(), autocommit=True) as here,
        ):
            here.execute("SELECT pg_wal_replay_pause()")
            there.execute("CREATE TABLE IF NOT EXISTS moved (x int)")
            wait_until(lambda: of_standby().values["pg.lag"] > 0.3, 30, "behind")
            here.execute("SELECT pg_wal_replay_resume()")
            wait_until(lambda: of_standby().values["pg.lag"] == 0, 30, "caught up")
        server.kill()
        wait_until(lambda: of_standby().values.get("pg.lag", 0) > 0, 30, "its primary is gone")
        server.start()
