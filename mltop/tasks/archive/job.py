"""What to back up, where to, and how: the engine's own view of a backup job."""

from __future__ import annotations

from typing import Literal

import msgspec

from mltop.config.job import SETTLE_S
from mltop.tasks.retention import Keep

Compression = Literal["zstd", "gzip", "none"]
External = Literal["auto", "follow", "keep", "fail"]

UNFINISHED = ("*.tmp", "*.incomplete", "tmp-checkpoint-*")
"""What trainers and downloaders call a file or folder that is not whole yet."""


class BackupJob(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. Times are seconds, sizes bytes."""

    job: str
    sources: tuple[str, ...]
    target: str
    """A folder. Made (0700) when missing, but never under an fstab mount point that is not mounted."""
    compression: Compression = "zstd"
    level: int = 1
    threads: int = 0
    """0: all cores that this process may use, at most 4."""
    exclude: tuple[str, ...] = UNFINISHED
    exclude_caches: bool = False
    """Leave out folders that hold a CACHEDIR.TAG; never a source itself."""
    allow_large_exclusions: bool = False
    """Allow exclusions that drop more than 90 % of the bytes."""
    external: External = "auto"
    """Links out of the source: follow, keep the link, or make the backup partial; auto follows those of a HF hub."""
    strict_models: bool = False
    """A truncated model file in the source makes the backup partial, not just a note."""
    keep: Keep = Keep.days(30)
    trash_s: float = 3 * 86400
    settle_s: float = SETTLE_S
    """Files younger than this are read last, and waited for, this long at most."""
    skip_unchanged: bool = True
    accept_clock: bool = False
    """Prune although the clock jumped since the last run."""
    reserve_bytes: int | None = None
    """Free space to leave on the target; `None`: 2 % of it, at most 1 GiB."""
    lock_path: str | None = None
    """Where the lock is; `None`: in the target."""
