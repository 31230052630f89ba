"""`mltop --check` that cannot read its config or write its report: dead mounts, full and read-only disks (C2, C14)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hung import hung_mount, stuck
from patience import assert_within

pytestmark = pytest.mark.integration

CHECK = [sys.executable, "-m", "mltop", "--check"]
ENDED = 0.6
"""Beyond `-t`: half a second by the contract, and what this machine's other work takes."""
RUNS = 10


def check(folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLTOP_KMSG": os.devnull, "MLTOP_STATE_DIR": str(folder / "state")}
    return subprocess.run(
        [*prefix, *CHECK, *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A mount that hangs while `mount.block` exists."""
    with hung_mount(tmp_path / "mount"):
        yield tmp_path / "mount"


def test_a_config_on_a_dead_mount_ends_the_run_in_its_time_and_leaves_one_child(mount: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(mount / "file")
    assert "file:1: " in check(tmp_path, "--config", str(mount / "file")).stderr  # it answers, and is no TOML
    mount.with_suffix(".block").touch()
    before = stuck("mltop-", tmp_path)
    for path in (mount / "file", link):
        started = time.monotonic()
        done = check(tmp_path, "--config", str(path), "-t", "1", "--json")
        assert_within(1 + ENDED, started)
        assert (done.returncode, done.stderr) == (3, f"mltop: {path}: its mount {mount} does not answer\n")
        assert json.loads(done.stdout)["errors"][0]["message"] in done.stderr
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:  # until the child counts as stuck
        check(tmp_path, "--config", str(link), "-t", "1")
    known = stuck("mltop-", tmp_path) - before
    assert known
    for _ in range(RUNS):
        started = time.monotonic()
        assert check(tmp_path, "--config", str(link), "-t", "5").returncode == 3
        assert_within(1, started)
    assert stuck("mltop-", tmp_path) - before == known


def test_an_output_on_a_dead_mount_is_refused_before_anything_is_asked(mount: Path, tmp_path: Path) -> None:
    mount.with_suffix(".block").touch()
    started = time.monotonic()
    done = check(tmp_path, "-o", str(mount / "mltop.prom"), "-t", "1")
    assert_within(1 + ENDED, started)
    assert (done.returncode, done.stdout) == (3, "")
    assert "does not answer" in done.stderr


def test_a_history_on_a_dead_mount_is_unknown_and_holds_nothing_else(mount: Path, tmp_path: Path) -> None:
    mount.with_suffix(".block").touch()
    started = time.monotonic()
    only = ("--only", "job.late,self.config,mem.available", "--state-dir", str(mount / "state"), "-t", "4", "--json")
    made = json.loads(check(tmp_path, *only).stdout)
    assert_within(4 + ENDED, started)
    assert {one["check"]: one["state"] for one in made["results"]} == {
        "job.late": "UNKNOWN", "self.config": "OK", "mem.available": "OK",
    }  # fmt: skip


def in_namespace(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A shell in a mount namespace of its own; skips where there is none to be had."""
    command = ["unshare", "--mount", "/bin/sh", "-c", f"mount --make-rprivate / && {script}", "sh", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no mount namespace here")
    return done


@pytest.mark.parametrize("name", ["meminfo", "uptime"])
def test_a_container_whose_kernel_files_hang_ends_in_its_time(mount: Path, tmp_path: Path, name: str) -> None:
    """lxcfs lays files of its own over some of /proc; when it hangs, whoever reads them does."""
    mount.with_suffix(".block").touch()
    started = time.monotonic()
    script = f'mount --bind "$1/file" /proc/{name} && shift && exec timeout -s KILL 20 "$@"'
    done = in_namespace(script, str(mount), *CHECK, "-t", "1", "--json", "--state-dir", str(tmp_path / "state"))
    assert_within(1 + ENDED, started)
    assert (done.returncode, done.stderr) == (3, f"mltop: /proc/{name}: its mount /proc/{name} does not answer\n")


def test_a_full_disk_keeps_the_old_report_whole(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    script = (
        'mount -t tmpfs -o size=64k tmpfs "$1/full" && cd "$1/full" && echo old >x.prom && '
        '{ head -c 100000 /dev/zero >fill 2>/dev/null; true; } && shift && "$@"; echo "code $?"; ls -A; cat x.prom'
    )
    done = in_namespace(script, str(tmp_path), *CHECK, "--no-state", "-f", "prometheus", "-o", "x.prom")
    assert done.stdout.splitlines() == ["code 3", "fill", "x.prom", "old"]
    assert done.stderr == "mltop: x.prom: No space left on device\n"


def test_a_read_only_disk_changes_nothing_but_that(tmp_path: Path) -> None:
    def states(text: str) -> list[tuple[str, ...]]:
        made: dict[str, Any] = json.loads(text)
        told = [one for one in made["results"] if one["check"] not in ("disk.readonly", "self.state", "cpu.load")]
        return [(one["check"], one["target"], one["state"]) for one in told if ".psi" not in one["check"]]

    usual = in_namespace('"$@"', *CHECK, "--json", "--state-dir", str(tmp_path / "a"))
    read_only = 'mount -o bind,remount,ro / && "$@"'
    done = in_namespace(read_only, *CHECK, "--json", "--state-dir", str(tmp_path / "b"))
    assert done.stderr == ""
    assert states(done.stdout) == states(usual.stdout)
    refused = in_namespace(read_only, *CHECK, "-f", "prometheus", "-o", str(tmp_path / "x.prom"))
    assert (refused.returncode, refused.stderr) == (3, f"mltop: {tmp_path}/x.prom: Read-only file system\n")


def test_a_plain_user_of_a_bare_container_is_ok_and_told_the_remedies(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("runs as a plain user anyway")
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", "MLTOP_SYSFS=" + str(tmp_path))
    if subprocess.run([*plain, sys.executable, "-c", "import mltop"], capture_output=True, check=False).returncode:
        pytest.skip("this interpreter is not for other users")
    (tmp_path / "bus/pci/devices").mkdir(parents=True)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o755)
    done = check(tmp_path, "--json", prefix=plain)
    made = json.loads(done.stdout)
    assert done.stderr == ""
    assert made["counts"]["unknown"] == 0
    refused = [one for one in made["results"] if one["reason"] == "permission"]
    assert all(one["state"] == "SKIP" and len(one["summary"]) > 10 for one in refused)
