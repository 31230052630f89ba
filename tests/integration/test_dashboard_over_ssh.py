"""The dashboard in a terminal that sshd gives it: every kind of terminal and locale, and what is left when it goes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from patience import assert_within, wait_until
from spawned import Spawned

pytestmark = pytest.mark.integration

COLUMNS, ROWS = 100, 30


class Box(Protocol):
    """What these tests use of the `sshd` fixture."""

    bin: Path

    def ssh(self, *arguments: str) -> list[str]: ...
    def connections(self) -> list[int]: ...
    def running(self) -> list[int]: ...
    def environment(self, **more: str) -> dict[str, str]: ...


class Session(Spawned):
    """`ssh -tt box mltop`."""

    def __init__(self, box: Box, arguments: str = "", **environment: str) -> None:
        command = box.ssh("-tt", "box", f"{box.bin}/mltop {arguments}")
        super().__init__(command, box.environment(**environment), COLUMNS, ROWS)

    def has_colours(self) -> bool:
        cells = [cell for row in self.screen.buffer.values() for cell in row.values()]
        return any((cell.fg, cell.bg) != ("default", "default") for cell in cells)

    def has_graphics(self) -> bool:
        """Boxes, blocks, braille or arrows; names of processes may be anything."""
        return any("\u2190" <= character <= "\u28ff" for character in self.text)

    def is_restored(self) -> bool:
        """The alternate screen is left, the mouse is off, the cursor is there again."""
        undone = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h")
        done = (b"\x1b[?1049h", b"\x1b[?1000h", b"\x1b[?25l")
        return all(
            self.raw.rfind(off) > self.raw.rfind(on) for off, on in zip(undone, done, strict=True) if on in self.raw
        )


Opened = Callable[..., Session]


@pytest.fixture
def session(sshd: Box) -> Iterator[Opened]:
    opened: list[Session] = []

    def make(arguments: str = "", **environment: str) -> Session:
        opened.append(Session(sshd, arguments, **environment))
        return opened[-1]

    yield make
    for shown in opened:
        shown.child.close(force=True)


def is_painted(text: str) -> bool:
    """The frame and the first numbers."""
    return socket.gethostname() in text and "Quit" in text and "%" in text and "/dev/shm" in text


@pytest.fixture(scope="module")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LOCPATH with a locale that is not UTF-8."""
    folder = tmp_path_factory.mktemp("locale")
    try:
        subprocess.run(
            ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no localedef: install libc-bin")
    if not (folder / "en_US.ISO-8859-1").is_dir():
        pytest.skip("no sources of locales: install locales")
    return folder


def quit_cleanly(shown: Session, box: Box) -> None:
    started = time.monotonic()
    shown.child.send("q")
    assert shown.exit_code(3.0) == 0
    assert_within(1.5, started)
    assert shown.is_restored()
    wait_until(lambda: not box.running(), 2.0)


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-256color"},
        {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        {"TERM": "xterm-256color", "LANG": "C"},
        {"TERM": "linux"},
        {"TERM": "vt100", "LANG": "C"},
        {"TERM": "screen"},
        {"TERM": "tmux-256color"},
        {"TERM": "nosuchterm"},
    ],
    ids=lambda environment: " ".join(f"{key}={value}" for key, value in environment.items()),
)
def test_it_paints_and_quits(sshd: Box, session: Opened, environment: dict[str, str]) -> None:
    shown = session(**environment)
    shown.wait_for(is_painted)
    assert b"\\u28" not in shown.raw
    assert b"\x1b[?1049h" in shown.raw
    assert shown.has_graphics() is (environment["TERM"] not in ("linux", "vt100")), "whose fonts have no braille"
    quit_cleanly(shown, sshd)


def test_no_color_is_no_colour(sshd: Box, session: Opened) -> None:
    coloured = session()
    coloured.wait_for(is_painted)
    assert coloured.has_colours()
    plain = session(NO_COLOR="1")
    plain.wait_for(is_painted)
    assert not plain.has_colours()
    quit_cleanly(plain, sshd) if not coloured.child.close(force=True) else None


def test_another_locale_gets_ascii(sshd: Box, session: Opened, latin1: Path) -> None:
    for environment in (
        {"LANG": "en_US.ISO-8859-1", "LOCPATH": str(latin1)},
        {"LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ):
        shown = session(**environment)
        shown.wait_for(is_painted)
        assert not shown.has_graphics()
        assert "\\u" not in shown.text
        shown.child.send("?")
        shown.wait_for(lambda text: "Sort" in text or "sort" in text)
        assert not shown.has_graphics()
        shown.child.send("\x1b")
        shown.wait_for(is_painted)
        shown.child.send("q")
        assert shown.exit_code(3.0) == 0
    wait_until(lambda: not sshd.running(), 2.0)


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_gets_the_text(sshd: Box, session: Opened, term: str) -> None:
    shown = session(TERM=term)
    assert shown.exit_code(10.0) == 0
    assert b"\x1b" not in shown.raw
    assert socket.gethostname().encode() in shown.raw
    wait_until(lambda: not sshd.running(), 2.0)


def test_no_terminal_gets_the_text(sshd: Box) -> None:
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        ended = subprocess.run(
            sshd.ssh("box", f"{sshd.bin}/mltop"),
            env=sshd.environment(),
            stdin=stdin if stdin == subprocess.DEVNULL else None,
            input=b"" if stdin == subprocess.PIPE else None,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert b"\x1b" not in ended.stdout
        assert socket.gethostname().encode() in ended.stdout
    wait_until(lambda: not sshd.running(), 2.0)


@pytest.mark.parametrize("closing", ["the client is killed", "the connection is killed"])
def test_a_closed_connection_leaves_nothing(sshd: Box, session: Opened, closing: str) -> None:
    shown = session()
    shown.wait_for(is_painted)
    assert len(sshd.running()) >= 2, "the dashboard and its sampler"
    victims = [shown.child.pid] if closing == "the client is killed" else sshd.connections()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not sshd.running(), 2.0)


def test_a_closed_connection_ends_a_stream(sshd: Box) -> None:
    for arguments in ("--stream", "--stream --control"):
        streaming = subprocess.Popen(
            sshd.ssh("box", f"{sshd.bin}/mltop {arguments}"),
            env=sshd.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert streaming.stdout is not None
        assert streaming.stdout.readline()
        assert sshd.running()
        streaming.kill()
        streaming.communicate()
        wait_until(lambda: not sshd.running(), 3.0)


def test_a_resized_terminal_is_drawn_anew(sshd: Box, session: Opened) -> None:
    shown = session()
    shown.wait_for(is_painted)
    shown.screen.resize(24, 80)
    shown.child.setwinsize(24, 80)
    shown.wait_for(lambda text: "Quit" in text.splitlines()[23])
    quit_cleanly(shown, sshd)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)])
def test_a_signal_ends_it_and_restores_the_terminal(sshd: Box, session: Opened, number: int, code: int) -> None:
    shown = session()
    shown.wait_for(is_painted)
    os.kill(min(sshd.running()), number)
    assert shown.exit_code(3.0) == code
    assert shown.is_restored()
    wait_until(lambda: not sshd.running(), 2.0)
