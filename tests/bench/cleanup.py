"""The plan of a cleanup beside `find -type f -mtime +7`, in turn on one tree, young and old.

    python tests/bench/cleanup.py [--files 1000000] [--rounds 5] [--folder DIR]

The gate is the ratio of the medians in one run, not the seconds; what is planned is in the tree or out of it by the
clock that the plan is given, for change times cannot be set back.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GATE = 1.2
_IN_A_FOLDER = 1000
_PLAN = """
import sys, time
from mltop.tasks.archive.mount import mount_points
from mltop.tasks.cleanup.plan import CleanupJob, plan
from mltop.tasks.inuse import in_use
from mltop.tasks.outcome import Control
root, count, shift = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
job = CleanupJob(paths=(root,), older_than_s=7 * 86400)
made = plan(root, job, in_use(), mount_points(), time.time() + shift, Control())
assert made.files == count
assert sum(len(seen.names) for seen in made.looks.values()) == (count if shift else 0)
"""


def make_tree(root: Path, count: int) -> None:
    """Write `count` empty files, a thousand to a folder."""
    for number in range(count // _IN_A_FOLDER):
        folder = root / f"{number % 20:02d}" / f"d{number}"
        folder.mkdir(parents=True)
        fd = os.open(folder, os.O_RDONLY)
        for each in range(_IN_A_FOLDER):
            os.close(os.open(f"f{each:04d}.bin", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
        os.close(fd)


def wall(command: list[str]) -> float:
    """Seconds that a command takes."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    """Parse, make the tree, run in turn, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder, "cache")
        make_tree(root, options.files)
        count = options.files // _IN_A_FOLDER * _IN_A_FOLDER
        plan = [sys.executable, "-c", _PLAN, str(root), str(count)]
        commands = {
            "find": ["find", str(root), "-type", "f", "-mtime", "+7"],
            "young": [*plan, "0"],
            "old": [*plan, str(100 * 86400)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds + 1):
            for name, command in commands.items():
                times[name].append(wall(command))
    medians = {name: statistics.median(each[1:]) for name, each in times.items()}  # the first fills the caches
    for name, seconds in medians.items():
        ratio = seconds / medians["find"]
        print(f"{'ok  ' if ratio <= GATE else 'MISS'} {name:6} {seconds:7.2f} s {ratio:6.2f}  (gate {GATE})")


if __name__ == "__main__":
    main()
