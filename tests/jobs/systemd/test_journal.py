"""Runs of a unit from journalctl's answers: states, odd messages, and a journal that may not be read (J43)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scheduler_box import Box

from mltop.jobs import program
from mltop.jobs.systemd import journal
from mltop.jobs.systemd.journal import unit_runs
from mltop.model.job import Run, RunState

START = 1795478400_000000  # 2026-11-24T00:00:00Z
HINT = (
    "Hint: You are currently not seeing messages from other users and the system.\n"
    "      Users in groups 'adm', 'systemd-journal' can see all messages.\n"
)


def message(id: str, seconds: float, invocation: str = "a" * 32, **fields: object) -> dict[str, object]:
    at = {"__REALTIME_TIMESTAMP": str(START + int(seconds * 1e6)), "_BOOT_ID": "b" * 32}
    return {"MESSAGE_ID": id, "INVOCATION_ID": invocation, "MESSAGE": "said", **at, **fields}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    (tmp_path / "boot_id").write_text("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb\n")
    monkeypatch.setattr(journal, "_BOOT_ID", tmp_path / "boot_id")
    return Box(tmp_path)


def told(box: Box, *messages: object, err: str = "", code: int = 0) -> tuple[list[Run], list[str]]:
    """What a journalctl that answers with these is taken for."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in messages]
    (box.folder / "journal").write_text("".join(f"{line}\n" for line in lines))
    (box.folder / "err").write_text(err)
    box.program(
        "journalctl",
        f'echo "$*" >> {box.folder}/calls; read x && exit 8\n'
        f"cat {box.folder}/journal; cat {box.folder}/err >&2; exit {code}",
    )
    return unit_runs("x.timer", "x.service", "system", box.environment, 20)


def one(box: Box, *messages: object) -> Run:
    (run,), notes = told(box, *messages)
    assert notes == []
    return run


def test_one_question_is_asked_with_the_ids_and_without_quiet(box: Box) -> None:
    told(box)
    (call,) = (box.folder / "calls").read_text().splitlines()
    assert "--output=json" in call
    assert "--unit=x.service" in call
    assert call.count("MESSAGE_ID=") == 9
    assert "quiet" not in call
    assert " -q" not in call


def test_a_success_and_what_it_took(box: Box) -> None:
    run = one(
        box,
        message(journal.STARTING, 0),
        message(journal.SUCCEEDED, 1.5),
        message(journal.STARTED, 1.6, MESSAGE="Finished thing.", JOB_RESULT="done"),
        message(journal.RESOURCES, 1.7, CPU_USAGE_NSEC="2500000000"),
    )
    assert (run.job, run.state, run.exit_code, run.duration_s, run.cpu_s) == ("x.timer", RunState.OK, 0, 1.5, 2.5)
    assert (run.started_at, run.ended_at) == ("2026-11-24T00:00:00.000Z", "2026-11-24T00:00:01.500Z")


@pytest.mark.parametrize(
    ("result", "exited", "state", "code", "signal"),
    [
        ("exit-code", {"EXIT_CODE": "exited", "EXIT_STATUS": "3"}, RunState.FAILED, 3, None),
        ("signal", {"EXIT_CODE": "killed", "EXIT_STATUS": "9"}, RunState.FAILED, None, 9),
        ("core-dump", {"EXIT_CODE": "dumped", "EXIT_STATUS": "SEGV"}, RunState.FAILED, None, 11),
        ("timeout", {"EXIT_CODE": "killed", "EXIT_STATUS": "TERM"}, RunState.TIMEOUT, None, 15),
    ],
)
def test_a_failure_has_its_code_or_signal_and_its_reason(
    box: Box, result: str, exited: dict[str, str], state: RunState, code: int | None, signal: int | None
) -> None:
    run = one(
        box,
        message(journal.STARTING, 0),
        message(journal.PROCESS_EXITED, 2, **exited),
        message(journal.FAILED, 2, UNIT_RESULT=result, MESSAGE=f"Failed with result '{result}'."),
        message(journal.START_FAILED, 2, JOB_RESULT="failed"),
    )
    assert (run.state, run.exit_code, run.signal, run.reason) == (state, code, signal, result)
    assert run.last_error_line == f"Failed with result '{result}'."


