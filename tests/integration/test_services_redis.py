"""A real Redis in every state that it can be in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificate import Authority
from needed import need
from patience import assert_within, wait_until
from served import RedisServer

from mltop.checks.service.child import ask
from mltop.config.service import Redis
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer

pytestmark = pytest.mark.integration
ENDED = 0.6


def asked(server: RedisServer, **more: Any) -> ServiceAnswer:
    started = time.monotonic()
    service = Redis(name="r", **{"port": server.port, "timeout": "1s", **more})
    answer = ask("redis", service)
    assert_within(service.timeout_s + ENDED, started)
    assert "hunter2" not in repr(answer)
    return answer


def told(server: RedisServer, **more: Any) -> tuple[Level | None, str]:
    answer = asked(server, **more)
    return answer.level, answer.reason


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], str]:
    def made(text: str) -> str:
        path = tmp_path / f"secret-{text}"
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    return made


def test_up_by_port_and_by_socket_stopped_and_killed(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        answer = asked(server)
        assert (answer.level, answer.reason) == (Level.OK, "ok")
        assert answer.data["role"] == "master"
        assert answer.data["redis_version"]
        assert told(server, host=str(server.socket)) == (Level.OK, "ok")
        server.stop()
        assert told(server) == (Level.CRITICAL, "timeout")
        assert told(server, host=str(server.socket)) == (Level.CRITICAL, "timeout")
        server.resume()
        assert told(server) == (Level.OK, "ok")
        server.kill()
        down = asked(server)
        assert (down.level, down.reason, down.place) == (Level.CRITICAL, "down", f"127.0.0.1:{server.port}")
        by_socket = asked(server, host=str(server.socket))
        assert (by_socket.level, by_socket.place) == (Level.CRITICAL, str(server.socket))


def test_passwords_and_users(tmp_path: Path, secret: Callable[[str], str]) -> None:
    with RedisServer(tmp_path) as server:
        spare = asked(server, password_file=secret("hunter2"))
        assert (spare.level, spare.reason) == (Level.UNKNOWN, "permission")  # it is up, and asked in the wrong way
        assert "remove password_file" in str(spare.action)
        server.say("ACL", "SETUSER", "probe", "on", ">hunter2", "+ping", "+info")
        server.say("ACL", "SETUSER", "blind", "on", ">hunter2", "+ping")
        server.say("ACL", "SETUSER", "mute", "on", ">hunter2", "+get")
        server.say("CONFIG", "SET", "requirepass", "hunter2")
        assert told(server) == (Level.UNKNOWN, "permission")
        assert told(server, password_file=secret("wrong")) == (Level.UNKNOWN, "permission")
        assert told(server, password_file=secret("hunter2")) == (Level.OK, "ok")
        assert told(server, user="probe", password_file=secret("hunter2")) == (Level.OK, "ok")
        assert told(server, user="nobody", password_file=secret("hunter2")) == (Level.UNKNOWN, "permission")
        assert told(server, user="mute", password_file=secret("hunter2")) == (Level.UNKNOWN, "permission")
        blind = asked(server, user="blind", password_file=secret("hunter2"))
        assert (blind.level, blind.reason) == (Level.UNKNOWN, "permission")
        assert "+info" in str(blind.action)


def test_loading_is_a_warning_until_it_is_done(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        server.say("DEBUG", "POPULATE", "4000")
        assert server.say("SAVE") == b"+OK\r\n"
    lines = ("key-load-delay 1000", "loading-process-events-interval-bytes 1024")
    with RedisServer(tmp_path, *lines, port=server.port) as server:
        answer = asked(server)
        assert (answer.level, answer.reason) == (Level.WARNING, "busy")
        assert "LOADING" in answer.summary
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "loaded")


def test_a_script_that_holds_it_is_a_warning(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "busy-reply-threshold 10") as server, server.connected() as line:
        line.sendall(b"EVAL 'while true do end' 0\r\n")
        wait_until(lambda: told(server) == (Level.WARNING, "busy"), 30, "busy")
        server.say("SCRIPT", "KILL")
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "free again")


def test_memory_near_its_limit_and_a_cache_that_is_full_by_design(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "maxmemory 8mb", "maxmemory-policy noeviction") as server:
        assert asked(server).values["redis.memory"] < 90
        server.say("DEBUG", "POPULATE", "1000000")
        full = asked(server)
        assert full.level is Level.OK  # by itself; the limit is what says more
        assert full.values["redis.memory"] > 90
        server.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert "redis.memory" not in asked(server).values


def test_the_last_free_place_and_none(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "maxclients 10") as server, contextlib.ExitStack() as held:
        for _ in range(9):
            held.enter_context(server.connected()).sendall(b"PING\r\n")
        wait_until(lambda: b"connected_clients:10\r" in server.say("INFO", "clients"), 30, "nine others")
        wait_until(lambda: asked(server).values["redis.clients"] == 100, 30, "the last place")
        last = asked(server)
        assert (last.level, last.values["redis.clients"]) == (Level.OK, 100)
        assert last.counters["redis.rejected"] == 0
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "its place is free again")
        held.enter_context(server.connected()).sendall(b"PING\r\n")
        assert told(server) == (Level.CRITICAL, "full")
        password = tmp_path / "secret"
        password.write_text("hunter2")
        password.chmod(0o600)
        assert told(server, password_file=str(password)) == (Level.CRITICAL, "full")
        held.close()
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "free again")
        assert asked(server).counters["redis.rejected"] >= 2


def test_a_snapshot_that_fails(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        (tmp_path / "dump.rdb").mkdir()  # nobody, root neither, renames a file over a folder
        server.say("SET", "a", "b")
        server.say("BGSAVE")
        wait_until(lambda: b"rdb_last_bgsave_status:err" in server.say("INFO", "persistence"), 30, "failed")
        quiet = asked(server)
        assert (quiet.level, quiet.reason) == (Level.CRITICAL, "broken")
        assert "rdb_last_bgsave_status" in quiet.summary
        server.say("CONFIG", "SET", "save", "3600 1")  # now it refuses writes, and PING too
        loud = asked(server)
        assert (loud.level, loud.reason) == (Level.CRITICAL, "broken")
        assert "MISCONF" in loud.summary
        (tmp_path / "dump.rdb").rmdir()
        server.say("BGSAVE")
        wait_until(lambda: told(server) == (Level.OK, "ok"), 30, "saved")


def test_a_replica_whose_primary_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        RedisServer(tmp_path / "a") as primary,
        RedisServer(tmp_path / "b", f"replicaof 127.0.0.1 {primary.port}", "repl-timeout 2") as replica,
    ):
        wait_until(lambda: told(replica) == (Level.OK, "ok"), 30, "linked")
        assert asked(replica).data["role"] == "slave"
        primary.kill()
        wait_until(lambda: told(replica) == (Level.CRITICAL, "broken"), 30, "the link is down")
        assert f"no link to its primary 127.0.0.1:{primary.port}" in asked(replica).summary
        replica.say("CONFIG", "SET", "replica-serve-stale-data", "no")
        stale = asked(replica)
        assert (stale.level, stale.reason) == (Level.CRITICAL, "broken")


def test_over_tls(tmp_path: Path) -> None:
    folder = tmp_path / "authority"
    folder.mkdir()
    authority = Authority(folder, need("openssl", "openssl"))
    good = authority.signed(("CN=a", "IP:127.0.0.1"), (-1, 90))
    lines = (f"tls-port {0}", f"tls-cert-file {good.certificate}", f"tls-key-file {good.key}",
             f"tls-ca-cert-file {authority.file}", "tls-auth-clients no")  # fmt: skip
    with RedisServer(tmp_path, *lines) as server:
        plain_port = server.port
        server.say("CONFIG", "SET", "port", "0")
        with contextlib.suppress(OSError):
            server.say("PING")
        assert told(server)[0] is Level.CRITICAL
    with RedisServer(tmp_path, *lines[1:], f"tls-port {plain_port}", "port 0", port=plain_port) as server:
        assert told(server, tls=True, tls_ca_file=authority.file) == (Level.OK, "ok")
        assert told(server, tls=True) == (Level.CRITICAL, "tls")
        assert told(server, tls=True, tls_verify=False) == (Level.OK, "ok")
        assert told(server)[0] is Level.CRITICAL
