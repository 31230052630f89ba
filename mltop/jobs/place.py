"""Where a run's files go: history, spool, locks and logs below the state's folder (D20, D26)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mltop.config.location import SYSTEM_STATE

SYSTEM_LOGS = Path("/var/log/mltop")


class Place:
    """The files of one state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.history = state / "history.db"
        self.spool = state / "spool.jsonl"
        self.locks = state / "locks"
        self.logs = SYSTEM_LOGS if state == SYSTEM_STATE else state / "logs"

    def log(self, job: str, run: str) -> Path:
        """The log of one run; a run's id begins with its time in UTC."""
        return self.logs / job / f"{run}.log"

    def lock(self, job: str) -> Path:
        """A job's lock. A drill shares that of its backup (D37)."""
        return self.locks / f"{job.removesuffix('.drill')}.lock"


def fallback() -> Path:
    """The folder in memory for who has no state that can be written (D26): made, and ours alone; raises OSError."""
    path = memory_folder()
    path.mkdir(mode=0o700, exist_ok=True)
    if not is_ours_alone(path):
        raise PermissionError(1, "not a folder of ours alone", str(path))
    return path


def memory_folder() -> Path:
    """That folder, made or not."""
    return Path(f"/dev/shm/mltop-{os.geteuid()}")


def is_ours_alone(folder: Path) -> bool:
    """Whether nobody else can have put anything there; raises OSError where it is not there."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def make(folder: Path) -> Path:
    """Make a folder and those above it that are missing, for their owner only; raises OSError."""
    missing = []
    above = folder
    while not above.exists():
        missing.append(above)
        above = above.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)  # another run may be as fast
    return folder
