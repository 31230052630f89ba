"""Real programs for the integration tests: an sshd on loopback with throw-away keys, and a tmux of our own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from needed import free_port, need
from patience import wait_until

ROOT = Path(__file__).parents[2]
REAL_SSH = "/usr/bin/ssh"


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


def marked(mark: str) -> list[int]:
    """Processes that live and have this in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if not is_zombie and mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


class Sshd:
    """A box behind a real sshd: this one, with a home and a PATH of its own, in which `mltop` is the one under test."""

    def __init__(self, folder: Path) -> None:
        self.program = need("sshd", "openssh-server")
        need("ssh", "openssh-client")
        self.folder = folder
        self.port = free_port()
        self.mark = f"MLTOP_TEST_BOX={uuid.uuid4().hex}"
        self.home = folder / "home"
        self.bin = folder / "bin"
        """What only a login shell there has in its PATH."""
        self.config = folder / "ssh_config"
        self.options: dict[str, str] = {}
        """More lines for sshd_config."""
        self._daemon: subprocess.Popen[bytes] | None = None
        self._lay_out()

    def _lay_out(self) -> None:
        for folder in (self.home, self.bin, self.folder / "client"):
            folder.mkdir()
        for name in ("hostkey", "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        (self.home / ".profile").write_text(f"PATH={self.bin}:$PATH\n")
        script(self.bin / "mltop", f'PYTHONPATH={ROOT} exec {sys.executable} -m mltop "$@"')
        self.write_client_config()
        # the client takes its config from the home in the user database, so a test has to name another one
        script(self.folder / "client" / "ssh", f'exec {REAL_SSH} -F {self.config} "$@"')
        self.known = self.folder / "known"
        self.trust()

    def trust(self) -> None:
        kind, key, *_ = (self.folder / "hostkey.pub").read_text().split()
        self.known.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def write_client_config(self, **options: object) -> None:
        """The client's config for the host `box`, changed where a test wants it."""
        lines = {
            "HostName": "127.0.0.1",
            "Port": self.port,
            "IdentityFile": self.folder / "id",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.folder / "known",
            "GlobalKnownHostsFile": "/dev/null",
            "SendEnv": "LANG LC_* NO_COLOR COLORTERM LOCPATH PYTHON* MLTOP_*",
        } | options
        self.config.write_text("Host box\n" + "".join(f"  {key} {value}\n" for key, value in lines.items()))

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        authorized = self.folder / "authorized"
        if not authorized.exists():
            shutil.copy(self.folder / "id.pub", authorized)
        lines = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "hostkey",
            "PidFile": "none",
            "AuthorizedKeysFile": authorized,
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "AcceptEnv": "LANG LC_* NO_COLOR COLORTERM LOCPATH PYTHON* MLTOP_*",
            "SetEnv": f"HOME={self.home} PATH=/usr/bin:/bin {self.mark}",
        } | self.options
        conf = self.folder / "sshd_config"
        conf.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        self._daemon = subprocess.Popen([self.program, "-D", "-f", conf, "-E", self.folder / "log"], close_fds=True)
        wait_until(self._answers, what=lambda: (self.folder / "log").read_text())

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the daemon and its connections."""
        if self._daemon is not None:
            self.drop_connections()
            self._daemon.terminate()
            self._daemon.wait(10)
            self._daemon = None

    def connections(self) -> list[int]:
        """The daemon's processes, one or two a connection."""
        if self._daemon is None:
            return []
        return descendants(self._daemon.pid, named="sshd")

    def drop_connections(self) -> None:
        for pid in self.connections():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def running(self) -> list[int]:
        """What runs on the box: every process that a connection has started."""
        return marked(self.mark)

    def environment(self, **more: str) -> dict[str, str]:
        """For a local mltop, which then finds the client with the right config."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "NO_COLOR", "SSH_"))
        }
        path = f"{self.folder / 'client'}:{os.environ['PATH']}"
        return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm-256color"} | more

    def ssh(self, *arguments: str) -> list[str]:
        return [REAL_SSH, "-F", str(self.config), *arguments]


def descendants(pid: int, named: str) -> list[int]:
    """The processes below `pid` whose comm begins with `named`."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                head, _, tail = (entry / "stat").read_text().rpartition(")")
                parents.setdefault(int(tail.split()[1]), []).append(int(entry.name))
                names[int(entry.name)] = head.partition("(")[2]
    found: list[int] = []
    to_see = list(parents.get(pid, []))
    while to_see:
        child = to_see.pop()
        if names[child].startswith(named):
            found.append(child)
        to_see += parents.get(child, [])
    return found


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A box behind a running sshd; `options` and a `start()` after `stop()` change it."""
    box = Sshd(tmp_path)
    box.start()
    yield box
    box.stop()
    for pid in box.running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Tmux:
    """A tmux server of our own, one session."""

    def __init__(self, folder: Path) -> None:
        self.program = need("tmux", "tmux")
        self.socket = folder / "tmux"
        self._ended = folder / "tmux-ended"

    def __call__(self, *arguments: str) -> str:
        command = [self.program, "-S", str(self.socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout

    def run(
        self, command: Sequence[str], columns: int = 80, rows: int = 24, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start the session with this command; its pane stays when the command ends."""
        settings = [word for key, value in (environment or {}).items() for word in ("-e", f"{key}={value}")]
        self("new-session", "-d", "-x", str(columns), "-y", str(rows), *settings, "sleep 3600")
        self("set-option", "-g", "remain-on-exit", "on")
        # tmux itself does not always learn how its child ended
        self._ended.unlink(missing_ok=True)
        self("respawn-pane", "-k", *settings, "sh", "-c", '"$@"; echo $? >"$0"', str(self._ended), *command)

    def size(self, columns: int, rows: int) -> None:
        self("resize-window", "-x", str(columns), "-y", str(rows))

    def send(self, *keys: str) -> None:
        """Keys by tmux's names: `q`, `C-c`, `Enter`, …"""
        self("send-keys", *keys)

    def capture(self, *, escapes: bool = False) -> str:
        return self("capture-pane", "-pN", *(["-e"] if escapes else []))

    def wait_for(self, sign: str | Callable[[str], object], timeout_s: float = 10.0) -> str:
        """Wait until a text, or what a predicate asks for, is on the screen; returns the screen."""
        accepts = sign if callable(sign) else lambda screen: sign in screen
        wait_until(lambda: accepts(self.capture()), timeout_s, what=lambda: f"{sign!r} on\n{self.capture()}")
        return self.capture()

    def exit_code(self) -> int | None:
        """Of the command, once it has ended, as a shell has it."""
        try:
            return int(self._ended.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def stop(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self("kill-server")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A private tmux: run, size, send, capture, wait_for, exit_code."""
    server = Tmux(tmp_path)
    yield server
    server.stop()
