"""Where the kernel's file systems, `/dev` and `/etc` are, or a copy of them for a test or a container."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Roots(msgspec.Struct, frozen=True):
    """The roots that every reading starts from; nothing else in `sampling` spells `/proc` or `/sys`."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    """Nodes of drives."""
    etc: Path = Path("/etc")
    """fstab."""

    @classmethod
    def from_environment(cls) -> Roots:
        """`MLTOP_PROCFS`, `MLTOP_SYSFS`, `MLTOP_DEV` and `MLTOP_ETC`, where set (a container that has the host's)."""
        return cls(
            proc=Path(os.environ.get("MLTOP_PROCFS") or "/proc"),
            sys=Path(os.environ.get("MLTOP_SYSFS") or "/sys"),
            dev=Path(os.environ.get("MLTOP_DEV") or "/dev"),
            etc=Path(os.environ.get("MLTOP_ETC") or "/etc"),
        )
