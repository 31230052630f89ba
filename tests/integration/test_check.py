"""`mltop --check` and what really hangs or really serves: FUSE mounts in state D, Redis, PostgreSQL, an HTTP server."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import driver
import pytest
from hung import hung_mount, stuck
from patience import assert_within, wait_until
from served import PostgresServer, RedisServer

pytestmark = pytest.mark.integration

CHECK = [sys.executable, "-m", "mltop", "--check", "--json"]
RUNS = 20
ENDED = 0.6
"""Beyond `-t`: half a second by the contract, and what this machine's other work takes."""


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's runs leave is no other's."""
    monkeypatch.setenv("MLTOP_STATE_DIR", str(tmp_path / "own-state"))


def check(*arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """One run's document."""
    done = subprocess.run(
        [*CHECK, *arguments],
        env={**os.environ, "MLTOP_KMSG": os.devnull, **(environment or {})},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    made: dict[str, Any] = json.loads(done.stdout)
    assert made["exit_code"] == done.returncode
    return made


def one(made: dict[str, Any], name: str, target: str) -> dict[str, Any]:
    (found,) = [one for one in made["results"] if one["check"] == name and one["target"] == target]
    return dict(found)


# --- what hangs


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A mount that hangs while `mount.block` exists."""
    with hung_mount(tmp_path / "mount"):
        yield tmp_path / "mount"


def test_a_mount_that_hangs_is_told_and_leaves_one_child_after_many_runs(mount: Path, tmp_path: Path) -> None:
    only = ("--only", "disk.*")
    assert one(check(*only), "disk.mount_stuck", str(mount))["state"] == "OK"
    mount.with_suffix(".block").touch()
    before = stuck("mltop-m-", tmp_path)
    started = time.monotonic()
    made = check(*only)
    assert_within(2 + 1, started)
    assert one(made, "disk.mount_stuck", str(mount))["state"] == "WARNING"
    assert one(made, "disk.space", "/")["state"] in ("OK", "WARNING", "CRITICAL")
    (child,) = stuck("mltop-m-", tmp_path) - before
    wait_until(lambda: _age_s(child) > 3.2, 20, "old enough to be known as stuck")
    for _ in range(RUNS):
        started = time.monotonic()
        made = check(*only)
        assert_within(2, started)
        found = one(made, "disk.mount_stuck", str(mount))
        assert (found["state"], made["exit_code"]) == ("CRITICAL", 2)
        assert f"pid {child}" in found["summary"]
    assert stuck("mltop-m-", tmp_path) - before == {child}
    mount.with_suffix(".block").unlink()
    wait_until(lambda: child not in stuck("mltop-m-", tmp_path), 20, "gone when the mount answers")
    assert one(check(*only), "disk.mount_stuck", str(mount))["state"] == "OK"


def _age_s(pid: int) -> float:
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def test_a_mount_that_hangs_ends_in_a_shorter_time_too(mount: Path) -> None:
    mount.with_suffix(".block").touch()
    started = time.monotonic()
    made = check("-t", "1", "--only", "disk.*")
    assert_within(1 + ENDED, started)
    assert one(made, "disk.mount_stuck", str(mount))["state"] == "WARNING"
    assert one(check("-t", "1", "--only", "disk.*"), "disk.mount_stuck", str(mount))["state"] == "CRITICAL"  # twice


def test_a_state_on_a_mount_that_hangs_holds_no_run_up_and_leaves_one_child(mount: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    state = mount / "state"
    arguments = ("-t", "3", "--only", "self.state,mem.*", "--state-dir", str(state))

    def told() -> dict[str, Any]:
        started = time.monotonic()
        made = check(*arguments, environment={"XDG_RUNTIME_DIR": str(run)})
        assert_within(3 + ENDED, started)
        assert one(made, "mem.available", "")["state"] in ("OK", "WARNING", "CRITICAL")
        return one(made, "self.state", "")

    mount.with_suffix(".block").touch()
    before = stuck("mltop-m-", tmp_path)
    found = told()
    assert (found["state"], found["reason"]) == ("UNKNOWN", "timeout")
    assert found["summary"] == f"kept in {run}/mltop: {state}: does not answer"
    wait_until(lambda: stuck("mltop-m-", tmp_path) - before, 20, "stuck in state D")
    (child,) = stuck("mltop-m-", tmp_path) - before
    wait_until(lambda: _age_s(child) > 3.2, 20, "old enough to be known as stuck")
    since = {told()["since"] for _ in range(RUNS)}
    assert since == {found["since"]}  # the state of before is known, for it is kept elsewhere
    assert stuck("mltop-m-", tmp_path) - before == {child}
    mount.with_suffix(".block").unlink()
    wait_until(lambda: child not in stuck("mltop-m-", tmp_path), 20, "gone when the mount answers")
    assert "does not answer" not in told()["summary"]


def test_a_full_disk_is_told_and_the_state_goes_elsewhere(tmp_path: Path) -> None:
    state, run = tmp_path / "state", tmp_path / "run"
    state.mkdir()
    run.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(state)], check=False)
    if done.returncode != 0:
        pytest.skip("may not mount here")
    try:
        arguments, environment = ("--state-dir", str(state)), {"XDG_RUNTIME_DIR": str(run)}
        assert one(check(*arguments, environment=environment), "self.state", "")["state"] == "OK"
        with contextlib.suppress(OSError), (state / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        first = one(check(*arguments, "-w", "mem.available=@0:", environment=environment), "mem.available", "")
        made = check(*arguments, "-w", "mem.available=@0:", environment=environment)
        found = one(made, "self.state", "")
        assert (found["state"], found["reason"]) == ("WARNING", "error")
        assert found["summary"] == f"kept in {run}/mltop: {state}: No space left on device"
        assert one(made, "mem.available", "")["since"] == first["since"]  # so that nothing alerts again
        assert one(made, "disk.space", str(state))["state"] == "CRITICAL"
        (state / "filler").unlink()
        made = check(*arguments, "-w", "mem.available=@0:", environment=environment)
        assert one(made, "self.state", "")["summary"] == f"kept in {state}"
        assert one(made, "mem.available", "")["since"] == first["since"]
        assert not list((run / "mltop").iterdir())
    finally:
        subprocess.run(["umount", "-l", str(state)], check=False, timeout=10)


def test_a_driver_stuck_in_the_kernel_is_critical_and_gets_one_probe_in_many_runs(
    mount: Path, fake_nvml: driver.FakeNvml, tmp_path: Path
) -> None:
    mount.with_suffix(".block").touch()
    fake_nvml.scenario("8xh100", extra=f"fault = nvmlDeviceGetPowerUsage 2 hang_file {mount}/file\n")
    before = stuck("mltop-probe", tmp_path)
    started = time.monotonic()
    made = check("-t", "2", "--only", "gpu.*", environment=fake_nvml.env)
    assert_within(2 + ENDED, started)
    assert one(made, "gpu.responsive", "")["state"] == "CRITICAL"
    assert made["exit_code"] == 2
    wait_until(lambda: stuck("mltop-probe", tmp_path) - before, 20, "stuck in state D")
    (probe,) = stuck("mltop-probe", tmp_path) - before
    for _ in range(RUNS):
        started = time.monotonic()
        made = check("-t", "5", "--only", "gpu.*", environment=fake_nvml.env)
        assert_within(2, started)
        assert made["exit_code"] == 2
        assert f"pid {probe}" in one(made, "gpu.responsive", "")["summary"]
    assert stuck("mltop-probe", tmp_path) - before == {probe}


# --- what serves


def test_redis_up_refusing_stopped_and_killed(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        config, secret = tmp_path / "c.toml", tmp_path / "secret"
        entry = f'[[services.redis]]\nname = "cache"\nport = {server.port}\ntimeout = "1s"\n'
        config.write_text(entry)

        def state() -> tuple[str, str | None]:
            found = one(check("--only", "redis", "--config", str(config)), "redis", "cache")
            return found["state"], found["reason"]

        assert state() == ("OK", None)
        assert server.say("CONFIG", "SET", "requirepass", "hunter2") == b"+OK\r\n"
        assert state() == ("UNKNOWN", "permission")
        secret.write_text("hunter2\n")
        secret.chmod(0o600)
        config.write_text(entry + f'password_file = "{secret}"\n')
        assert state() == ("OK", None)
        server.stop()
        assert state() == ("CRITICAL", "timeout")
        server.kill()
        assert state() == ("CRITICAL", "down")


def test_postgres_up_by_port_and_socket_stopped_and_killed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tried-postgres-") as folder, PostgresServer(Path(folder)) as server:
        server.make()
        server.start()
        config = tmp_path / "c.toml"
        config.write_text(
            f'[[services.postgres]]\nname = "port"\nport = {server.port}\ntimeout = "1s"\n'
            f'[[services.postgres]]\nname = "socket"\nhost = "{folder}"\nport = {server.port}\ntimeout = "1s"\n'
        )

        def states() -> list[tuple[str, str | None]]:
            made = check("--only", "pg", "--config", str(config))
            told = (one(made, "pg", name) for name in ("port", "socket"))
            return [(found["state"], found["reason"]) for found in told]

        wait_until(lambda: states() == [("OK", None)] * 2, 20, "accepting connections")
        server.stop()
        assert states() == [("CRITICAL", "timeout")] * 2
        server.kill()
        assert states() == [("CRITICAL", "down")] * 2


class Api(http.server.BaseHTTPRequestHandler):
    """A model API whose engine is dead while `dead` is set."""

    dead = threading.Event()
    status = 200

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": "llama"}]}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        while self.dead.is_set():
            time.sleep(0.02)
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_model_api_that_answers_and_never_generates(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/health"
        entry = '[[services.http]]\nname = "l{0}"\nurl = "{1}"\nlevel = {0}\nmodel = "llama"\ntimeout = "0.8s"\n'
        config.write_text("".join(entry.format(level, url) for level in (1, 2, 3, 4)))

        def states() -> list[str]:
            made = check("--only", "api", "--config", str(config))
            return [one(made, "api", f"l{level}")["state"] for level in (1, 2, 3, 4)]

        Api.dead.set()
        assert states() == ["OK", "OK", "OK", "CRITICAL"]
        Api.dead.clear()
        Api.status = 503
        assert states() == ["OK", "CRITICAL", "CRITICAL", "CRITICAL"]
        server.shutdown()
        thread.join()
    assert states() == ["CRITICAL"] * 4
