"""The remote source against a client of ours: a script named ssh, first in the PATH."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import assert_within, wait_until

from mltop.fleet import relay
from mltop.fleet.ssh import RemoteSource
from mltop.model.request import Request

SNAPSHOT = '{"schema":"mltop.snapshot/1","version":"9.9.9","host":"%s","key_of_tomorrow":1}'
Client = Callable[[str], Path]


def line(source: RemoteSource, timeout_s: float = 10.0) -> dict[str, object]:
    """The next line of the source."""
    data = b""
    deadline = time.monotonic() + timeout_s
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        assert left > 0, f"no line; trouble: {source.trouble()}"
        if select.select([source.fileno()], [], [], left)[0]:
            piece = os.read(source.fileno(), 1)
            assert piece, f"the relay ended; trouble: {source.trouble()}"
            data += piece
    document: dict[str, object] = json.loads(data)
    return document


def lives(pid_file: Path) -> bool:
    try:
        stat = Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Writes the client: a shell script that has its own folder as `$here`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(relay, "BACKOFF_S", (0.05,))

    def write(text: str) -> Path:
        script = tmp_path / "ssh"
        script.write_text(f"#!/bin/sh\nhere={tmp_path}\necho $$ >$here/pid\necho try >>$here/tries\n{text}\n")
        script.chmod(0o755)
        return tmp_path

    return write


@pytest.fixture
def opened() -> Iterator[Callable[[], RemoteSource]]:
    sources = []

    def make() -> RemoteSource:
        sources.append(RemoteSource("box", 2.0))
        return sources[-1]

    yield make
    for source in sources:
        source.close()
        wait_until(lambda pid=source.pid: ended(pid))


def ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


Opened = Callable[[], RemoteSource]


def test_snapshots_come_and_noise_does_not(client: Client, opened: Opened) -> None:
    client(f"echo welcome; printf 'no end of line'; echo '{SNAPSHOT % 'a'}'; cat >/dev/null")
    source = opened()
    assert source.connect() is None
    assert line(source)["host"] == "a"
    assert source.trouble() is None


def test_closing_leaves_nothing(client: Client, opened: Opened) -> None:
    here = client(f"echo '{SNAPSHOT % 'a'}'; exec sleep 1000")
    source = opened()
    assert source.connect() is None
    assert lives(here / "pid")
    source.close()
    wait_until(lambda: not lives(here / "pid"), 2.0)
    wait_until(lambda: ended(source.pid), 2.0)


def test_a_dashboard_that_dies_leaves_nothing(client: Client) -> None:
    here = client(f"echo '{SNAPSHOT % 'a'}'; exec cat >/dev/null")
    dashboard = os.fork()
    if dashboard == 0:
        source = RemoteSource("box", 2.0)
        (here / "relay").write_text(f"{source.pid}\n")
        source.connect()
        signal.pause()
    wait_until(lambda: lives(here / "pid") and lives(here / "relay"))
    os.kill(dashboard, signal.SIGKILL)
    os.waitpid(dashboard, 0)
    wait_until(lambda: not lives(here / "pid") and not lives(here / "relay"), 2.0)


def test_a_client_that_ignores_sigterm_is_killed(client: Client, opened: Opened) -> None:
    here = client(f"trap '' TERM; echo '{SNAPSHOT % 'a'}'; while :; do sleep 0.1; done")
    source = opened()
    assert source.connect() is None
    source.close()
    wait_until(lambda: not lives(here / "pid"), 3.0)


def test_a_lost_connection_comes_back_and_is_told_what_was_asked(client: Client, opened: Opened) -> None:
    here = client(
        f"echo '{SNAPSHOT % 'a'}'; read request; echo \"$request\" >>$here/requests; "
        f"[ -e $here/stay ] && cat >/dev/null; touch $here/stay; echo 'Connection reset by peer' >&2; exit 255"
    )
    source = opened()
    assert source.connect() is None
    source.send(Request(sort="cpu", refresh=True))
    assert line(source)["host"] == "a"
    assert line(source)["host"] == "a", "the second connection's"
    wait_until(lambda: len((here / "requests").read_text().splitlines()) == 2)
    first, second = map(json.loads, (here / "requests").read_text().splitlines())
    assert (first["sort"], second) == ("cpu", {"sort": "cpu"})
    wait_until(lambda: source.trouble() is None)
    assert (here / "tries").read_text() == "try\n" * 2


def test_the_trouble_is_named_and_ends_with_the_recovery(client: Client, opened: Opened) -> None:
    here = client(
        f"if [ -e $here/well ]; then echo '{SNAPSHOT % 'a'}'; cat >/dev/null; fi; "
        "echo 'ssh: connect to host box port 22: Connection refused' >&2; exit 255"
    )
    source = opened()
    trouble = source.connect()
    assert trouble is not None
    assert trouble.startswith("box refuses the connection")
    assert "trying again in" in (source.trouble() or "")
    (here / "well").touch()
    assert line(source)["host"] == "a"
    wait_until(lambda: source.trouble() is None)


def test_a_lasting_fault_waits_for_a_hand(client: Client, opened: Opened) -> None:
    here = client(
        f"if [ -e $here/well ]; then echo '{SNAPSHOT % 'a'}'; cat >/dev/null; fi; "
        "echo 'me@box: Permission denied (publickey).' >&2; exit 255"
    )
    source = opened()
    assert "ssh-add" in (source.connect() or "")
    assert "r tries again" in (source.trouble() or "")
    (here / "well").touch()
    assert not select.select([source.fileno()], [], [], 0.3)[0]
    assert (here / "tries").read_text() == "try\n"
    source.send(Request(refresh=True))
    assert line(source)["host"] == "a"


def test_a_newer_major_version_is_said_and_not_shown(client: Client, opened: Opened) -> None:
    client('echo \'{"schema":"mltop.snapshot/2","version":"3.0.0"}\'; cat >/dev/null')
    source = opened()
    trouble = source.connect()
    assert trouble is not None
    assert "3.0.0" in trouble
    assert "mltop.snapshot/2" in trouble
    assert not select.select([source.fileno()], [], [], 0)[0]


def test_a_helper_of_ssh_that_holds_standard_error_delays_nothing(client: Client, opened: Opened) -> None:
    client("sleep 3 >/dev/null & echo 'ssh: Could not resolve hostname box: Name or service not known' >&2; exit 255")
    source = opened()
    started = time.monotonic()
    assert source.connect() == "no such host: box"
    assert_within(2.5, started)


def test_no_client_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: Opened) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install openssh-client" in (opened().connect() or "")


def test_a_dashboard_that_does_not_read_gets_the_newest(client: Client, opened: Opened) -> None:
    here = client(
        f"filler=$(head -c 20000 /dev/zero | tr '\\0' x); i=0; "
        f"while [ $i -lt 40 ]; do i=$((i+1)); echo '{SNAPSHOT.replace('%s', '')}'"
        ' | sed "s/\\"host\\":\\"\\"/\\"host\\":\\"$i $filler\\"/"; done; touch $here/all; cat >/dev/null'
    )
    source = opened()
    assert source.connect() is None
    wait_until(lambda: (here / "all").exists())
    seen = []
    while not seen or seen[-1] != 40:
        seen.append(int(str(line(source)["host"]).split()[0]))
    assert seen == sorted(seen)
    assert len(seen) < 40


def test_a_relay_that_dies_is_an_end_of_file(client: Client, opened: Opened) -> None:
    client(f"echo '{SNAPSHOT % 'a'}'; cat >/dev/null")
    source = opened()
    assert source.connect() is None
    os.kill(source.pid, signal.SIGKILL)
    line(source)
    wait_until(lambda: select.select([source.fileno()], [], [], 0)[0])
    assert os.read(source.fileno(), 10) == b""
    assert source.trouble() == "the connection's own process has ended"
    source.send(Request(refresh=True))


def test_a_host_that_is_an_option_is_refused() -> None:
    with pytest.raises(ValueError, match="not a host"):
        RemoteSource("-oProxyCommand=id", 2.0)
