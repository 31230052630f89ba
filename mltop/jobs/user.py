"""The user that this process runs as, from the local table alone: a name service may hang (D4)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PASSWD = Path("/etc/passwd")


def local_user(environment: Mapping[str, str], passwd: Path = _PASSWD) -> tuple[str, str]:
    """Name and home as cron has them; of a user that only a name service knows, what the environment says."""
    uid = str(os.geteuid())
    try:
        for line in passwd.read_text("utf-8", "replace").splitlines():
            fields = line.split(":")
            if len(fields) > 5 and fields[2] == uid:
                return fields[0], fields[5]
    except OSError:
        pass
    return environment.get("USER") or environment.get("LOGNAME") or uid, environment.get("HOME", "")
