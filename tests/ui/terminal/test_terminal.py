"""The dashboard on a real pseudo-terminal: what it writes, how it ends, what it leaves behind (M9, M30, M34, M35)."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from patience import wait_until
from terminal import RESTORED, ROOT, Terminal

from mltop.model.snapshot import Cpu, Memory, Process, Processes, Snapshot

SCRIPT = Path(ROOT) / "tests" / "fakes" / "dashboard_on_pipe.py"


def snapshot(*, cpu: float = 12.0, second: int = 0) -> Snapshot:
    top = tuple(
        Process(pid=1000 + n, name="python", command=f"train-{n}.py", user="mlu1", cpu_percent=1.0, rss_bytes=n << 20)
        for n in range(30)
    )
    return Snapshot(
        host="box-7",
        time=f"2026-11-24T10:00:{second:02d}Z",
        interval_s=2.0,
        uptime_s=86400.0,
        cpu=Cpu(age_s=0.0, count=2, usage_percent=cpu, per_core_percent=(cpu, cpu), load=(0.1, 0.1, 0.1)),
        memory=Memory(age_s=0.0, total_bytes=8 << 30, used_bytes=2 << 30, available_bytes=6 << 30),
        processes=Processes(age_s=0.0, total=30, running=1, blocked=0, zombies=0, top=top),
    )


class Scripted(Terminal):
    """The dashboard on snapshots that the test sends."""

    def __init__(self, *options: str, size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None) -> None:
        source, self._sender = os.pipe()
        argv = [sys.executable, str(SCRIPT), str(source), *options]
        super().__init__(argv, size=size, env=env or {}, pass_fd=source)
        os.close(source)

    def send(self, each: Snapshot) -> None:
        os.write(self._sender, msgspec.json.encode(each) + b"\n")

    def close(self) -> None:
        super().close()
        os.close(self._sender)


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Iterator[Callable[..., Scripted]]:
    open_now: list[Scripted] = []

    def make(*options: str, **more: object) -> Scripted:
        open_now.append(Scripted(*options, **more))  # type: ignore[arg-type]
        return open_now[-1]

    yield make
    for each in open_now:
        each.close()


@pytest.fixture
def terminal(scripted: Callable[..., Scripted]) -> Scripted:
    """A dashboard that has shown a snapshot."""
    started = scripted()
    started.send(snapshot())
    started.shows("train-29.py")
    return started


def test_paints_before_the_first_sample(scripted: Callable[..., Scripted]) -> None:
    terminal = scripted()
    terminal.shows("Quit")
    assert "train" not in terminal.text()


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 0)])
def test_ends_by_key(terminal: Scripted, key: bytes, code: int) -> None:
    terminal.key(key)
    assert terminal.wait(1.5) == code
    assert terminal.is_restored()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)])
def test_ends_by_signal(terminal: Scripted, number: int, code: int) -> None:
    terminal.signal(number)
    assert terminal.wait(2.0) == code
    assert terminal.is_restored()
    assert not terminal.is_raw()


def test_ends_with_its_terminal(terminal: Scripted) -> None:
    used = terminal.cpu_s()
    os.close(terminal.fd)
    terminal.fd = -1
    assert terminal.wait(2.0, reading=False) == 129
    assert terminal.used_s - used < 0.5  # it does not spin on an end of input until it is ended


def test_end_of_input_ends_a_process_that_ignores_sighup(scripted: Callable[..., Scripted]) -> None:
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        terminal = scripted()
    finally:
        signal.signal(signal.SIGHUP, old)
    terminal.shows("Quit")
    os.close(terminal.fd)
    terminal.fd = -1
    assert terminal.wait(2.0, reading=False) == 129


def test_an_unchanged_screen_writes_nothing(terminal: Scripted) -> None:
    while terminal.read(0.3):
        pass
    before = len(terminal.output)
    for _ in range(3):
        terminal.send(snapshot())
        terminal.read(0.3)
    assert terminal.output[before:] == b""


def test_a_small_change_writes_little(terminal: Scripted) -> None:
    while terminal.read(0.3):
        pass
    before = len(terminal.output)
    terminal.send(snapshot(cpu=13.0))
    terminal.shows("13%")
    assert 0 < len(terminal.output) - before < 200


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 0), (None, 143)])
def test_quits_while_the_terminal_does_not_read(terminal: Scripted, key: bytes | None, code: int) -> None:
    terminal.key(b"\x0c" * 60)
    if key is None:
        terminal.signal(signal.SIGTERM)
    else:
        terminal.key(key)
    assert terminal.wait(2.0, reading=False) == code


def test_comes_back_whole_after_a_stall(terminal: Scripted) -> None:
    """Frames are dropped while nobody reads; then the screen is painted as it is now."""
    for second in range(59):
        terminal.send(snapshot(cpu=float(second), second=second))
        terminal.key(b"\x0c")
        select.select([], [], [], 0.02)
    terminal.forget()
    terminal.send(snapshot(cpu=77.0))
    terminal.shows("77%")
    terminal.key(b"q")
    assert terminal.wait(1.5) == 0


def test_is_resized_to_anything(terminal: Scripted) -> None:
    for size in ((1, 1), (300, 100), (2, 1), (1, 50), (40, 12), (7, 3), (200, 60), (30, 8), (80, 24)):
        terminal.resize(*size)
        terminal.send(snapshot(cpu=float(size[0] % 100)))
        terminal.read(0.1)
    terminal.forget()
    terminal.key(b"\x0c")
    terminal.shows("train-29.py")
    terminal.key(b"q")
    assert terminal.wait(1.5) == 0


def test_stops_under_a_shell_and_goes_on(real: Callable[..., Real]) -> None:
    shell = real(argv=["/bin/bash", "--norc", "--noprofile", "-i"], env={"PS1": "PROMPT> "})
    shell.shows("PROMPT>")
    shell.key(f"{sys.executable} -m mltop\n".encode())
    shell.shows("load")
    shell.forget()
    shell.key(b"\x1a")
    shell.until(lambda: b"Stopped" in shell.output and b"PROMPT>" in shell.output, "the shell's prompt")
    assert all(sequence in shell.output for sequence in RESTORED)
    shell.forget()
    shell.key(b"fg\n")
    shell.shows("load")
    shell.key(b"q")
    shell.until(lambda: b"PROMPT>" in shell.output, "the shell's prompt again")


def test_where_no_shell_could_continue_it_it_does_not_stop(terminal: Scripted) -> None:
    """As under `ssh -t HOST mltop`: the process group is orphaned."""
    terminal.forget()
    terminal.key(b"\x1a")
    terminal.until(lambda: b"\x1b[?1049h" in terminal.output, "the screen again")
    terminal.shows("train-29.py")
    terminal.key(b"q")
    assert terminal.wait(1.5) == 0


def test_repaints_when_continued_from_outside(terminal: Scripted) -> None:
    terminal.signal(signal.SIGSTOP)
    os.waitpid(terminal.pid, os.WUNTRACED)
    terminal.forget()
    terminal.signal(signal.SIGCONT)
    terminal.shows("train-29.py")
    assert terminal.is_raw()


def test_a_fault_restores_the_terminal_and_names_its_report(scripted: Callable[..., Scripted]) -> None:
    terminal = scripted("--fault")
    assert terminal.wait(3.0) == 1
    assert b"\x1b[?1049l" in terminal.output
    report = Path(terminal.output.decode().rpartition("report in ")[2].strip())
    assert "ZeroDivisionError" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600
    report.unlink()


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "linux"}, {"TERM": "vt100"}, {"COLORTERM": "truecolor"}])
def test_readable_on_every_terminal(scripted: Callable[..., Scripted], env: dict[str, str]) -> None:
    terminal = scripted(env=env)
    terminal.send(snapshot())
    terminal.shows("train-29.py")
    codes = bytes(terminal.output)
    if "NO_COLOR" in env:
        attributes = {number for code in re.findall(rb"\x1b\[([0-9;]*)m", codes) for number in code.split(b";")}
        assert attributes <= {b"0", b"1", b"2", b"4", b"7"}
    assert b"\x1b[48;2" not in codes, "the background is the terminal's own"
    assert b"\x1b[40m" not in codes


class Real(Terminal):
    """`mltop` itself, on this machine."""

    def __init__(self, *options: str, argv: list[str] | None = None, env: dict[str, str] | None = None) -> None:
        super().__init__(argv or [sys.executable, "-m", "mltop", *options], size=(80, 24), env=env or {}, pass_fd=None)


@pytest.fixture
def real() -> Iterator[Callable[..., Real]]:
    open_now: list[Real] = []

    def make(*options: str, **more: object) -> Real:
        open_now.append(Real(*options, **more))  # type: ignore[arg-type]
        return open_now[-1]

    yield make
    for each in open_now:
        each.close()


def test_shows_this_machine_and_leaves_nothing_running(real: Callable[..., Real]) -> None:
    terminal = real()
    terminal.shows("load")
    children = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    assert children
    terminal.key(b"q")
    assert terminal.wait(1.5) == 0
    assert terminal.is_restored()
    wait_until(lambda: not any(map(_runs, children)))


def _runs(pid: str) -> bool:
    """A zombie does not: it stays where pid 1 collects nobody."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_says_when_its_sampler_is_killed_and_starts_another(real: Callable[..., Real]) -> None:
    terminal = real()
    terminal.shows("load")
    (sampler, *_) = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    os.kill(int(sampler), signal.SIGKILL)
    terminal.shows("starts it again")
    terminal.key(b"r")
    terminal.until(lambda: "starts it again" not in terminal.text(), "a new sampler")
    terminal.key(b"q")
    assert terminal.wait(1.5) == 0


def test_quits_while_its_sampler_is_stuck(real: Callable[..., Real]) -> None:
    terminal = real()
    terminal.shows("load")
    (sampler, *_) = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    os.kill(int(sampler), signal.SIGSTOP)
    try:
        terminal.key(b"q")
        assert terminal.wait(1.0) == 0
    finally:
        os.kill(int(sampler), signal.SIGKILL)


def test_sigterm_while_it_starts_restores_the_terminal(real: Callable[..., Real]) -> None:
    terminal = real()
    terminal.until(lambda: b"\x1b[?1049h" in terminal.output, "the alternate screen")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait(3.0) == 143
    assert b"\x1b[?1049l" in terminal.output


def test_an_unknown_theme_is_wrong_usage(real: Callable[..., Real]) -> None:
    terminal = real("--theme", "nope")
    assert terminal.wait() == 2
    assert b"terminal, dark, light" in terminal.output
