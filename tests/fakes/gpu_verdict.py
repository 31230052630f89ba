"""`mltop --check` of a box that has the fake driver's GPUs and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from driver import FakeNvml

from mltop.checks.catalogue import CATALOGUE

BAD = ("WARNING", "CRITICAL", "UNKNOWN")


class GpuVerdict(NamedTuple):
    """One run of the checks of GPUs."""

    exit_code: int
    results: list[dict[str, Any]]

    def of(self, check: str) -> dict[str, str]:
        """The states of a check, by what it is of."""
        return {one["target_name"]: one["state"] for one in self.results if one["check"] == check}

    def told(self) -> dict[tuple[str, str], str]:
        """What is not well: check and name, and the state."""
        return {(one["check"], one["target_name"]): one["state"] for one in self.results if one["state"] in BAD}


def gpu_verdict(fake: FakeNvml, folder: Path, *arguments: str) -> GpuVerdict:
    """Run it, with `folder` as home and state, as a cron job would."""
    (folder / "sys/bus/pci/devices").mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MLTOP_STATE_DIR": str(folder / "state"),
        "MLTOP_SYSFS": str(folder / "sys"),
        "MLTOP_KMSG": os.devnull,
        **fake.env,
    }
    others = ",".join(check.id for check in CATALOGUE if check.family != "gpu")
    command = [sys.executable, "-m", "mltop", "--check", "--skip", others, "--json", *arguments]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
    )
    made = json.loads(done.stdout)
    assert made["exit_code"] == done.returncode, done.stderr
    assert made["complete"]
    return GpuVerdict(done.returncode, made["results"])
