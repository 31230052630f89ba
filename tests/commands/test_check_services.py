"""`mltop --check` on many services at once: in one time, each by its place, with no secret and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import assert_within

CHECK = [sys.executable, "-m", "mltop", "--check"]
SECRET = "hunter2-of-the-test"
ONLY = ("--only", "api,redis,pg,tcp,docker")
ENDED = 0.6
"""Beyond what it waits for: half a second by the contract, and what this machine's other work takes."""


class Box:
    """A home, a config and its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TRIED": SECRET}
        self.environment |= {"MLTOP_STATE_DIR": str(folder / "state"), "MLTOP_KMSG": os.devnull}

    def configure(self, text: str) -> None:
        (self.folder / "c.toml").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [*CHECK, *ONLY, "--config", str(self.folder / "c.toml"), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip

    def results(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """By the service's name."""
        return {one["target"]: one for one in json.loads(self.run("--json", *arguments).stdout)["results"]}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose kernel takes connections, and nobody else."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def filtered() -> Iterator[int]:
    """A port that does not answer at all, as one behind a firewall that drops: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as held:
        port = int(listener.getsockname()[1])
        for _ in range(8):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture
def pong() -> Iterator[int]:
    """A Redis that is well."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serving() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection, contextlib.suppress(OSError):
                        connection.recv(4096)
                        connection.sendall(b"+PONG\r\n$6\r\nrole:x\r\n")

        threading.Thread(target=serving, daemon=True).start()
        yield int(listener.getsockname()[1])
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def busy_pong() -> Iterator[int]:
    """A Redis that takes every question, and answers all of them once no more come."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.settimeout(0.5)

        def serving() -> None:
            waiting: list[socket.socket] = []
            with contextlib.suppress(OSError):
                while True:
                    try:
                        waiting.append(listener.accept()[0])
                    except TimeoutError:
                        for connection in waiting:
                            with connection, contextlib.suppress(OSError):
                                connection.sendall(b"+PONG\r\n$6\r\nrole:x\r\n")
                        waiting.clear()

        threading.Thread(target=serving, daemon=True).start()
        yield int(listener.getsockname()[1])
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def left_behind(folder: Path) -> list[str]:
    """Processes that have this folder's state in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"MLTOP_STATE_DIR={folder}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "comm").read_text().strip())
    return found


def test_many_that_hang_take_the_time_of_one_and_no_other_waits(
    box: Box, silent: int, filtered: int, pong: int
) -> None:
    hung = [f'[[services.redis]]\nname = "r{n}"\nport = {silent}\ntimeout = "1s"\n' for n in range(10)]
    hung += [f'[[services.postgres]]\nname = "p{n}"\nport = {silent}\ntimeout = "1s"\n' for n in range(5)]
    hung += [
        f'[[services.http]]\nname = "h{n}"\nurl = "http://127.0.0.1:{silent}/"\ntimeout = "1s"\n' for n in range(5)
    ]
    hung.append(f'[[services.tcp]]\nname = "filtered"\nport = {filtered}\ntimeout = "1s"\n')
    box.configure("".join(hung) + f'[[services.redis]]\nname = "well"\nport = {pong}\n')
    started = time.monotonic()
    found = box.results()
    assert time.monotonic() - started < 10  # of a few, and not of 21
    assert found.pop("well")["state"] == "OK"
    hanging = {name: one for name, one in found.items() if name}
    assert len(hanging) == 21
    for name, one in hanging.items():
        assert (one["state"], one["reason"]) == ("CRITICAL", "timeout"), one
        port = filtered if name == "filtered" else silent
        assert one["summary"] == f"no answer in 1 s (127.0.0.1:{port})"
        assert one["action"]
    assert left_behind(box.folder) == []


def test_what_ends_with_the_runs_own_time_says_so(box: Box, silent: int) -> None:
    box.configure(f'[[services.redis]]\nname = "r"\nport = {silent}\ntimeout = "60s"\n')
    started = time.monotonic()
    one = box.results("-t", "1")["r"]
    assert_within(1 + ENDED, started)
    assert (one["state"], one["reason"]) == ("CRITICAL", "timeout")
    assert one["summary"] == f"no answer in the time of this run (127.0.0.1:{silent})"
    assert left_behind(box.folder) == []


@pytest.mark.parametrize("form", ["human", "nagios", "prometheus", "checkmk", "json"])
def test_every_format_says_where_and_none_has_a_secret(box: Box, form: str) -> None:
    file = box.folder / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refusing() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection, contextlib.suppress(OSError):
                        heard.append(connection.recv(65536))
                        connection.sendall(b"-ERR " + heard[-1].replace(b"\r\n", b" ") + b"\r\n")  # says it again

        threading.Thread(target=refusing, daemon=True).start()
        box.configure(
            f'[[services.redis]]\nname = "r"\nport = {port}\npassword_file = "{file}"\n'
            f'[[services.http]]\nname = "h"\nurl = "http://127.0.0.1:{port}/x?key={SECRET}"\ntoken_env = "TRIED"\n'
        )
        done = box.run("-f", form, "-vv")
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    assert any(SECRET.encode() in one for one in heard)
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if form != "prometheus":
        assert f"127.0.0.1:{port}" in done.stdout
    kept = b"".join(path.read_bytes() for path in (box.folder / "state").rglob("*") if path.is_file())
    assert SECRET.encode() not in kept


