"""All about one process: of a real one what is known of it, and of one in trouble nothing that could hang."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mltop.model.process_detail import ProcessDetail
from mltop.model.snapshot import Status
from mltop.sampling.host.entry import TICKS_PER_S
from mltop.sampling.process_detail import ProcessWatch
from mltop.sampling.process_part import PARTS, TOLD, Part, ranges

if TYPE_CHECKING:
    from conftest import FakeBox

PATIENCE_S = 10.0
KERNEL = 0x00200000
HELD = """
import os, socket, subprocess, sys
one, two = open("weights.bin", "w"), open("weights.bin")
server = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen(["/bin/sleep", "60"])
print(server.getsockname()[1], child.pid, flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes that end with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(words: list[str], **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        running.append(subprocess.Popen(words, **pipes | options))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()


def last(watch: ProcessWatch) -> ProcessDetail:
    return list(watch.readings())[-1]


def until(is_true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline, "the condition did not come about"
        select.select([], [], [], 0.01)


def test_a_real_process(started: Callable[..., Any], tmp_path: Path) -> None:
    environment = os.environ | {"LOCAL_RANK": "3", "HF_TOKEN": "hf_secret", "CUDA_VISIBLE_DEVICES_TOKEN": "hf_secret"}
    held = started([sys.executable, "-c", HELD], cwd=tmp_path, env=environment)
    port, child = map(int, held.stdout.readline().split())
    detail = last(ProcessWatch(held.pid))
    assert (detail.pid, detail.status, detail.missing, detail.doing) == (held.pid, Status.OK, {}, None)
    assert detail.directory == str(tmp_path)
    assert detail.executable == str(Path(sys.executable).resolve())
    assert detail.is_replaced is False
    assert [file.count for file in detail.files if file.path == f"{tmp_path}/weights.bin"] == [2]
    assert detail.files_open == len(list(Path(f"/proc/{held.pid}/fd").iterdir()))
    assert detail.files_limit is not None
    assert detail.kinds["sockets"] == 1
    assert detail.kinds["pipes"] >= 2
    assert detail.kinds["files"] >= 2
    assert sum(detail.kinds.values()) == detail.files_open
    assert [(each.kind, each.local, each.remote, each.state) for each in detail.sockets] == [
        ("tcp", f"127.0.0.1:{port}", "", "LISTEN")
    ]
    assert [(each.pid, each.depth, each.name) for each in detail.children] == [(child, 1, "sleep")]
    assert detail.environment["LOCAL_RANK"] == "3"
    assert "secret" not in msgspec.json.encode(detail).decode()
    assert detail.command is not None
    assert detail.command.startswith(f"{sys.executable} -c  import os")
    assert detail.rss_bytes
    assert detail.uss_bytes
    assert detail.uss_bytes <= detail.rss_bytes * 1.1
    assert detail.threads == 1
    assert detail.affinity_count == len(os.sched_getaffinity(held.pid))
    assert detail.nice == os.getpriority(os.PRIO_PROCESS, held.pid)


def test_a_replaced_program_is_said(started: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "worker"
    shutil.copy("/bin/sleep", program)
    running = started([str(program), "60"])
    until(lambda: Path(f"/proc/{running.pid}/exe").readlink() == program)
    program.unlink()
    detail = last(ProcessWatch(running.pid))
    assert (detail.executable, detail.is_replaced) == (str(program), True)


def test_rates_are_of_the_time_between_two_readings(box: FakeBox) -> None:
    now = [100.0]
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, ticks=100)
    counts = iter([{"read_bytes": 1000, "written_bytes": 0}, {"read_bytes": 5000, "written_bytes": 0}])
    part = Part("io", ("read_bytes", "written_bytes"), lambda _: next(counts))
    watch = ProcessWatch(7, roots=box.roots, parts=(part,), clock=lambda: now[0])
    assert last(watch).read_bytes_per_s is None
    now[0] += 2.0
    box.process(7, ticks=100 + TICKS_PER_S)
    detail = last(watch)
    assert (detail.read_bytes_per_s, detail.written_bytes_per_s, detail.cpu_percent) == (2000.0, 0.0, 50.0)


def test_one_that_ends_is_told_and_so_is_one_that_never_was(started: Callable[..., Any]) -> None:
    running = started(["/bin/sleep", "60"])
    watch = ProcessWatch(running.pid)
    assert last(watch).status is Status.OK
    running.kill()
    running.wait()
    ended = last(watch)
    assert (ended.status, ended.reason) == (Status.ABSENT, "it has ended")
    assert last(ProcessWatch(running.pid)).status is Status.ABSENT


def test_a_number_that_was_given_away_is_another_process(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, start=100 * TICKS_PER_S, command="train.py")
    watch = ProcessWatch(7, "2023-11-14T22:15:00Z", box.roots)
    assert last(watch).command == "train.py"
    box.process(7, start=200 * TICKS_PER_S, command="rm -rf /")
    given = last(watch)
    assert (given.status, given.reason) == (Status.ABSENT, "it has ended, and another process has its number now")
    assert given.command == "train.py"
    assert last(ProcessWatch(7, "2023-11-14T22:15:00Z", box.roots)).status is Status.ABSENT


def test_nothing_that_could_hang_is_read_in_state_d(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, "trainer", state="D")
    for name in ("cmdline", "environ", "smaps", "smaps_rollup", "maps", "io"):
        os.mkfifo(box.roots.proc / "7" / name)  # whoever opens it to read waits for ever
    box.proc("7/wchan", "nfs_wait_bit_killable")
    detail = last(ProcessWatch(7, roots=box.roots))
    assert (detail.status, detail.state, detail.waits_in) == (Status.OK, "D", "nfs_wait_bit_killable")
    guarded = {key for part in PARTS if part.is_guarded for key in part.keys}
    assert guarded >= {"command", "executable", "directory", "files", "sockets", "environment", "uss_bytes"}
    assert all("state D" in detail.missing[key] for key in guarded)


def test_what_was_known_before_it_waited_stays_with_its_age(box: FakeBox) -> None:
    now = [100.0]
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, command="train.py")
    parts = [part for part in PARTS if part.words == "command line"]
    watch = ProcessWatch(7, roots=box.roots, parts=parts, clock=lambda: now[0])
    assert last(watch).command == "train.py"
    for passed in (30.0, 2.0):
        now[0] += passed
        box.process(7, state="D", command="not to be read")
        detail = last(watch)
    assert (detail.command, detail.ages_s, detail.blocked_s) == ("train.py", {"command": 32.0}, 2.0)
    box.process(7, command="train.py")
    awake = last(watch)
    assert (awake.missing, awake.ages_s, awake.blocked_s) == ({}, {}, None)


def test_a_zombie_and_a_kernel_thread_have_none(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, state="Z")
    box.process(8, "kworker/0:1", flags=KERNEL)
    assert "not collected" in last(ProcessWatch(7, roots=box.roots)).missing["command"]
    kernel = last(ProcessWatch(8, roots=box.roots))
    assert (kernel.name, kernel.missing["executable"]) == ("[kworker/0:1]", "a kernel thread has none")


def test_foreign_text_is_clean(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7, b"\x1b]0;x\n")
    box.proc("7/cmdline", b"a\x1b[31m\0\xff\xfe\xe2\x80\xaeb\0")
    (box.roots.proc / "7/cwd").symlink_to("/tmp/\x1b[2Jx\ny")
    (box.roots.proc / "7/fd").mkdir()
    (box.roots.proc / "7/fd/0").symlink_to("/data/\u202eevil")
    box.proc("7/limits", "Max open files            1024                 4096                 files\n")
    box.proc("7/environ", b"RANK=\x1b[1m1\0SECRET=2\0no equals sign\0")
    detail = last(ProcessWatch(7, roots=box.roots))
    assert all(character.isprintable() for character in msgspec.json.encode(detail).decode())
    assert (detail.name, detail.command, detail.directory) == (
        "?]0;x ",
        "a?[31m ???b",
        "/tmp/?[2Jx y",
    )
    assert (detail.files_open, detail.files_limit, detail.files[0].path) == (1, 1024, "/data/?evil")
    assert detail.environment == {"RANK": "?[1m1"}


def test_a_slow_part_rests_and_the_others_go_on(box: FakeBox) -> None:
    now = [0.0]
    calls: list[str] = []

    def slow(_: object) -> dict[str, Any]:
        calls.append("slow")
        now[0] += 0.5
        return {"threads": 1}

    def fast(_: object) -> dict[str, Any]:
        calls.append("fast")
        return {"nice": 0}

    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7)
    parts = (Part("slow", ("threads",), slow), Part("fast", ("nice",), fast))
    watch = ProcessWatch(7, roots=box.roots, parts=parts, clock=lambda: now[0])
    for _ in range(10):
        detail = last(watch)
        now[0] += 2.0
    assert (calls.count("slow"), calls.count("fast")) == (2, 10)
    assert detail.ages_s.keys() == {"threads"}


def test_what_is_read_next_is_said_before_it_could_hang(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7)
    told = [detail.doing for detail in ProcessWatch(7, roots=box.roots).readings()]
    assert told == [*(part.words for part in PARTS if part.is_guarded), None]


@pytest.mark.parametrize("fault", [OSError(5, "x"), ValueError("x"), LookupError("x"), RuntimeError("x")])
def test_a_part_that_fails_takes_no_other_with_it(box: FakeBox, fault: Exception) -> None:
    def fail(_: object) -> dict[str, Any]:
        raise fault

    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7)
    parts = (Part("bad", ("threads",), fail), Part("good", ("nice",), lambda _: {"nice": 5}))
    detail = last(ProcessWatch(7, roots=box.roots, parts=parts))
    assert (detail.nice, detail.threads, detail.missing.keys()) == (5, None, {"threads"})


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_refused_is_not_permitted_with_the_remedy(started: Callable[..., Any]) -> None:
    other = started(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sleep", "60"])
    until(lambda: b"sleep" in Path(f"/proc/{other.pid}/stat").read_bytes())
    words = [sys.executable, "-P", "-m", "mltop", "process", str(other.pid), "-n", "1"]
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [*bare, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True, env=environment
    )
    detail = msgspec.json.decode(done.stdout.splitlines()[-1], type=ProcessDetail)
    why = "not permitted, not even to root: mltop runs without CAP_SYS_PTRACE here"
    refused = {"executable", "directory", "files", "files_open", "sockets", "environment", "read_bytes", "uss_bytes"}
    assert {key for key, said in detail.missing.items() if said == why} >= refused
    assert (detail.files_open, detail.files, detail.command, detail.threads) == (None, (), "/bin/sleep 60", 1)


def test_the_command_ends_with_its_reader(started: Callable[..., Any]) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    watcher = started([sys.executable, "-P", "-m", "mltop", "process", str(os.getpid()), "-i", "60"], env=environment)
    first = msgspec.json.decode(watcher.stdout.readline(), type=ProcessDetail)
    assert (first.pid, first.schema) == (os.getpid(), "mltop.process/1")
    watcher.stdout.close()
    assert watcher.wait(PATIENCE_S) == 0


def test_an_install_without_psutil_says_so(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("raise ImportError(\"No module named 'psutil'\")\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    words = [sys.executable, "-P", "-m", "mltop", "process", "1"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, env=environment, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"mltop: a process cannot be read: No module named 'psutil' (install mltop anew)\n"


def test_the_command_says_that_it_has_ended(started: Callable[..., Any]) -> None:
    running = started(["/bin/sleep", "60"])
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    watcher = started([sys.executable, "-P", "-m", "mltop", "process", str(running.pid), "-i", "0.05"], env=environment)
    watcher.stdout.readline()
    running.send_signal(signal.SIGKILL)
    running.wait()
    rest = watcher.stdout.read().splitlines()
    assert msgspec.json.decode(rest[-1], type=ProcessDetail).status is Status.ABSENT
    assert watcher.wait(PATIENCE_S) == 0


def test_sockets_of_another_network_are_not_taken_for_none(box: FakeBox) -> None:
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700000000\n")
    box.process(7)
    for who, number in (("7", 1), ("self", 2)):
        (box.roots.proc / who / "ns").mkdir(parents=True)
        (box.roots.proc / who / "ns" / "net").symlink_to(f"net:[{number}]")
    detail = last(ProcessWatch(7, roots=box.roots))
    assert detail.sockets_count is None
    assert "nsenter -t 7 -n ss" in detail.missing["sockets"]


def test_no_variable_that_is_told_sounds_like_a_secret() -> None:
    assert not [name for name in TOLD if any(word in name for word in ("TOKEN", "KEY", "SECRET", "PASS", "AUTH"))]


def test_ranges() -> None:
    assert (ranges([]), ranges([3]), ranges([0, 1, 2, 5, 7, 8])) == ("", "3", "0-2,5,7-8")


def test_a_connection_has_both_ends(started: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        detail = last(ProcessWatch(os.getpid()))
        ends = {(each.local, each.remote, each.state) for each in detail.sockets}
        here, there = (f"127.0.0.1:{each.getsockname()[1]}" for each in (client, server))
        assert (here, there, "ESTAB") in ends
        assert (there, "", "LISTEN") in ends
