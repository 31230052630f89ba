"""Where mltop's CPU goes: `python tests/bench/hotspots.py [processes|dashboard|stream] [--seconds S]`.

`processes` splits the CPU of a plain run by process; the other two profile one of them (slower than life: read the
order and the counts, not the seconds).
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
import time
from pathlib import Path

from measured_terminal import adopt_orphans, cpu_of, members
from run import INTERVAL_S, Bench
from tool import Tool, tools

# The profile is written however the program ends: mltop leaves by os._exit, which no atexit hook sees.
LAUNCH = """
import cProfile, os, runpy, sys
path, sys.argv = sys.argv[1], ["mltop", *sys.argv[2:]]
profile, leave = cProfile.Profile(), os._exit
def write_and_leave(code):
    profile.disable()
    profile.dump_stats(path)
    leave(code)
os._exit = write_and_leave
profile.enable()
try:
    runpy.run_module("mltop", run_name="__main__")
except SystemExit:
    pass
write_and_leave(0)
"""


def by_process(bench: Bench, seconds: float) -> None:
    """CPU percent of each of mltop's processes, after five seconds."""
    mltop = tools(Path("none"))[0][0]
    terminal = bench.start(mltop)
    terminal.pump(5)
    terminal.is_watched = False
    pids = members(terminal.marker)
    before, start = {pid: cpu_of(pid) for pid in pids}, time.monotonic()
    terminal.pump(seconds)
    took = time.monotonic() - start
    for pid in pids:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        print(f"{100 * (cpu_of(pid) - before[pid]) / took:6.2f} %  {name:16} {command[-80:]}")
    terminal.close()


def profiled(bench: Bench, arguments: list[str], seconds: float, rows: int) -> None:
    """Run mltop with these arguments under cProfile for a while and print the heaviest functions."""
    path = bench.directory / "profile"
    tool = Tool("mltop", (sys.executable, "-c", LAUNCH, str(path), *arguments), "never")
    terminal = bench.start(tool)
    terminal.is_watched = False
    terminal.pump(seconds)
    if terminal.has_ended and not path.exists():
        print("mltop ended by itself")
    terminal.close()
    if path.exists():
        for order in ("tottime", "cumulative"):
            pstats.Stats(str(path)).strip_dirs().sort_stats(order).print_stats(rows)


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("processes", "dashboard", "stream"), nargs="?", default="processes")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--interval", type=float, default=INTERVAL_S)
    parser.add_argument("--rows", type=int, default=35)
    options = parser.parse_args()
    adopt_orphans()
    interval = str(options.interval)
    with tempfile.TemporaryDirectory(prefix="mltop-bench-") as folder:
        bench = Bench(Path(folder), options.seconds)
        bench.play("8xh100-moving")
        try:
            if options.what == "processes":
                by_process(bench, options.seconds)
            elif options.what == "dashboard":
                profiled(bench, ["-i", interval], options.seconds, options.rows)
            else:
                count = str(max(1, int(options.seconds / options.interval)))
                profiled(bench, ["--stream", "-i", interval, "--count", count], options.seconds + 5, options.rows)
        finally:
            bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
