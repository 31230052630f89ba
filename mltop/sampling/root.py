"""Where the kernel's file systems are: `/proc` and `/sys`, or a copy of them for a test or a container."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Roots:
    """The roots that every reading starts from; nothing else in `sampling` spells `/proc` or `/sys`."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")

    @classmethod
    def from_environment(cls) -> Roots:
        """`MLTOP_PROCFS` and `MLTOP_SYSFS`, where they are set (a container with the host's at another place)."""
        return cls(
            proc=Path(os.environ.get("MLTOP_PROCFS") or "/proc"),
            sys=Path(os.environ.get("MLTOP_SYSFS") or "/sys"),
        )
