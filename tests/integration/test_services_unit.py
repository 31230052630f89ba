"""Units of a real systemd, as the verdict sees them from within its box."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from namespaces import SystemdBox, wait_until

pytestmark = pytest.mark.integration
MLTOP = str(Path(sys.executable).with_name("mltop"))
ENGINE = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(8)
while True:
    with listener.accept()[0] as connection:
        request = connection.recv(4096)
        body = b"OK" if request.startswith(b"GET /_ping ") else b"[]"
        if b"unhealthy" in request:
            body = b'[{"Names": ["/ill"]}]'
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
"""
UNITS = {
    "good": "[Service]\nExecStart=/bin/sleep 600\n",
    "bad": "[Service]\nExecStart=/bin/false\n",
    "once": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "idle": "[Service]\nExecStart=/bin/sleep 600\n",
    "waits": "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h\n",
    "crashes": "[Unit]\nStartLimitBurst=0\n[Service]\nExecStart=/bin/sleep 0.1\nRestart=always\nRestartSec=10ms\n",
    "gives-up": "[Unit]\nStartLimitBurst=2\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=10ms\n",
    "starts": "[Service]\nType=notify\nExecStart=/bin/sleep 600\nTimeoutStartSec=600\n",
    "by-path": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "many@": "[Service]\nExecStart=/bin/sleep 600\n",
}
NAMED = ("good", "bad", "once", "idle", "waits", "crashes", "gives-up", "starts", "many@1", "many@2", "hidden", "none")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdBox]:
    for place in (Path(sys.prefix), Path(__file__)):
        if place.resolve().is_relative_to("/tmp"):
            pytest.skip("mltop lies below /tmp: the booted systemd has a /tmp of its own")
    for program in ("unshare", "nsenter", "systemctl"):
        if shutil.which(program) is None:
            if os.environ.get("MLTOP_TESTS_SKIP_NOTHING"):
                pytest.fail(f"no {program}: install it")
            pytest.skip(f"no {program}: install it")
    try:
        made = SystemdBox(tmp_path_factory.mktemp("box"))
    except LookupError as error:
        pytest.skip(str(error))
    yield made
    made.stop()


