"""What a test needs of the box: a program, a port, file modes that hold; and a skip that says what to install."""

from __future__ import annotations

import os
import shutil
import socket

import pytest


def need(program: str, package: str, where: str = "") -> str:
    """The program's path, looked for in `where` first; a skip where it is missing, or a failure if nothing may skip."""
    found = shutil.which(program, path=f"{where}:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin")
    if found is None:
        reason = f"no {program}: install {package}"
        if os.environ.get("MLTOP_TESTS_SKIP_NOTHING"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def by_modes() -> tuple[str, ...]:
    """What a command is begun with so that file modes hold for root too: still root, without what overrides them.

    Its interpreter may be where no other user gets.
    """
    if os.geteuid() != 0:
        return ()
    refused = "-dac_override,-dac_read_search"
    return (need("setpriv", "util-linux"), f"--bounding-set={refused}", f"--inh-caps={refused}")