def test_no_process_has_a_secret_on_its_command_line(box: Box, silent: int) -> None:
    file = box.folder / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    box.configure(f'[[services.redis]]\nname = "r"\nport = {silent}\npassword_file = "{file}"\ntimeout = "1s"\n')
    seen: set[str] = set()
    with subprocess.Popen(box.command(), env=box.environment, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if f"MLTOP_STATE_DIR={box.folder}".encode() in (entry / "environ").read_bytes():
                        seen.add((entry / "comm").read_text().strip())
                        assert SECRET.encode() not in (entry / "cmdline").read_bytes()
    assert "mltop-services" in seen


def test_a_server_that_talks_nonsense_takes_no_other_with_it(box: Box, pong: int) -> None:
    info = ("used_memory:" + "9" * 400 + "\r\nmaxmemory:1\r\nredis_version:\x1b[31m\ud800\r\n").encode(
        errors="surrogatepass"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serving() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as connection, contextlib.suppress(OSError):
                        connection.recv(4096)
                        connection.sendall(b"+PONG\r\n$%d\r\n%s\r\n" % (len(info), info))

        threading.Thread(target=serving, daemon=True).start()
        port = listener.getsockname()[1]
        box.configure(
            f'[[services.redis]]\nname = "odd"\nport = {port}\n[[services.redis]]\nname = "well"\nport = {pong}\n'
        )
        found = box.results()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    assert found["well"]["state"] == "OK"
    assert found["odd"]["state"] == "OK"
    assert all(one["summary"].isprintable() for one in found.values())


def test_a_box_without_a_file_descriptor_left_cannot_ask_and_says_so(pong: int) -> None:
    code = (
        "import os, resource, sys\n"
        "from mltop.checks.service.probe import ServiceProbe\n"
        "from mltop.config.service import Redis, Services\n"
        f"services = Services(redis=(Redis(name='r', port={pong}),))\n"
        "usual = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')), usual[1]))\n"
        "probe = ServiceProbe(services, ['redis'], 'usual', 2.0)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, usual)\n"
        "print(probe.is_done(), [(a.name, a.level.name, a.reason) for a in probe.answers() if a.name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "True [('r', 'UNKNOWN', 'error')]\n", done.stderr


def test_a_box_without_room_for_more_threads_asks_those_that_it_can(busy_pong: int) -> None:
    code = (
        "import resource, sys, threading, time\n"
        "threading.stack_size(16 << 20)  # whatever this box's limit says\n"
        "from mltop.checks.service.child import ask\n"
        "from mltop.checks.service import redis\n"
        "from mltop.checks.service.probe import ServiceProbe\n"
        "from mltop.config.service import Redis, Services\n"
        f"services = Services(redis=tuple(Redis(name=f'r{{n}}', port={busy_pong}) for n in range(30)))\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (96 << 20), -1))\n"
        "probe = ServiceProbe(services, ['redis'], 'usual', 2.0)\n"
        "deadline = time.monotonic() + 10\n"
        "while not probe.is_done() and time.monotonic() < deadline:\n"
        "    probe.poll()\n"
        "print(probe.is_done(), *(f'{a.name}:{a.level.name}' for a in probe.answers() if a.name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    ended, *told = done.stdout.split()
    assert ended == "True", done.stderr
    assert {one.partition(":")[0] for one in told} == {f"r{n}" for n in range(30)}
    assert {one.partition(":")[2] for one in told} == {"OK", "UNKNOWN"}


def test_a_name_without_an_address_and_one_that_cannot_be(box: Box) -> None:
    box.configure(
        '[[services.redis]]\nname = "none"\nhost = "no-such-host.invalid"\n'
        f'[[services.tcp]]\nname = "long"\nhost = "{"x" * 300}"\nport = 1\n'
        '[[services.postgres]]\nname = "odd"\nhost = "a b\\u202ec"\n'
    )
    found = box.results()
    assert {one["state"] for one in found.values()} <= {"CRITICAL", "UNKNOWN"}
    assert found["none"]["state"] == "CRITICAL"
    assert "no-such-host.invalid:6379" in found["none"]["summary"]
    assert all(one["summary"].isprintable() for one in found.values())


def test_a_name_with_a_silent_address_before_a_good_one_is_well(pong: int, filtered: int) -> None:
    """As a box whose IPv6 leads nowhere; the addresses are what the resolver says, so it is told what to say."""
    code = (
        "import socket; from mltop.checks.service.child import ask; from mltop.config.service import Redis\n"
        "real, at = socket.getaddrinfo, '127.0.0.1'\n"
        f"socket.getaddrinfo = lambda *a, **k: real(at, {filtered}, type=1) + real(at, {pong}, type=1)\n"
        f"print(ask('redis', Redis(name='r', host='box', port={pong}, timeout='2s')).level)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "0\n"
