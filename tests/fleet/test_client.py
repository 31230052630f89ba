"""How ssh is called, and what its end means."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from mltop.fleet.client import fault_of, remote_command, snapshot_line, ssh_arguments


@pytest.mark.parametrize(
    ("code", "said", "text", "is_lasting"),
    [
        (255, ["ssh: Could not resolve hostname box: Name or service not known"], "no such host: box", False),
        (
            255,
            ["ssh: Could not resolve hostname box: Temporary failure in name resolution"],
            "cannot look up box: Temporary failure in name resolution",
            False,
        ),
        (255, ["ssh: connect to host box port 22: Connection refused"], "box refuses the connection", False),
        (255, ["ssh: connect to host box port 22: Connection timed out"], "box does not answer (timed out)", False),
        (255, ["Connection timed out during banner exchange"], "box does not answer (timed out)", False),
        (255, ["ssh: connect to host box port 22: No route to host"], "no route to box", False),
        (
            255,
            ["@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@", "Host key verification failed."],
            "CHANGED",
            True,
        ),
        (255, ["No ED25519 host key is known for box …", "Host key verification failed."], "is not known here", True),
        (255, ["me@box: Permission denied (publickey)."], "refuses the login (Permission denied (publickey))", True),
        (255, ["kex_exchange_identification: read: Connection reset by peer"], "box closed the connection", False),
        (255, ["/me/.ssh/config: line 3: Bad configuration option: x"], "Bad configuration option: x", False),
        (255, [], "ssh to box failed without a word", False),
        (127, ["bash: line 1: exec: mltop: not found"], "mltop is not installed on box", True),
        (127, ["fish: Unknown command: mltop"], "mltop is not installed on box", True),
        (1, ["mltop: Command not found."], "mltop is not installed on box", True),
        (126, ["sh: 1: exec: mltop: Permission denied"], "mltop on box cannot be run", True),
        (2, ["mltop: unrecognized arguments: --control (see mltop --help)"], "an older mltop on box", True),
        (1, ["ModuleNotFoundError: No module named 'msgspec'"], "ended (exit code 1): ModuleNotFoundError", True),
        (1, ["This account is currently not available."], "This account is currently not available.", True),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, list) and value else None,
)
def test_each_end_has_its_line(code: int, said: list[str], text: str, is_lasting: bool) -> None:
    fault = fault_of("box", code, said)
    assert text in fault.text
    assert fault.is_lasting is is_lasting
    assert "\n" not in fault.text


def test_a_lost_connection_is_not_a_failed_one() -> None:
    assert fault_of("box", 255, [], was_up=True).text == "the connection to box was lost"
    assert fault_of("box", -9, [], was_up=True).text == "the connection to box was lost"
    assert not fault_of("box", 1, ["MemoryError"], was_up=True).is_lasting, "it worked before, so it may again"


def test_what_the_other_side_says_cannot_paint() -> None:
    fault = fault_of("box\x1b[2J", 1, ["\x1b]0;title\x07evil\u202e"])
    assert fault.text.isprintable()


def test_ssh_gets_a_host_and_never_an_option() -> None:
    arguments = ssh_arguments("me@box", "true")
    assert arguments[-3:] == ["--", "me@box", "true"]
    assert "BatchMode=yes" in arguments
    assert "BatchMode=no" in ssh_arguments("box", "true", may_ask=True)
    for host in ("", "-oProxyCommand=id"):
        with pytest.raises(ValueError, match="not a host"):
            ssh_arguments(host, "true")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "ksh", "fish", "csh", "tcsh"])
def test_any_login_shell_runs_it(shell: str, tmp_path: Path) -> None:
    """As sshd does it: `$SHELL -c COMMAND`, with SHELL in the environment."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell}")
    shown = tmp_path / "it's $HOME"
    shown.mkdir()
    tool = shown / "mltop"
    tool.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    tool.chmod(0o755)
    named = shlex.quote(str(tool)) if shell not in ("csh", "tcsh") else str(tool).replace(" ", "\\ ")
    command = remote_command(["--stream", "-i", "2", "a b'c"], None if shell in ("csh", "tcsh") else named)
    environment = {"SHELL": program, "PATH": f"{shown}:/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        [program, "-c", command], env=environment, capture_output=True, text=True, timeout=10, check=False
    )
    assert (ended.stdout, ended.stderr) == ("<--stream><-i><2><a b'c>", "")


def test_the_noise_of_rc_files_is_no_snapshot() -> None:
    snapshot = b'{"schema":"mltop.snapshot/1","host":"box"}'
    assert snapshot_line(snapshot) == snapshot
    assert snapshot_line(b"welcome to box" + snapshot) == snapshot
    for noise in (b"", b"Last login: today", b'{"not": "ours"}'):
        assert snapshot_line(noise) is None
