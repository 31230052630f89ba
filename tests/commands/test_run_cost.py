"""What `mltop run` costs (J26): in CPU time against a bare interpreter, which a busy box slows down as much."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 3
MOST_TIMES = 8.0
"""Where an interpreter takes 13 ms, 100 more are 8.7 times as long; `mltop run` takes some 5.5."""
MOST_KIB = 25 * 1024


LAUNCHER = """\
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Small, for the peak of a process begins with that of the one that started it."""


def cost(words: list[str], environment: dict[str, str]) -> tuple[float, int]:
    """CPU seconds and the largest resident set in KiB of one command with all that it waited for."""
    launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, *words]
    done = subprocess.run(launcher, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    cpu_s, kib = done.stdout.split()
    return float(cpu_s), int(kib)


@pytest.mark.parametrize("words", [["job"], ["--id", "other", "--", "true"]])
def test_the_wrapper_costs_a_few_interpreters(tmp_path: Path, words: list[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('version = 1\n[jobs.job]\nkind = "command"\ncommand = ["true"]\n')
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    files = ["--config", str(config), "--state-dir", str(tmp_path / "state")]
    wrapper = [sys.executable, "-m", "mltop", "run", *files, *words]
    cost(wrapper, environment)  # compiles what is not compiled yet
    pairs = [(cost(wrapper, environment), cost([sys.executable, "-c", "pass"], environment)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours[0] / bare[0] for ours, bare in pairs)
    assert ratio < MOST_TIMES
    assert max(ours[1] for ours, _ in pairs) <= MOST_KIB
    print(f"{ratio:.1f} interpreters")