def verdict(box: SystemdBox, config: str, *words: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The results by check and target; run within the box, by its own state."""
    box.write("/etc/tried.toml", config)
    command = (MLTOP, "--check", "--json", "-v", "--skip", "gpu.*,disk.*,mem.*", "--config", "/etc/tried.toml", *words)
    made = json.loads(box.run(*command, "--state-dir", "/var/lib/tried", code=None))
    assert made["complete"], made
    return {(one["check"], one["target"]): one for one in made["results"]}


def unit(box: SystemdBox, name: str, text: str, *verbs: str) -> None:
    box.write(f"/etc/systemd/system/{name}.service", text)
    box.run("systemctl", "daemon-reload")
    for verb in verbs:
        box.run("systemctl", verb, name, code=None)


def shows(box: SystemdBox, name: str, key: str) -> str:
    return box.run("systemctl", "show", "--value", f"--property={key}", name).strip()


def test_every_state_of_a_unit(box: SystemdBox) -> None:
    for name, text in UNITS.items():
        box.write(f"/etc/systemd/system/{name}.service", text)
    box.run("systemctl", "daemon-reload")
    started = ("good", "bad", "once", "waits", "crashes", "gives-up", "starts", "many@1")
    box.run("systemctl", "start", "--no-block", *(f"{name}.service" for name in started))
    box.run("ln", "-s", "/dev/null", "/etc/systemd/system/hidden.service")
    box.run("systemctl", "daemon-reload")
    config = "".join(f'[[services.unit]]\nname = "{name}"\n' for name in NAMED)

    def states() -> dict[str, tuple[str, str | None]]:
        found = verdict(box, config)
        return {name: (one["state"], one["reason"]) for (check, name), one in found.items() if check == "svc.unit"}

    wait_until(lambda: shows(box, "gives-up", "ActiveState") == "failed", 20, "gave up")
    wait_until(lambda: shows(box, "waits", "SubState") == "auto-restart", 20, "waits to be restarted")
    first = states()
    expected = {
        "good": ("OK", None),
        "bad": ("CRITICAL", "failed"),
        "once": ("OK", None),
        "idle": ("CRITICAL", "inactive"),
        "waits": ("WARNING", "restarts"),
        "gives-up": ("CRITICAL", "failed"),
        "starts": ("OK", None),
        "many@1": ("OK", None),
        "many@2": ("CRITICAL", "inactive"),
        "hidden": ("CRITICAL", "masked"),
        "none": ("UNKNOWN", "absent"),
    }
    assert {name: first[name] for name in expected} == expected
    restarts = int(shows(box, "crashes", "NRestarts"))
    wait_until(lambda: int(shows(box, "crashes", "NRestarts")) > restarts + 5, 20, "crashed on")
    assert states()["crashes"] == ("WARNING", "restarts")  # though it may be active at any moment
    failed = verdict(box, config)["svc.any_failed", ""]
    assert failed["state"] == "WARNING"
    assert {"bad.service", "gives-up.service"} <= set(failed["data"]["units"])
    box.run("systemctl", "stop", "crashes")
    box.run("systemctl", "reset-failed")
    assert verdict(box, "")["svc.any_failed", ""]["state"] == "OK"


def test_a_service_that_its_socket_starts_is_well_by_either_name(box: SystemdBox) -> None:
    """C10, by the units that Debian ships, on a socket in the file system: no port of this machine is taken."""
    if "not-found" in shows(box, "ssh.socket", "LoadState"):
        if os.environ.get("MLTOP_TESTS_SKIP_NOTHING"):
            pytest.fail("no ssh.socket: install openssh-server")
        pytest.skip("no ssh.socket: install openssh-server")
    box.run("systemctl", "disable", "ssh.service", "ssh.socket")
    found = verdict(box, "")
    assert (found["svc.unit", "ssh"]["state"], found["svc.unit", "docker"]["state"]) == ("SKIP", "SKIP")
    box.write(
        "/etc/systemd/system/ssh.socket.d/tried.conf", "[Socket]\nListenStream=\nListenStream=/run/tried-ssh.sock\n"
    )
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "enable", "--now", "ssh.socket")
    assert shows(box, "ssh.service", "ActiveState") == "inactive"
    for name in ("ssh", "sshd"):
        config = f'[[services.unit]]\nname = "{name}"\n'
        told = verdict(box, config)["svc.unit", name]
        assert (told["state"], told["summary"]) == ("OK", "started by ssh.socket when needed")
    assert verdict(box, "")["svc.unit", "ssh"]["state"] == "OK"
    box.run("systemctl", "stop", "ssh.socket")
    told = verdict(box, "")["svc.unit", "ssh"]
    assert (told["state"], told["reason"], told["action"]) == ("CRITICAL", "inactive", "systemctl status ssh.service")


def test_an_engine_that_systemd_runs_is_asked_at_its_socket(box: SystemdBox) -> None:
    box.write("/opt/engine.py", ENGINE)
    command = f"{sys.executable} /opt/engine.py /run/docker.sock"
    text = (
        f"[Service]\nExecStart={command}\nExecStopPost=/bin/rm -f /run/docker.sock\n[Install]\nWantedBy=tried.target\n"
    )
    unit(box, "docker", text, "enable", "start")
    wait_until(lambda: box.run("sh", "-c", "test -S /run/docker.sock && echo there", code=None), 20, "engine")

    def states() -> tuple[str, str]:
        found = verdict(box, "", "-t", "5")
        return found["svc.unit", "docker"]["state"], found["docker", "docker"]["state"]

    wait_until(lambda: states() == ("OK", "WARNING"), 20, states)
    assert "unhealthy: ill" in verdict(box, "")["docker", "docker"]["summary"]
    box.run("systemctl", "kill", "--signal=STOP", "docker")
    silent = verdict(box, "", "-t", "5")
    assert silent["svc.unit", "docker"]["state"] == "OK"  # that says nothing of the engine
    assert silent["docker", "docker"]["state"] == "CRITICAL"
    assert silent["docker", "docker"]["summary"] == "no answer in 3 s (/run/docker.sock)"
    box.run("systemctl", "kill", "--signal=CONT", "docker")
    box.run("systemctl", "stop", "docker")
    found = verdict(box, "")
    assert found["svc.unit", "docker"]["state"] == "CRITICAL"
    assert found["docker", ""]["state"] == "SKIP"  # nobody runs that could be asked


def test_a_systemd_that_does_not_answer_is_unknown_and_in_time(box: SystemdBox) -> None:
    box.write("/opt/slow/systemctl", "#!/bin/sh\nexec sleep 60\n")
    box.run("chmod", "755", "/opt/slow/systemctl")
    command = (MLTOP, "--check", "--json", "--only", "svc.*", "--state-dir", "/var/lib/tried", "-t", "2")
    told = box.run("env", "PATH=/opt/slow:/usr/bin:/bin", *command, code=3, timeout_s=4)
    results = {(one["check"], one["target"]): one for one in json.loads(told)["results"]}
    assert {one["state"] for one in results.values()} == {"UNKNOWN"}
    assert set(results) == {("svc.any_failed", ""), ("svc.unit", "docker"), ("svc.unit", "ssh")}
    left = box.run("sh", "-c", "pgrep -f '^sleep 60$' || true")
    assert left == ""
