"""Mounts that hang when a test says so, by the server in `hung_mount.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import wait_until


def block_of(mount: Path) -> Path:
    """The file that makes the mount hang while it exists."""
    return mount.with_name(f"{mount.name}.block")


@contextmanager
def hung_mount(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The server of a mount made here, that hangs while `block_of` it exists: who waits for it then is in state D.

    Skips where there is no FUSE.
    """
    path.mkdir()
    script = Path(__file__).with_name("hung_mount.py")
    with subprocess.Popen([sys.executable, str(script), str(path)], stdin=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: path.is_mount() or server.poll() is not None, 20, "mounted")
            if not path.is_mount():
                pytest.skip("no FUSE here")
            yield server
        finally:
            block_of(path).unlink(missing_ok=True)
            server.kill()  # whoever waits for it gets an error from the kernel
            subprocess.run(["fusermount3", "-u", "-z", str(path)], stderr=subprocess.DEVNULL, check=False, timeout=10)


def stuck(comm: str, mark: str | Path) -> set[int]:
    """Processes in state D whose name begins so and that have the mark in their environment: no other test's."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
            is_here = f"({comm}" in text and text.rpartition(")")[2].split()[0] == "D"
            if is_here and os.fsencode(mark) in (folder / "environ").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found
