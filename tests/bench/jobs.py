"""`mltop jobs list` on a full box: 1,000 lines of a crontab, 200 timers, 20 jobs of its own.

    python tests/bench/jobs.py [--rounds 15]

Wall time and CPU of the whole command, beside an interpreter that only starts, alternated in one run; and how many
programs it asks (the limit is four: `crontab -l`, and three for the timers of one manager). Its crontab and systemctl
are shell scripts with fixed answers; a real systemctl takes some milliseconds more for each question. Exits 1 where the
fastest list of all takes a second, or one asks a fifth program: on a busy box the others tell how busy it is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_S = 1.0
LIMIT_PROGRAMS = 4
LINES, TIMERS, JOBS = 1000, 200, 20
LISTING = """
import sys
from pathlib import Path
from mltop.jobs import scheduler
scheduler._BOOTED = Path(sys.argv[1])
from mltop.commands.jobs import main
sys.exit(main(["list", "--json"]))
"""


def make_box(folder: Path) -> dict[str, str]:
    """A home, a config and programs with fixed answers; the environment that leads there."""
    for name in ("bin", "home", "booted", "runtime/systemd/private"):
        (folder / name).mkdir(parents=True)
    tab = "".join(f"{i % 60} {i % 24} * * {i % 7} /opt/job-{i} --all # {i}\n" for i in range(LINES))
    (folder / "tab").write_text("MAILTO=ops\n" + tab)
    table = '[jobs.j{0}]\nkind = "command"\ncommand = "true"\nschedule = "{1} 2 * * *"\nbackend = "cron"\n'
    (folder / "config.toml").write_text("version = 1\n" + "".join(table.format(i, i % 60) for i in range(JOBS)))
    next_us = int((time.time() + 3600) * 1e6)
    rows = [
        {"next": next_us, "left": next_us, "last": 0, "passed": 0, "unit": f"t{i}.timer", "activates": f"t{i}.service"}
        for i in range(TIMERS)
    ]
    (folder / "rows").write_text(json.dumps(rows))
    unit = (
        "Id=t{0}.timer\nActiveState=active\nFragmentPath=/etc/systemd/system/t{0}.timer\nUnitFileState=enabled\n"
        "TimersCalendar={{ OnCalendar=*-*-* 0{1}:00:00 ; next_elapse=n/a }}\nPersistent=yes\nDescription=Timer {0}\n\n"
        "Id=t{0}.service\nResult=success\nExecMainCode=1\nExecMainStatus=0\n"
        "ExecMainStartTimestamp=Tue 2026-11-24 00:00:00 UTC\nExecMainExitTimestamp=Tue 2026-11-24 00:00:05 UTC\n"
        "ExecStart={{ path=/opt/t{0} ; argv[]=/opt/t{0} --all ; ignore_errors=no ; start_time=[n/a] }}\n"
    )
    (folder / "shown").write_text("\n".join(unit.format(i, i % 10) for i in range(TIMERS)))
    scripts = {
        "crontab": f"cat {folder}/tab",
        "systemctl": (
            f'case "$*" in *list-timers*) exec cat {folder}/rows ;; *list-unit-files*) echo "[]" ;; '
            f"*) exec cat {folder}/shown ;; esac"
        ),
        "systemd-analyze": "exit 1",
    }
    for name, text in scripts.items():
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\n[ -z "$COUNTED" ] || echo {name} >> "$COUNTED"\n{text}\n')
        path.chmod(0o755)
    return {
        "PATH": f"{folder}/bin:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "MLTOP_CONFIG": str(folder / "config.toml"),
        "MLTOP_STATE_DIR": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder / "home"),
        "LANG": "C.UTF-8",
    }


def spent(argv: list[str], environment: dict[str, str]) -> tuple[float, float, bytes]:
    """Wall and CPU seconds of a command and its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="mltop-bench-") as name:
        folder = Path(name)
        environment = make_box(folder)
        listing = [sys.executable, "-c", LISTING, str(folder / "booted")]
        nothing = [sys.executable, "-c", "pass"]
        counted = folder / "counted"
        _, _, out = spent(listing, environment | {"COUNTED": str(counted)})
        found = len(json.loads(out)["jobs"])
        assert found == LINES + TIMERS + JOBS, f"{found} jobs were listed"
        asked = counted.read_text().split()
        pairs = [(spent(listing, environment)[:2], spent(nothing, environment)[:2]) for _ in range(rounds)]
    wall, cpu = (statistics.median(one[0][part] for one in pairs) for part in (0, 1))
    best = min(one[0][0] for one in pairs)
    bare = statistics.median(one[1][0] for one in pairs)
    ratio = statistics.median(one[0][0] / one[1][0] for one in pairs)
    spending = f"{wall:.3f} s wall (best {best:.3f}), {cpu:.3f} s CPU"
    print(f"jobs list, {found} entries: {spending}; {len(asked)} programs: {' '.join(asked)}")
    print(f"an interpreter that only starts: {bare:.3f} s; ratio {ratio:.1f}; load {os.getloadavg()[0]:.1f}")
    return int(best >= LIMIT_S or len(asked) > LIMIT_PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
