"""How late a job begins, so that a thousand boxes do not all begin at two: always the same on one box.

A timer of systemd's waits by itself (`FixedRandomDelay=`); cron has nothing of the kind, so the wrapper waits, where
it was cron that started it. By hand, and in somebody's script, a job begins at once.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Mapping

from mltop.config.job import JobConfig
from mltop.config.location import machine_id
from mltop.jobs.runner import alive

_DAEMONS = frozenset({"cron", "crond", "cronie", "fcron", "dcron", "bcron-exec"})
_ABOVE = 6
"""A shell stands between cron and the wrapper, sometimes two."""
_STEPS = 1 << 32


def delay_s(job: JobConfig, environment: Mapping[str, str]) -> float:
    """Seconds to wait before a scheduled run of it begins."""
    if not job.jitter_s or "INVOCATION_ID" in environment or not is_crons():
        return 0.0
    return share(job.id, machine_id()) * job.jitter_s


def share(job: str, machine: str) -> float:
    """Which part of its jitter a job waits on a machine: 0 to 1, evenly over jobs and machines."""
    return binascii.crc32(f"{machine}/{job}".encode()) / _STEPS


def is_crons() -> bool:
    """Whether a cron daemon started this process."""
    pid = os.getppid()
    for _ in range(_ABOVE):
        fields = alive.stat_fields(pid)
        if pid <= 1 or fields is None:
            return False
        if alive.name(pid).lower() in _DAEMONS:
            return True
        pid = int(fields[1])
    return False
