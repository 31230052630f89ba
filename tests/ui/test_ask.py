"""Asking mltop's own command line: answers, refusals, hangs, floods; nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import assert_within

from mltop.ui.answers import Jobs, outcome, read
from mltop.ui.aside import aside
from mltop.ui.ask import Answer, Ask

PATIENCE_S = 10.0


@pytest.fixture
def ask() -> Iterator[Ask]:
    made = Ask((sys.executable, "-c"))
    yield made
    made.close()


async def until(is_true) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_an_answer_is_output_complaint_and_code(ask: Ask) -> None:
    answer = await ask(["import sys; print('x' * 100000); sys.stderr.write('one\\ntwo\\n'); sys.exit(3)"])
    assert (answer.code, len(answer.output), answer.complaint) == (3, 100001, "one two")


async def test_a_child_has_no_input_and_no_terminal(ask: Ask) -> None:
    answer = await ask(["import sys, os; print(repr(sys.stdin.read()), os.getsid(0) == os.getpid())"])
    assert answer.output == b"'' True\n"


async def test_a_late_child_is_killed_with_its_own(ask: Ask, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    code = (
        f"import os, time, pathlib; pid = os.fork(); pathlib.Path({str(noted)!r}).write_text(str(os.getpid())) "
        "if pid else None; time.sleep(60)"
    )
    asked = asyncio.ensure_future(ask([code], 60))
    await until(lambda: noted.exists() and noted.read_text())
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await until(lambda: is_gone(int(noted.read_text())))


async def test_an_order_answers_as_a_question_does(ask: Ask) -> None:
    answer = await ask.order(["import sys; print('x' * 9); sys.stderr.write('one\\ntwo\\n'); sys.exit(3)"], 60)
    assert answer == Answer(3, b"x" * 9 + b"\n", "one two")
    answer = await ask.order(["import time; time.sleep(60)"], 0.3)
    assert (answer.code, answer.complaint) == (None, "no answer in 0 s")
    answer = await Ask(("/nowhere/mltop",)).order(["jobs"], 60)
    assert answer.complaint == "cannot start /nowhere/mltop: No such file or directory"


async def test_an_order_whose_screen_is_left_is_carried_out(ask: Ask, tmp_path: Path) -> None:
    begun, go, done = (tmp_path / name for name in ("begun", "go", "done"))
    code = (
        f"import pathlib, time; pathlib.Path({str(begun)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.005)\n"
        f"print('x' * 1000000); pathlib.Path({str(done)!r}).touch()"
    )
    asked = asyncio.ensure_future(ask.order([code], 60))
    await until(begun.exists)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    go.touch()
    await until(done.exists)
    await until(lambda: not ask._children)


async def test_a_hang_is_a_sentence(ask: Ask) -> None:
    started = time.monotonic()
    answer = await ask(["import time; time.sleep(60)"], 0.3)
    assert answer.is_late
    assert "no answer" in answer.complaint
    assert_within(5, started)


async def test_what_cannot_be_started_is_a_sentence() -> None:
    answer = await Ask(("/nowhere/mltop",))(["jobs"])
    assert answer.complaint == "cannot start /nowhere/mltop: No such file or directory"


async def test_the_files_that_were_named_go_to_the_child() -> None:
    ask = Ask((sys.executable, "-c"), {"MLTOP_CONFIG": "/x/config.toml"})
    answer = await ask(["import os; print(os.environ['MLTOP_CONFIG'])"])
    assert answer.output == b"/x/config.toml\n"
    ask.close()


def test_no_document_is_told_by_the_complaint() -> None:
    assert read(Answer(2, b"", "mltop: config.toml: jobs.x: unknown key"), Jobs) == (
        None,
        "config.toml: jobs.x: unknown key",
    )
    assert read(Answer(-9), Jobs) == (None, "mltop was ended by signal 9")
    assert "exit code 0" in read(Answer(0, b"not json"), Jobs)[1]


def test_errors_of_a_document_are_told_with_their_place() -> None:
    data = b'{"jobs":[],"errors":[{"message":"no such job","where":"config.toml:3","remedy":null}]}'
    document, trouble = read(Answer(1, data), Jobs)
    assert document is not None
    assert trouble == "config.toml:3: no such job"
    assert outcome(Answer(1, data), "done") == trouble
    assert outcome(Answer(0, data), "done") == "done"


async def test_aside_returns_raises_and_gives_up() -> None:
    assert await aside(lambda: 3, 5) == 3
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0, 5)
    with pytest.raises(TimeoutError):
        await aside(lambda: time.sleep(0.5), 0.05)
