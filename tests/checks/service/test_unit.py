from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mltop.checks.service import unit
from mltop.checks.service.unit import ask, judge, parse
from mltop.config.service import Unit
from mltop.model.finding import Level

ACTIVE = {"Id": "docker.service", "LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
NONE = {"LoadState": "not-found", "ActiveState": "inactive"}


def one(name: str, how: Any = "asked", now: float = 1000.0, **shown: dict[str, str]) -> tuple[Level | None, str]:
    answer = judge(name, {key.replace("_", "."): value for key, value in shown.items()}, how, now)
    assert answer.summary
    return answer.level, answer.reason


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (Level.OK, "ok")),
        ({"ActiveState": "reloading"}, (Level.OK, "ok")),
        ({"ActiveState": "failed", "Result": "exit-code"}, (Level.CRITICAL, "failed")),
        ({"ActiveState": "inactive"}, (Level.CRITICAL, "inactive")),
        ({"ActiveState": "inactive", "LoadState": "masked"}, (Level.CRITICAL, "masked")),
        ({"ActiveState": "inactive", "Type": "oneshot", "Result": "success"}, (Level.OK, "ok")),
        ({"ActiveState": "activating", "StateChangeTimestampMonotonic": "990000000"}, (Level.OK, "starting")),
        ({"ActiveState": "activating", "StateChangeTimestampMonotonic": "100000000"}, (Level.WARNING, "starting")),
        ({"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "7"}, (Level.WARNING, "restarts")),
    ],
)
def test_the_states_of_a_unit(changes: Any, expected: Any) -> None:
    assert one("docker", docker_service={**ACTIVE, **changes}) == expected


def test_a_unit_that_a_socket_starts_when_needed_is_well() -> None:
    service = {**ACTIVE, "Id": "ssh.service", "ActiveState": "inactive", "TriggeredBy": "ssh.socket"}
    service["UnitFileState"] = "disabled"
    listening = {**ACTIVE, "Id": "ssh.socket"}
    assert one("ssh", ssh_service=service, sshd_service=NONE, ssh_socket=listening) == (Level.OK, "ok")
    assert one("ssh", "usual", ssh_service=service, sshd_service=NONE, ssh_socket=listening) == (Level.OK, "ok")
    gone = {**listening, "ActiveState": "inactive"}
    assert one("ssh", ssh_service=service, sshd_service=NONE, ssh_socket=gone) == (Level.CRITICAL, "inactive")


def test_ssh_and_sshd_are_one_daemon() -> None:
    daemon = {**ACTIVE, "Id": "ssh.service"}
    assert one("sshd", ssh_service=daemon, sshd_service=NONE) == (Level.OK, "ok")
    assert one("ssh", ssh_service=NONE, sshd_service={**daemon, "Id": "sshd.service"}) == (Level.OK, "ok")


def test_what_is_not_installed_depends_on_who_asked() -> None:
    assert one("docker", "usual", docker_service=NONE) == (None, "absent")
    assert one("docker", "asked", docker_service=NONE) == (Level.UNKNOWN, "absent")
    assert one("docker", "must", docker_service=NONE) == (Level.CRITICAL, "absent")
    off = {**ACTIVE, "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert one("docker", "usual", docker_service=off) == (None, "absent")
    assert one("docker", "must", docker_service=off) == (Level.CRITICAL, "inactive")


def test_output_is_read_by_blocks() -> None:
    assert parse(b"Id=a.service\nResult=a=b\n\nId=b.service\nnonsense\n") == [
        {"Id": "a.service", "Result": "a=b"},
        {"Id": "b.service"},
    ]
    assert parse(b"") == []


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl first on PATH, on a box where systemd is said to run."""
    script = tmp_path / "systemctl"
    monkeypatch.setattr(unit, "_RUNNING", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return script


def program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_all_units_are_asked_in_one_call(systemctl: Path) -> None:
    program(
        systemctl,
        f'echo "$LC_ALL $@" >> {systemctl}.calls\n'
        'while [ "$1" != -- ]; do shift; done; shift\n'
        'for name; do printf "Id=%s\\nLoadState=loaded\\nActiveState=active\\n" "$name"\n'
        'printf "UnitFileState=enabled\\n\\n"; done',
    )
    answers = ask([Unit(name="llm"), Unit(name="sshd")], "usual", 5.0)
    assert [(answer.name, answer.level) for answer in answers] == [
        ("llm", Level.OK),
        ("sshd", Level.OK),
        ("docker", Level.OK),
    ]
    (call,) = Path(f"{systemctl}.calls").read_text().splitlines()
    assert call.startswith("C --no-ask-password")
    assert "llm.service" in call


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("exec sleep 60", "timeout"),
        ("echo 'Failed to connect to bus' >&2; exit 1", "error"),
        ("echo Id=x", "error"),
    ],
)
def test_a_systemd_that_does_not_answer_is_unknown(systemctl: Path, body: str, reason: str) -> None:
    program(systemctl, body)
    answers = ask([Unit(name="llm")], "usual", 0.4)
    assert {(answer.level, answer.reason) for answer in answers} == {(Level.UNKNOWN, reason)}


def test_no_systemd_is_skipped_unless_a_unit_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(unit, "_RUNNING", str(tmp_path / "none"))
    assert {answer.name: answer.level for answer in ask([Unit(name="llm")], "usual", 1.0)} == {
        "llm": Level.UNKNOWN,
        "docker": None,
        "ssh": None,
    }
    assert {answer.level for answer in ask([], "must", 1.0)} == {Level.UNKNOWN}
    assert ask([], None, 1.0) == []
