"""The job's own process: who it is, what it inherits, and why it could not be started."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from mltop.jobs.runner import child


def output_of(plan: child.Plan) -> tuple[int, str, list[str]]:
    read, write = os.pipe()
    try:
        pid, notes = child.start(plan, write)
    finally:
        os.close(write)
    with open(read, "rb") as file:  # noqa: PTH123 - a descriptor
        data = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), data.decode(), notes


def plan(*argv: str, **more: object) -> child.Plan:
    return child.Plan(argv=argv, environment={"PATH": "/usr/bin:/bin"}, **more)  # type: ignore[arg-type]


def test_it_leads_a_session_with_nothing_on_its_input() -> None:
    code, text, _ = output_of(plan("sh", "-c", "cat; ps -o pid=,sid=,pgid= -p $$"))
    assert code == 0
    assert len(set(text.split())) == 1


def test_it_inherits_no_descriptor_unless_asked() -> None:
    read, write = os.pipe()
    os.set_inheritable(read, True)
    listing = plan("sh", "-c", f"test -e /proc/self/fd/{read} && echo there")
    assert output_of(listing)[1] == ""
    assert (
        output_of(child.Plan(argv=listing.argv, environment=listing.environment, keeps_descriptors=True))[1]
        == "there\n"
    )
    os.close(read)
    os.close(write)


def test_ignored_signals_are_its_own_again() -> None:
    code, text, _ = output_of(plan("sh", "-c", "grep SigIgn /proc/self/status"))
    assert (code, text.split()[1]) == (0, "0" * 16)


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        (plan("no-such"), 127, "no-such: command not found"),
        (plan("/etc/passwd"), 126, "/etc/passwd: Permission denied"),
        (plan("/etc/passwd/x"), 127, "/etc/passwd/x: command not found"),
        (plan("true", workdir="/no/such"), 125, "workdir /no/such: No such file or directory"),
    ],
)
def test_why_it_could_not_start(wrong: child.Plan, code: int, reason: str) -> None:
    read, write = os.pipe()
    with pytest.raises(child.StartError, match=reason) as caught:
        child.start(wrong, write)
    os.close(read)
    os.close(write)
    assert caught.value.code == code


def test_a_script_without_an_interpreter_is_not_executable(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    _, write = os.pipe()
    with pytest.raises(child.StartError, match="Exec format error"):
        child.start(plan(str(script)), write)


def test_what_could_not_be_applied_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Linux", "box", "6.1", "#1", "an-architecture")))
    code, _, notes = output_of(plan("true", io_class="idle"))
    assert code == 0
    assert len(notes) == 1
    assert notes[0].startswith("io_class idle not applied: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_becomes_who_it_should_be() -> None:
    nobody = pwd.getpwnam("nobody")
    account = child.Account(name="nobody", uid=nobody.pw_uid, gid=nobody.pw_gid, home="/")
    code, text, _ = output_of(plan("id", account=account))
    assert code == 0
    assert f"uid={nobody.pw_uid}(nobody) gid={nobody.pw_gid}" in text
    assert "(root)" not in text
