"""Real servers on loopback, started for a test: Redis and PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from needed import free_port, need
from patience import wait_until

_QUIET: Mapping[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class _Server:
    """A process that ends with the test, however it stands."""

    process: subprocess.Popen[bytes]
    ends_by = signal.SIGKILL

    def stop(self) -> None:
        """As a box that is out of breath: it takes connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.resume()
        self.process.send_signal(self.ends_by)
        self.process.wait(30)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()


class RedisServer(_Server):
    """A redis-server in a folder."""

    def __init__(self, folder: Path, *lines: str, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.socket = folder / "redis.sock"
        config = folder / "redis.conf"
        first = (
            "bind 127.0.0.1", f"port {self.port}", 'save ""', f"dir {folder}", f"unixsocket {self.socket}",
            "enable-debug-command yes",
        )  # fmt: skip
        config.write_text("\n".join((*first, *lines, "")))
        self.process = subprocess.Popen([need("redis-server", "redis-server"), str(config)], cwd=folder, **_QUIET)
        wait_until(self._answers, 30, "redis answers")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(1)
                line.connect(str(self.socket))
                line.sendall(b"PING\r\n")
                return line.recv(64) != b""
        except OSError:
            return False

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def say(self, *words: str) -> bytes:
        """One command's reply, its first piece."""
        command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
        with self.connected() as line:
            line.sendall(command)
            return line.recv(65536)


class PostgresServer(_Server):
    """A PostgreSQL cluster in a folder: made once, started as often as wanted.

    As root it runs as `nobody`, who gets the folder and must be let into those above it.
    """

    ends_by = signal.SIGQUIT

    def __init__(self, folder: Path) -> None:
        homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        self._where = str(homes[0]) if homes else ""
        self._postgres = need("postgres", "postgresql", self._where)
        self._user: dict[str, Any] = {}
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        self.log = folder / "log"
        self.process = subprocess.Popen(["true"], **_QUIET)
        self.process.wait()
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "nobody", "nogroup")
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def make(self) -> None:
        """A new cluster, whose users are let in from loopback without a password."""
        self.run("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--no-sync")

    def run(self, name: str, *words: str) -> None:
        """One of PostgreSQL's own programs, to its end."""
        command = [need(name, "postgresql", self._where), *words]
        subprocess.run(
            command, env=self._environment(), check=True, timeout=60, cwd=self.folder, **_QUIET, **self._user
        )

    def start(self, *settings: str) -> None:
        """Start it; returns at once."""
        command = [self._postgres, "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
        command += ["-h", "127.0.0.1", "-F", *(word for one in settings for word in ("-c", one))]
        with self.log.open("ab") as log:
            quiet = {**_QUIET, "stderr": log}
            self.process = subprocess.Popen(command, env=self._environment(), cwd=self.folder, **quiet, **self._user)
        wait_until(self._has_begun, 30, "postgres takes connections")

    def _has_begun(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        return takes_connections(self.port)

    def dsn(self, more: str = "") -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres {more}"

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)}
