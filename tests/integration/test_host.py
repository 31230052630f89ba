"""`mltop --host` over a real sshd on loopback (D17, M39)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from patience import wait_until
from spawned import Spawned

pytestmark = pytest.mark.integration

MLTOP = [sys.executable, "-m", "mltop", "--host", "box"]
NOISE = "printf 'Welcome to box\\nno end of line'; echo a warning >&2"


class Box(Protocol):
    """What these tests use of the `sshd` fixture."""

    folder: Path
    home: Path
    bin: Path
    known: Path
    port: int
    options: dict[str, str]

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def trust(self) -> None: ...
    def write_client_config(self, **options: object) -> None: ...
    def connections(self) -> list[int]: ...
    def drop_connections(self) -> None: ...
    def running(self) -> list[int]: ...
    def environment(self, **more: str) -> dict[str, str]: ...


def mltop(box: Box, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Without a terminal, so that ssh asks nobody."""
    return subprocess.run(
        [*MLTOP, *arguments],
        env=box.environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )


def remote(box: Box, text: str) -> None:
    (box.bin / "mltop").write_text(f"#!/bin/sh\n{text}\n")


# -- one snapshot, and the stream


def test_once_is_the_other_boxs_snapshot(sshd: Box) -> None:
    ended = mltop(sshd, "--once", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert document["schema"] == "mltop.snapshot/1"
    assert document["host"] == socket.gethostname()
    text = mltop(sshd, "--once")
    assert (text.returncode, text.stderr) == (0, "")
    assert socket.gethostname() in text.stdout
    assert text.stdout.endswith("\nremote box over ssh, judged by the limits here\n")
    assert all(len(line) <= 80 for line in text.stdout.splitlines())
    assert "\x1b" not in text.stdout
    wait_until(lambda: not sshd.running(), 2.0)


def test_without_a_terminal_the_dashboard_is_the_text(sshd: Box) -> None:
    ended = mltop(sshd)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert socket.gethostname() in ended.stdout


def test_stream_ends_when_told_and_when_the_reader_goes(sshd: Box) -> None:
    ended = mltop(sshd, "--stream", "--count", "3", "-i", "0.25")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [json.loads(line)["interval_s"] for line in ended.stdout.splitlines()] == [0.25] * 3
    command = f"{' '.join(MLTOP)} --stream | head -1"
    first = subprocess.run(
        ["sh", "-c", command],
        env=sshd.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        start_new_session=True,
    )
    assert json.loads(first.stdout)["schema"] == "mltop.snapshot/1"
    assert first.stderr == ""
    wait_until(lambda: not sshd.running(), 2.0)


def test_a_stream_that_breaks_says_so(sshd: Box) -> None:
    streaming = subprocess.Popen(
        [*MLTOP, "--stream", "-i", "0.25"],
        env=sshd.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert streaming.stdout is not None
    assert streaming.stdout.readline()
    sshd.drop_connections()
    _, said = streaming.communicate(timeout=20)
    assert streaming.returncode == 1
    assert re.fullmatch(rb"mltop: (box closed the connection|the connection to box (was lost|broke))\n", said)
    wait_until(lambda: not sshd.running(), 2.0)


# -- what can be wrong, a line each


def test_noisy_rc_files_do_no_harm(sshd: Box) -> None:
    with (sshd.home / ".profile").open("a") as profile:
        profile.write(f"{NOISE}\n")
    (sshd.home / ".bashrc").write_text(f"{NOISE}\n")
    ended = mltop(sshd, "--once", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["schema"] == "mltop.snapshot/1"


def test_the_config_names_the_command(sshd: Box, tmp_path: Path) -> None:
    elsewhere = sshd.home / "it's here"
    elsewhere.mkdir()
    (sshd.bin / "mltop").rename(elsewhere / "mltop")
    config = tmp_path / "config.toml"
    config.write_text("""[remote]\nssh_command = '''"$HOME/it's here/mltop"'''\n""")
    ended = mltop(sshd, "--once", "--json", MLTOP_CONFIG=str(config))
    assert ended.returncode == 0, ended.stderr


def no_such_host(box: Box) -> None:
    box.write_client_config(HostName="no-such-host.invalid")


def refused(box: Box) -> None:
    box.stop()


def unknown_key(box: Box) -> None:
    box.known.write_text("")


def changed_key(box: Box) -> None:
    _, key, *_ = (box.folder / "id.pub").read_text().split()
    box.known.write_text(f"[127.0.0.1]:{box.port} ssh-ed25519 {key}\n")


def no_key(box: Box) -> None:
    (box.folder / "authorized").write_text("")


def not_installed(box: Box) -> None:
    (box.bin / "mltop").unlink()


def not_executable(box: Box) -> None:
    (box.bin / "mltop").chmod(0o644)


def broken(box: Box) -> None:
    remote(box, "echo \"ModuleNotFoundError: No module named 'psutil'\" >&2; exit 1")


def older(box: Box) -> None:
    remote(box, 'echo "mltop: unrecognized arguments: $1 (see mltop --help)" >&2; exit 2')


def newer(box: Box) -> None:
    remote(box, """echo '{"schema":"mltop.snapshot/2","version":"3.1.0"}'""")


def mute(box: Box) -> None:
    remote(box, "exit 0")


def login_refused(box: Box) -> None:
    box.stop()
    box.options["ForceCommand"] = "echo 'This account is currently not available.' >&2; exit 1"
    box.start()


FAULTS: list[tuple[Callable[[Box], None], str]] = [
    (no_such_host, r"no such host: box|cannot look up box: .+"),
    (refused, r"box refuses the connection \(is sshd running\?\)"),
    (unknown_key, r"the key of box is not known here: run `ssh box` once and accept it"),
    (changed_key, r"the key of box has CHANGED: .+"),
    (no_key, r"box refuses the login \(Permission denied \(publickey\)\): ssh-add .+"),
    (not_installed, r"mltop is not installed on box, .+"),
    (not_executable, r"mltop .*on box.*"),
    (broken, r"mltop on box ended \(exit code 1\): ModuleNotFoundError: No module named 'psutil'"),
    (older, r"an older mltop on box \(.+\): update it"),
    (newer, r"mltop 3\.1\.0 on box speaks mltop\.snapshot/2, this one mltop\.snapshot/1: update the older one"),
    (mute, r"mltop on box .+"),
    (login_refused, r"mltop on box ended \(exit code 1\): This account is currently not available\."),
]


@pytest.mark.parametrize(("spoil", "line"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_each_fault_is_one_line_and_code_1(sshd: Box, spoil: Callable[[Box], None], line: str) -> None:
    spoil(sshd)
    ended = mltop(sshd, "--once")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(f"mltop: ({line})\n", ended.stderr), ended.stderr
    document = json.loads(mltop(sshd, "--once", "--json").stdout)
    assert document["schema"] == "mltop.snapshot/1"
    assert re.fullmatch(line, document["errors"][0]["message"])


def test_a_host_that_takes_the_call_and_says_nothing(sshd: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        sshd.write_client_config(Port=deaf.getsockname()[1])
        started = time.monotonic()
        ended = mltop(sshd, "--once")
    assert ended.stderr == "mltop: box does not answer (timed out)\n"
    assert time.monotonic() - started < 15


# -- the dashboard


class Terminal(Spawned):
    """A dashboard."""

    def __init__(self, box: Box, *arguments: str, **more: str) -> None:
        super().__init__([*MLTOP, *arguments], box.environment(**more), 100, 30)


@pytest.fixture
def terminal(sshd: Box) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def make(*arguments: str, **more: str) -> Terminal:
        opened.append(Terminal(sshd, *arguments, **more))
        return opened[-1]

    yield make
    for shown in opened:
        shown.child.close(force=True)


Opened = Callable[..., Terminal]


def is_painted(text: str) -> bool:
    return socket.gethostname() in text and "Quit" in text


def test_the_dashboard_shows_the_other_box_and_leaves_nothing(sshd: Box, terminal: Opened) -> None:
    shown = terminal()
    shown.wait_for(is_painted)
    assert sshd.running()
    shown.child.send("q")
    assert shown.exit_code(2.0) == 0
    wait_until(lambda: not sshd.running() and not sshd.connections(), 2.0)


def test_a_lost_connection_is_said_and_comes_back(sshd: Box, terminal: Opened) -> None:
    shown = terminal("-i", "0.5")
    shown.wait_for(is_painted)
    sshd.drop_connections()
    shown.wait_for("trying again", 10.0)
    wait_until(lambda: not sshd.running(), 2.0)
    shown.wait_for(lambda text: is_painted(text) and "trying again" not in text, 15.0)
    wait_until(sshd.running, 5.0)
    shown.child.send("q")
    assert shown.exit_code(2.0) == 0
    wait_until(lambda: not sshd.running(), 2.0)


def test_a_box_that_goes_and_comes_back(sshd: Box, terminal: Opened) -> None:
    shown = terminal("-i", "0.5")
    shown.wait_for(is_painted)
    sshd.stop()
    shown.wait_for("refuses the connection", 15.0)
    sshd.start()
    shown.child.send("r")  # now, not after the pause
    shown.wait_for(lambda text: is_painted(text) and "refuses" not in text, 10.0)
    sshd.stop()
    shown.wait_for("refuses the connection", 15.0)
    shown.child.send("q")
    assert shown.exit_code(2.0) == 0


def test_a_dead_link_is_noticed(sshd: Box, terminal: Opened) -> None:
    """Nobody closes such a connection: it only stops to answer."""
    shown = terminal("-i", "0.5")
    shown.wait_for(is_painted)
    for pid in sshd.connections():
        os.kill(pid, signal.SIGSTOP)
    shown.wait_for("the connection to box was lost", 20.0)
    shown.wait_for(lambda text: is_painted(text) and "lost" not in text, 60.0)
    shown.child.send("q")
    assert shown.exit_code(5.0) == 0


def test_a_killed_dashboard_leaves_nothing_on_either_side(sshd: Box, terminal: Opened) -> None:
    shown = terminal()
    shown.wait_for(is_painted)
    os.kill(shown.child.pid, signal.SIGKILL)
    wait_until(lambda: not sshd.running() and not sshd.connections(), 2.0)


def test_a_host_that_cannot_be_had_is_one_line_and_code_1(sshd: Box, terminal: Opened) -> None:
    no_key(sshd)
    shown = terminal()
    assert shown.exit_code(10.0) == 1
    assert "box refuses the login" in shown.text
    assert b"\x1b[?1049h" not in shown.raw, "the terminal was not taken"


def test_an_unknown_key_is_asked_about_before_the_dashboard(sshd: Box, terminal: Opened) -> None:
    unknown_key(sshd)
    shown = terminal()
    shown.wait_for("Are you sure you want to continue connecting")
    shown.child.send("yes\r")
    shown.wait_for(is_painted)
    shown.child.send("q")
    assert shown.exit_code(2.0) == 0
    wait_until(lambda: not sshd.running(), 2.0)


def test_ctrl_c_while_ssh_asks_ends_all(sshd: Box, terminal: Opened) -> None:
    unknown_key(sshd)
    shown = terminal()
    shown.wait_for("Are you sure you want to continue connecting")
    shown.child.send("\x03")
    assert shown.exit_code(5.0) in (130, None)
    wait_until(lambda: not sshd.connections(), 2.0)


def test_the_other_box_is_read_only(sshd: Box, terminal: Opened) -> None:
    shown = terminal()
    shown.wait_for(is_painted)
    shown.wait_for("remote, local limits")
    shown.child.send("K")
    shown.child.send("r")
    shown.wait_for(is_painted)
    assert "SIGTERM" not in shown.text
    shown.child.send("q")
    assert shown.exit_code(2.0) == 0