def test_one_that_was_out_of_memory_says_so(box: Box) -> None:
    run = one(box, message(journal.OOM, 1), message(journal.FAILED, 1, UNIT_RESULT="oom-kill"))
    assert (run.state, run.reason) == (RunState.FAILED, "oom-kill")


def test_runs_that_overlap_are_told_apart_by_their_invocation_newest_first(box: Box) -> None:
    runs, _ = told(
        box,
        message(journal.STARTING, 0, "1" * 32),
        message(journal.STARTING, 5, "2" * 32),
        message(journal.SUCCEEDED, 6, "1" * 32),
        message(journal.FAILED, 7, "2" * 32, UNIT_RESULT="exit-code"),
    )
    assert [(run.id[0], run.state, run.duration_s) for run in runs] == [
        ("2", RunState.FAILED, 2.0), ("1", RunState.OK, 6.0),
    ]  # fmt: skip


def test_one_without_an_end_runs_or_was_lost_with_its_boot(box: Box) -> None:
    assert one(box, message(journal.STARTED, 0, MESSAGE="Started thing.")).state is RunState.RUNNING
    run = one(box, message(journal.STARTING, 0, _BOOT_ID="c" * 32))
    assert (run.state, run.reason, run.ended_at) == (RunState.LOST, "the box went down", None)


def test_a_users_units_have_their_own_invocation(box: Box) -> None:
    started = message(journal.STARTING, 0) | {"INVOCATION_ID": "", "USER_INVOCATION_ID": "d" * 32}
    assert one(box, started, message(journal.SUCCEEDED, 1, "d" * 32)).state is RunState.OK
    unit_runs("user/x.timer", "x.service", "user", box.environment, 3)
    last = (box.folder / "calls").read_text().splitlines()[-1]
    assert "--user-unit=x.service" in last


def test_a_condition_that_is_not_met_is_a_skip(box: Box) -> None:
    words = "x.service was skipped because of an unmet condition check (ConditionACPower=true)."
    run = one(box, message(journal.STARTED, 0, "", MESSAGE=words, JOB_RESULT="done"))
    assert (run.state, run.last_error_line) == (RunState.SKIPPED, words)
    assert one(box, message(journal.SKIPPED, 0)).state is RunState.SKIPPED


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([99, 97, 102, 233, 27, 91, 51, 109], "caf??[3m"),
        (None, None),
        (["twice", "more"], "twice"),
        ([[120, 121], [122]], "xy"),
        ("\x1b]0;title\x07 \u202e", "?]0;title? ?"),
        (7, None),
    ],
)
def test_a_message_of_any_shape_is_shown_harmless(box: Box, said: object, shown: str | None) -> None:
    assert one(box, message(journal.FAILED, 0, MESSAGE=said, UNIT_RESULT="exit-code")).last_error_line == shown


def test_torn_lines_and_other_shapes_are_left_out(box: Box) -> None:
    runs, notes = told(box, "", "{", "[]", '{"MESSAGE_ID": ["a", "b"]}', "not json", message(journal.SUCCEEDED, 0))
    assert ([run.state for run in runs], notes) == ([RunState.OK], [])


def test_a_journal_that_may_not_be_read_is_said_and_never_looks_empty(box: Box) -> None:
    assert told(box, err=HINT) == ([], [journal.CLOSED_NOTE])
    denied = "No journal files were opened due to insufficient permissions.\n"
    assert told(box, err=denied, code=1) == ([], [journal.CLOSED_NOTE])
    assert told(box, err="Failed to open journal: broken\n", code=1) == (
        [],
        ["the journal: Failed to open journal: broken"],
    )


def test_one_that_hangs_or_is_not_there_is_a_line(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_DEADLINE_S", 0.2)
    box.program("journalctl", "exec sleep 60")
    runs, notes = unit_runs("x.timer", "x.service", "system", box.environment, 20)
    assert (runs, notes) == ([], ["the journal: journalctl does not answer within 0.2 s"])
    (box.bin / "journalctl").unlink()
    monkeypatch.setattr(program, "_PATH", ())
    _, notes = unit_runs("x.timer", "x.service", "system", {"PATH": str(box.bin)}, 20)
    assert notes == ["the journal: no journalctl on this box"]
