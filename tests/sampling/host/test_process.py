from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.model.snapshot import Status
from mltop.sampling.host.entry import PAGE_BYTES, TICKS_PER_S
from mltop.sampling.host.proc_stat import is_first_pid_namespace, parse_container, parse_stat, read_command
from mltop.sampling.host.process import ProcessTable
from mltop.sampling.host.selection import Selection
from mltop.sampling.reader import Reader

if TYPE_CHECKING:
    from conftest import FakeBox

WaitFor = Callable[..., None]
KERNEL = 0x00200000
DOCKER = "0::/system.slice/docker-" + "4f" * 32 + ".scope\n"
ALL = Selection(limit=200)


class Clock:
    """Time that goes on by `step` at each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def table(box: FakeBox, reader: Reader) -> ProcessTable:
    box.proc("stat", "cpu 0 0 0 0\nintr 0\nbtime 1700000000\nprocesses 5\n")
    return ProcessTable(box.roots, reader, Clock())


def pids(table: ProcessTable, selection: Selection = ALL, gpus: dict[int, tuple[int, ...]] | None = None) -> list[int]:
    return [process.pid for process in table.read(0.0, selection, gpus or {}).top]


@pytest.mark.parametrize("name", [b"a b", b"x) S 1 (y", b"((", b"))", b"", b"new\nline", b"\xff\xfe", b"12 (3) R"])
def test_a_comm_may_be_anything(box: FakeBox, name: bytes) -> None:
    box.process(7, name, state="R", ticks=42, start=99, rss=5)
    stat = parse_stat((box.roots.proc / "7/stat").read_bytes())
    assert msgspec.structs.astuple(stat) == (name, "R", 1, False, 42, 99, 5)


@given(st.binary(max_size=120))
def test_a_broken_stat_is_an_error_that_has_a_name(noise: bytes) -> None:
    with contextlib.suppress(ValueError, LookupError):
        parse_stat(noise)


def test_start_times_follow_a_clock_that_was_set(box: FakeBox, table: ProcessTable) -> None:
    box.process(10, start=100 * TICKS_PER_S)
    assert [process.started_at for process in table.read(0.0, ALL, {}).top] == ["2023-11-14T22:15:00Z"]
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700003600\n")
    assert [process.started_at for process in table.read(60.0, ALL, {}).top] == ["2023-11-14T23:15:00Z"]
    box.proc("stat", "cpu 0 0 0 0\nbtime 1700003601\n")  # no more than rounding
    assert [process.started_at for process in table.read(120.0, ALL, {}).top] == ["2023-11-14T23:15:00Z"]


def test_counts_and_shares(box: FakeBox, table: ProcessTable) -> None:
    box.process(1, "init", rss=10)
    box.process(2, "kthreadd", ppid=0, flags=KERNEL)
    box.process(10, "busy", state="R", ticks=100, start=500)
    box.process(11, "waits", state="D")
    box.process(12, "gone", state="Z")
    box.proc("self/stat", "x")
    first = table.read(100.0, ALL, {}, uptime_s=1000.0)
    assert (first.total, first.running, first.blocked, first.zombies) == (5, 1, 1, 1)
    assert (first.status, first.age_s) == (Status.OK, 0.0)
    assert {process.cpu_percent for process in first.top} == {None}
    assert [process.name for process in first.top][-1] == "[kthreadd]"

    box.process(10, "busy", state="R", ticks=100 + 2 * TICKS_PER_S, start=500)
    busy = table.read(104.0, ALL, {}, uptime_s=1004.0).top[0]
    assert (busy.pid, busy.cpu_percent, busy.ppid, busy.state) == (10, 50.0, 1, "R")
    assert busy.running_s == 1004.0 - 500 / TICKS_PER_S
    assert busy.started_at == "2023-11-14T22:13:25Z"
    assert table.read(106.0, ALL, {}).top[0].cpu_percent == 0.0


def test_resident_memory_is_in_bytes(box: FakeBox, table: ProcessTable) -> None:
    box.process(5, rss=3)
    assert table.read(0.0, ALL, {}).top[0].rss_bytes == 3 * PAGE_BYTES


def test_a_pid_that_is_used_again_is_another_process(box: FakeBox, table: ProcessTable) -> None:
    box.process(5, "old", ticks=1000, start=1)
    table.read(0.0, ALL, {})
    box.process(5, "new", ticks=0, start=2)
    [process] = table.read(2.0, ALL, {}).top
    assert (process.name, process.cpu_percent) == ("new", None)
    shutil.rmtree(box.roots.proc / "5")
    assert table.read(4.0, ALL, {}).total == 0
    assert table.describe(5) is None


def test_order_and_limit(box: FakeBox, table: ProcessTable) -> None:
    box.process(1, "zsh", rss=5, start=1)
    box.process(2, "Abc", rss=50, start=3)
    box.process(3, "mid", rss=20, start=2)
    box.process(4, "kernel", flags=KERNEL)
    assert pids(table, Selection(sort="memory")) == [2, 3, 1, 4]
    assert pids(table, Selection(sort="memory", invert=True)) == [1, 3, 2, 4]
    assert pids(table, Selection(sort="pid")) == [1, 2, 3, 4]
    assert pids(table, Selection(sort="time")) == [1, 3, 2, 4]
    assert pids(table, Selection(sort="command")) == [2, 3, 1, 4]
    assert pids(table, Selection(sort="memory", limit=2)) == [2, 3]
    assert pids(table, Selection(limit=0)) == []
    assert pids(table, Selection(sort="pid"), {3: (1,), 2: (0, 1), 99: (0,)}) == [2, 3, 1, 4]
    assert pids(table, Selection(sort="gpu"), {3: (1,), 1: (0,)}) == [1, 3, 2, 4]
    assert table.read(0.0, ALL, {2: (0, 1)}).top[0].gpus == (0, 1)
    assert table.read(0.0, ALL, {}).top[0].gpus == ()


def test_at_most_200_are_given(box: FakeBox, table: ProcessTable) -> None:
    for pid in range(1, 251):
        box.process(pid)
    processes = table.read(0.0, Selection(limit=10_000), {})
    assert (processes.total, len(processes.top)) == (250, 200)


def test_the_filter_looks_at_all_of_them(box: FakeBox, table: ProcessTable, reader: Reader, wait_for: WaitFor) -> None:
    for pid in range(1, 40):
        box.process(pid, "python3", command=f"python3 train.py --run {pid}" if pid == 7 else "python3 serve.py")
    wanted = Selection(filter="TRAIN", limit=5)
    wait_for(reader, lambda: pids(table, wanted) == [7])
    assert len(pids(table, Selection(filter="!train"))) == 38
    assert 7 not in pids(table, Selection(filter="!train"))
    assert pids(table, Selection(filter="39")) == [39]
    assert len(pids(table, Selection(filter="!"))) == 39
    assert table.describe(1) is not None


def test_users_and_command_lines_arrive_later(
    box: FakeBox, table: ProcessTable, reader: Reader, wait_for: WaitFor
) -> None:
    box.process(5, "python3", command="python3 train.py\u202e")
    [first] = table.read(0.0, ALL, {}).top
    assert (first.name, first.command, first.user) == ("python3", "python3", str(os.getuid()))
    user = pwd.getpwuid(os.getuid()).pw_name

    def are_there() -> bool:
        [process] = table.read(time.monotonic(), ALL, {}).top
        return (process.command, process.user) == ("python3 train.py?", user)

    wait_for(reader, are_there)
    box.process(5, "sleep", command="sleep 1")  # exec: the old line is no longer true
    assert table.read(time.monotonic(), ALL, {}).top[0].command == "sleep"
    wait_for(reader, lambda: table.read(time.monotonic(), ALL, {}).top[0].command == "sleep 1")


def test_a_blocked_process_is_never_asked_for_its_command_line(
    box: FakeBox, table: ProcessTable, reader: Reader, wait_for: WaitFor
) -> None:
    """M12: the files that may block are FIFOs; opening one of them for reading would give it a reader."""
    box.process(5, "stuck", state="D")
    for name in ("cmdline", "environ", "maps", "exe"):
        os.mkfifo(box.roots.proc / "5" / name)
    box.process(6, "fine", command="fine one")
    wait_for(
        reader, lambda: {p.command for p in table.read(time.monotonic(), ALL, {5: (0,)}).top} == {"stuck", "fine one"}
    )
    assert reader.is_idle()
    assert read_command(box.roots, 5, 100) is None
    for name in ("cmdline", "environ", "maps", "exe"):
        with pytest.raises(OSError, match="No such device or address"):
            os.open(box.roots.proc / "5" / name, os.O_WRONLY | os.O_NONBLOCK)


def test_a_command_line_that_hangs_holds_nothing_up(
    box: FakeBox, table: ProcessTable, reader: Reader, wait_for: WaitFor
) -> None:
    box.process(5, "odd")
    os.mkfifo(box.roots.proc / "5" / "cmdline")
    box.process(6, "fine", command="fine one")
    wait_for(reader, lambda: {p.command for p in table.read(time.monotonic(), ALL, {}).top} == {"odd", "fine one"})
    (box.roots.proc / "5" / "cmdline").write_bytes(b"odd\0two\0")
    wait_for(reader, lambda: table.read(time.monotonic(), ALL, {}).top[0].command == "odd two")


def test_the_budget_holds_and_everybody_has_a_turn(box: FakeBox, reader: Reader) -> None:
    for pid in range(1, 301):
        box.process(pid, ticks=pid)
    table = ProcessTable(box.roots, reader, Clock(step=0.001))
    first = table.read(0.0, Selection(limit=5), {300: (0,)})
    assert first.total == 300
    assert sum(table.describe(pid) is not None for pid in range(1, 301)) < 100
    for tick in range(1, 30):
        table.read(2.0 * tick, Selection(limit=5), {300: (0,)})
    assert all(table.describe(pid) is not None for pid in range(1, 301))
    for pid in range(1, 301):
        box.process(pid, ticks=pid + TICKS_PER_S)
    for tick in range(30, 60):
        table.read(2.0 * tick, Selection(limit=5), {300: (0,)})
    assert all((process := table.describe(pid)) and process.cpu_percent is not None for pid in range(1, 301))


def test_a_process_with_a_gpu_is_read_each_tick(box: FakeBox, reader: Reader) -> None:
    for pid in range(1, 301):
        box.process(pid)
    table = ProcessTable(box.roots, reader, Clock(step=0.01))
    for tick in range(1, 4):
        box.process(7, ticks=2 * TICKS_PER_S * tick)
        top = table.read(2.0 * tick, Selection(limit=1), {7: (0,)}).top
    assert (top[0].pid, top[0].cpu_percent) == (7, pytest.approx(100.0, abs=2.0))


def test_hidden_processes_are_not_none(box: FakeBox, table: ProcessTable) -> None:
    """With `hidepid=2` the others are not even listed."""
    box.process(300)
    processes = table.read(0.0, ALL, {})
    assert (processes.status, processes.total) == (Status.OK, 1)
    assert "hidepid" in (processes.reason or "")
    box.process(1)
    assert table.read(2.0, ALL, {}).reason is None


def test_no_proc_at_all_is_a_state_and_a_reason(box: FakeBox, table: ProcessTable) -> None:
    shutil.rmtree(box.roots.proc)
    processes = table.read(0.0, ALL, {})
    assert (processes.status, processes.reason, processes.total) == (Status.UNSUPPORTED, "/proc is not there", None)


@pytest.mark.parametrize(
    ("groups", "container"),
    [
        (DOCKER, "4f4f4f4f4f4f"),
        ("12:memory:/docker/" + "ab" * 32 + "\n0::/\n", "abababababab"),
        ("0::/kubepods.slice/kubepods-burstable.slice/kubepods-pod1_2.slice/cri-containerd-" + "cd" * 32 + ".scope",
         "cdcdcdcdcdcd"),
        ("0::/kubepods/besteffort/pod7f/" + "0e" * 32, "0e0e0e0e0e0e"),
        ("0::/machine.slice/libpod-" + "12" * 32 + ".scope/container", "121212121212"),
        ("0::/lxc.payload.trainer/init.scope", "trainer"),
        ("0::/machine.slice/machine-box\x1b1.scope", "box?1"),
        ("0::/user.slice/user-1000.slice/session-2.scope", None),
        ("0::/", None),
        ("", None),
    ],
)  # fmt: skip
def test_containers_by_their_groups(groups: str, container: str | None) -> None:
    assert parse_container(groups) == container


def test_a_container_is_looked_up_once(box: FakeBox, table: ProcessTable) -> None:
    box.process(5)
    box.proc("5/cgroup", DOCKER)
    table.read(0.0, ALL, {5: (0,)})
    assert table.container(5) == "4f4f4f4f4f4f"
    box.proc("5/cgroup", "0::/\n")
    assert table.container(5) == "4f4f4f4f4f4f"
    assert table.container(6) is None


@pytest.mark.parametrize(("inode", "is_first"), [(4026531836, True), (4026532999, False)])
def test_the_pid_namespace_by_its_inode(box: FakeBox, inode: int, is_first: bool) -> None:
    (box.roots.proc / "self/ns").mkdir(parents=True)
    (box.roots.proc / "self/ns/pid").symlink_to(f"pid:[{inode}]")
    box.proc("2/comm", "kthreadd\n")
    assert is_first_pid_namespace(box.roots) is is_first


def test_the_pid_namespace_by_kthreadd(box: FakeBox) -> None:
    assert not is_first_pid_namespace(box.roots)
    box.proc("2/comm", "kthreadd\n")
    assert is_first_pid_namespace(box.roots)
