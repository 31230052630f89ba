"""What a verdict reads of the host and only a real kernel has: the shared memory of a container, a clock."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from mltop.model.snapshot import Status
from mltop.sampling.host.shared_memory import read_shared_memory
from mltop.sampling.root import Roots

pytestmark = pytest.mark.integration

CONTAINER = (
    "mount -t tmpfs -o size=1m tmpfs /dev/shm && head -c 921600 /dev/zero > /dev/shm/x && echo ready && exec cat"
)


@pytest.fixture
def container() -> Iterator[int]:
    """A process with a `/dev/shm` of its own, 90 % full."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare: install util-linux")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([unshare, "-m", "/bin/sh", "-c", CONTAINER], **pipes) as child:  # type: ignore[call-overload]
        if child.stdout.readline() != b"ready\n":
            pytest.skip("no mount namespace here")
        yield child.pid
        child.stdin.close()


def test_the_shared_memory_of_a_container(container: int) -> None:
    found = read_shared_memory(Roots(), container)
    assert (found.status, found.total_bytes) == (Status.OK, 1 << 20)
    assert found.used_percent == pytest.approx(87.9, abs=1)


def test_a_process_of_the_box_has_the_boxs_own() -> None:
    assert read_shared_memory(Roots(), os.getpid()).status is Status.ABSENT
