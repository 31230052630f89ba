"""What `mltop run` adds to a job that does nothing, beside what people use instead.

`python tests/bench/run_overhead.py` prints the median wall and CPU time and the largest resident set of each, and the
ratio to `flock` with `timeout` in a shell.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROUNDS = 40
LIMIT_MS = 100.0
LIMIT_KIB = 25 * 1024

SHELL_WRAPPER = """#!/bin/bash
exec 9>"$1/job.lock"
flock -n 9 || exit 75
log="$1/$(date -u +%Y%m%dT%H%M%SZ)-$$.log"
echo "start $(date -u) on $(hostname)" >>"$log"
timeout 3600 "${@:2}" >>"$log" 2>&1
code=$?
echo "end $(date -u) code $code" >>"$log"
find "$1" -name '*.log' -mtime +90 -delete
exit $code
"""


def measured(words: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, int]:
    """Wall time and CPU time in ms, and the largest resident set in KiB, of one call."""
    began = time.perf_counter()
    process = subprocess.Popen(
        words, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    spent_ms = (time.perf_counter() - began) * 1000
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{words[0]} ended with {process.returncode}")
    return spent_ms, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss


def contenders(folder: Path) -> dict[str, list[str]]:
    """What is compared, by name; what is not installed is left out."""
    wrapper = folder / "wrapper.sh"
    wrapper.write_text(SHELL_WRAPPER)
    wrapper.chmod(0o755)
    config = folder / "config.toml"
    config.write_text('version = 1\n[jobs.nothing]\nkind = "command"\ncommand = ["true"]\n')
    mltop = str(Path(sys.executable).with_name("mltop"))
    found = {
        "true": ["true"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python, msgspec": [sys.executable, "-c", "import msgspec"],
        "flock + timeout": ["flock", "-n", str(folder / "lock"), "timeout", "3600", "sh", "-c", "true"],
        "shell wrapper": [str(wrapper), str(folder), "true"],
        "mltop run -- true": [mltop, "run", "--state-dir", str(folder / "state"), "--", "true"],
        "mltop run JOB": [mltop, "run", "--state-dir", str(folder / "state"), "--config", str(config), "nothing"],
    }
    if shutil.which("chronic"):
        found["chronic"] = ["chronic", "true"]
    return found


def main() -> int:
    """Measure in turns, so that a busy moment hits all alike; 1 where a limit is passed."""
    times: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {"HOME": name, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        found = contenders(folder)
        for _ in range(ROUNDS):
            for what, words in found.items():
                spent_ms, cpu_ms, kib = measured(words, environment)
                cpu.setdefault(what, []).append(cpu_ms)
                times.setdefault(what, []).append(spent_ms)
                sizes[what] = max(sizes.get(what, 0), kib)
    base = statistics.median(times["flock + timeout"])
    for what, all_ms in times.items():
        median = statistics.median(all_ms)
        cpu_ms, mib = statistics.median(cpu[what]), sizes[what] / 1024
        print(f"{what:20} {median:7.1f} ms  {cpu_ms:7.1f} ms CPU  {mib:6.1f} MiB  {median / base:6.1f} x")
    added = statistics.median(times["mltop run JOB"]) - statistics.median(times["true"])
    print(
        f"added by mltop run: {added:.1f} ms (limit {LIMIT_MS:.0f}), {sizes['mltop run JOB'] / 1024:.1f} MiB (limit 25)"
    )
    return 0 if added <= LIMIT_MS and sizes["mltop run JOB"] <= LIMIT_KIB else 1


if __name__ == "__main__":
    raise SystemExit(main())
