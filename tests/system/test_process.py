"""Children that can be abandoned (D1)."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from mltop.system.descriptor import write_all
from mltop.system.process import Child, fork_child, set_name


def _answer(child: Child) -> bytes:
    answer = b""
    while select.select([child.read_fd], [], [], 10)[0] and (chunk := os.read(child.read_fd, 65536)):
        answer += chunk
    return answer


def _end(child: Child) -> int:
    _answer(child)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    status = child.reap()
    assert status is not None
    child.close()
    return status


def _describe(read_fd: int, write_fd: int) -> None:
    set_name("mltop-a-very-long-name")
    fds = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}  # with the listing's own
    streams = {str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in (0, 1, 2)}
    words = [
        Path("/proc/self/comm").read_text().strip(),
        " ".join(streams),
        str(len(fds - {0, 1, 2, read_fd, write_fd}) == 1),
        str(signal.getsignal(signal.SIGINT) is signal.SIG_IGN),
        str(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL),
        str(os.getsid(0) == os.getpid()),
    ]
    os.write(write_fd, "|".join(words).encode())


def test_child_shares_nothing_but_its_pipes() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = fork_child(_describe)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert _answer(child) == b"mltop-a-very-lo|/dev/null|True|True|True|True"
    assert _end(child) == 0


def test_child_answers_requests_until_they_end() -> None:
    def echo(read_fd: int, write_fd: int) -> None:
        while chunk := os.read(read_fd, 100):
            os.write(write_fd, chunk.upper())

    child = fork_child(echo)
    os.write(child.write_fd, b"hello")
    assert select.select([child.read_fd], [], [], 10)[0]
    assert os.read(child.read_fd, 100) == b"HELLO"
    assert child.reap() is None
    child.kill()
    assert _end(child) == -signal.SIGKILL


def test_failing_child_ends_with_1_and_runs_nothing_of_its_parent() -> None:
    def fail(_read_fd: int, _write_fd: int) -> None:
        raise RuntimeError

    try:
        child = fork_child(fail)
    finally:
        pid = os.getpid()  # a child that came back would end the test run twice
    assert child.pid != pid
    assert _end(child) == 1
    child.kill()  # nobody: its pid may be another's by now


def test_child_dies_with_its_parent() -> None:
    script = (
        "import os, signal, sys, time\n"
        "from mltop.system.process import fork_child\n"
        "child = fork_child(lambda r, w: time.sleep(600))\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == -signal.SIGKILL
    stat = Path(f"/proc/{int(run.stdout)}/stat")
    for _ in range(100_000):
        try:
            if stat.read_text().rpartition(") ")[2].startswith("Z"):
                return  # dead; whoever adopted it has not taken note yet
        except (FileNotFoundError, ProcessLookupError):
            return
    raise AssertionError("the child outlived its parent")


def test_parent_with_closed_streams() -> None:
    script = (
        "import os, select\n"
        "from mltop.system.process import fork_child\n"
        "os.close(0)\n"
        "child = fork_child(lambda r, w: os.write(w, b'here ' + os.read(r, 9)))\n"
        "os.write(child.write_fd, b'there')\n"
        "select.select([child.read_fd], [], [], 10)\n"
        "print(os.read(child.read_fd, 99).decode())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout == "here there\n"


def test_what_a_child_says_is_heard_to_its_end() -> None:
    data = os.urandom(1 << 20)
    child = fork_child(lambda _, write_fd: write_all(write_fd, data))
    assert child.heard(20) == data
    assert _end(child) == 0
    silent = fork_child(lambda read_fd, _: os.read(read_fd, 1))
    assert silent.heard(0.01) is None
    assert silent.heard(-1) is None
    os.write(silent.write_fd, b"x")
    assert silent.heard(20) == b""
    assert _end(silent) == 0


def test_one_that_ended_in_time_is_heard_after_its_time() -> None:
    child = fork_child(lambda _, write_fd: os.write(write_fd, b"told"))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.heard(0) == b"told"
    child.leave()
    assert child.exit_status == 0


def test_a_child_that_is_left_takes_with_it_what_it_started() -> None:
    def work(_read_fd: int, write_fd: int) -> None:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        os.write(write_fd, b"%d" % pid)
        signal.pause()

    child = fork_child(work)
    assert select.select([child.read_fd], [], [], 20)[0]
    below = os.pidfd_open(int(os.read(child.read_fd, 99)))
    try:
        child.leave()
        assert select.select([below], [], [], 20)[0], "it has ended"
    finally:
        os.close(below)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.reap() == -signal.SIGKILL
    child.leave()  # nobody: its pid may be another's by now
