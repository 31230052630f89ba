from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from mltop.sampling.reader import Answer, Reader

WaitFor = Callable[..., None]


@pytest.fixture
def pipes(tmp_path: Path) -> Callable[[str], Path]:
    """FIFOs that a reading of blocks on, until `path.write_text` answers it."""

    def make(name: str) -> Path:
        path = tmp_path / name
        os.mkfifo(path)
        return path

    return make


def die(_: object) -> NoReturn:
    os._exit(9)


def collect(reader: Reader, task: str, into: dict[object, Answer]) -> Callable[[int], Callable[[], bool]]:
    def at_least(count: int) -> Callable[[], bool]:
        def predicate() -> bool:
            into.update(reader.take(task))
            return len(into) >= count

        return predicate

    return at_least


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_answers_come_from_one_child_by_key(reader: Reader, wait_for: WaitFor) -> None:
    reader.learn("double", lambda key: key * 2)
    for key in range(200):
        reader.ask("double", key)
        reader.ask("double", key)
    answers: dict[object, Answer] = {}
    wait_for(reader, collect(reader, "double", answers)(200))
    assert [answers[key].value for key in range(200)] == [key * 2 for key in range(200)]
    assert reader.is_idle()
    assert len(reader.pids()) == 1
    assert Path(f"/proc/{reader.pids()[0]}/comm").read_text() == "mltop-reader\n"
    assert reader.take("double") == {}


def test_long_keys_never_block_the_owner(reader: Reader, wait_for: WaitFor) -> None:
    reader.learn("length", len)
    keys = [b"%d" % number + b"x" * 4000 for number in range(100)]
    for key in keys:
        reader.ask("length", key)
    answers: dict[object, Answer] = {}
    wait_for(reader, collect(reader, "length", answers)(100))
    assert answers[keys[99]].value == 4002


def test_a_failure_is_an_answer_in_words(reader: Reader, wait_for: WaitFor) -> None:
    reader.learn("stat", lambda path: os.statvfs(path).f_bsize)
    reader.ask("stat", "/nowhere/at/all")
    answers: dict[object, Answer] = {}
    wait_for(reader, collect(reader, "stat", answers)(1))
    answer = answers["/nowhere/at/all"]
    assert (answer.value, answer.errno, answer.error) == (None, errno.ENOENT, "No such file or directory")


def test_a_child_that_dies_costs_one_answer(reader: Reader, wait_for: WaitFor) -> None:
    reader.learn("die", die)
    reader.learn("echo", lambda key: key)
    for key in range(3):
        reader.ask("echo", key)
    reader.ask("die", 0)
    reader.ask("echo", 3)
    echoes: dict[object, Answer] = {}
    wait_for(reader, collect(reader, "echo", echoes)(4))
    assert reader.take("die")[0].error == "its reader died"


def test_a_stuck_reading_leaves_the_others_alone_and_recovers(
    reader: Reader, wait_for: WaitFor, pipes: Callable[[str], Path]
) -> None:
    reader.learn("read", lambda path: Path(path).read_text())
    stuck, fine = str(pipes("stuck")), __file__
    reader.ask("read", stuck)
    reader.ask("read", fine)
    answers: dict[object, Answer] = {}
    wait_for(reader, collect(reader, "read", answers)(1))
    assert fine in answers
    first_stuck_s = reader.stuck_s("read", stuck, time.monotonic())
    assert first_stuck_s is not None
    assert first_stuck_s >= 0.1
    assert reader.is_idle()
    old, fresh = reader.pids()

    reader.ask("read", stuck)  # outstanding: nothing more is started
    reader.ask("read", fine)
    answers.clear()
    wait_for(reader, collect(reader, "read", answers)(1))
    assert reader.pids() == [old, fresh]

    Path(stuck).write_text("at last")
    answers.clear()
    wait_for(reader, collect(reader, "read", answers)(1))
    assert answers[stuck].value == "at last"
    assert reader.pids() == [fresh]
    assert reader.stuck_s("read", stuck, time.monotonic()) is None
    wait_for(reader, lambda: not alive(old))


def test_twenty_stuck_readings_are_twenty_children(
    reader: Reader, wait_for: WaitFor, pipes: Callable[[str], Path]
) -> None:
    reader.learn("read", lambda path: Path(path).read_text(), most_stuck=20)
    paths = [str(pipes(f"stuck{number}")) for number in range(22)]
    for path in paths:
        reader.ask("read", path)
    wait_for(reader, lambda: len(reader.pids()) == 20 and reader.is_idle())
    for path in paths:
        reader.ask("read", path)
    reader.poll(time.monotonic())
    pids = reader.pids()
    assert len(pids) == 20
    reader.close()
    wait_for(reader, lambda: not any(map(alive, pids)))


def test_closing_waits_for_nobody(wait_for: WaitFor, pipes: Callable[[str], Path]) -> None:
    reader = Reader(patience_s=0.05)
    reader.learn("read", lambda path: Path(path).read_text())
    reader.ask("read", str(pipes("stuck")))
    reader.ask("read", __file__)
    wait_for(reader, lambda: len(reader.pids()) == 2)
    pids = reader.pids()
    reader.close()
    reader.close()
    assert reader.filenos() == []
    wait_for(reader, lambda: not any(map(alive, pids)))


@pytest.fixture
def patient() -> Iterator[Reader]:
    reader = Reader(patience_s=60.0)
    yield reader
    reader.close()


def test_a_killed_child_is_replaced(patient: Reader, wait_for: WaitFor) -> None:
    reader = patient  # a child that a busy box keeps from answering must not count as stuck, and end
    reader.learn("echo", lambda key: key)
    answers: dict[object, Answer] = {}
    reader.ask("echo", 1)
    wait_for(reader, collect(reader, "echo", answers)(1))
    os.kill(reader.pids()[0], 9)
    wait_for(reader, lambda: reader.pids() == [])
    reader.ask("echo", 2)
    wait_for(reader, collect(reader, "echo", answers)(2))
    assert answers[2].error is None


def test_a_task_that_comes_too_late_for_the_child_is_a_mistake_of_its_author(reader: Reader) -> None:
    reader.learn("early", lambda key: key)
    reader.ask("early", 1)
    reader.poll(time.monotonic())
    with pytest.raises(RuntimeError, match="without late"):
        reader.learn("late", lambda key: key)
