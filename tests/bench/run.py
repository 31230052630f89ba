"""What mltop costs beside other monitors, on the same fake driver: `python tests/bench/run.py [--quick]`.

Ratios of one run on one machine; nothing here passes or fails. `MLTOP_BENCH_SECONDS` is the length of a window.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fakes"))

import driver
from measured_terminal import Terminal, adopt_orphans
from tool import Tool, environment, install_peers, tools

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GPUS = 8
INTERVAL_S = 2.0
WARM_UP_S = 5.0
MIB = 1024 * 1024


@dataclass
class Cost:
    """One window of one tool; `None` where the tool has no such number."""

    cpu_percent: float
    memory_mib: float
    bytes_per_s: float
    calls_per_gpu_and_refresh: float
    first_paint_s: float | None
    first_number_s: float | None
    quit_s: float


class Bench:
    """A fake driver, homes, and processes for its GPUs."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.seconds = seconds
        self.library = driver.build(directory)
        self.fake = driver.FakeNvml(self.library, directory)
        self._children = [subprocess.Popen(["sleep", "7200"]) for _ in range(5)]
        self._number = 0

    def play(self, scenario: str) -> None:
        """Change the driver."""
        self.fake.scenario(scenario, [child.pid for child in self._children])

    def close(self) -> None:
        """End the processes of the GPUs."""
        for child in self._children:
            child.kill()
            child.wait()

    def environment(self, tool: Tool) -> tuple[dict[str, str], str]:
        """A fresh home for a run, and the text that marks all processes of it."""
        self._number += 1
        home = self.directory / f"home{self._number}"
        marker = f"MLTOP_BENCH_RUN={self.directory.name}-{self._number}-"
        key, _, value = marker.partition("=")
        result = environment(home, {**self.fake.env, "PYTHONPATH": str(ROOT), key: value})
        tool.prepare(home)
        return result, marker

    def start(self, tool: Tool) -> Terminal:
        """The tool in a terminal."""
        return Terminal(tool.argv, *self.environment(tool))

    def cost(self, tool: Tool) -> Cost:
        """Start, warm up, measure a window, quit."""
        terminal = self.start(tool)
        paint, number = first_times(terminal, tool)
        terminal.pump(WARM_UP_S)
        terminal.is_watched = False
        self.fake.reset_calls()
        terminal.byte_count = 0
        before, start = terminal.cpu_s(), time.monotonic()
        terminal.pump(self.seconds)
        after, took = terminal.cpu_s(), time.monotonic() - start
        calls = sum(count for (_, gpu), count in driver.read_calls(self.fake.calls_path).items() if gpu is not None)
        written, memory = terminal.byte_count, terminal.memory_bytes()
        if terminal.has_ended:
            print(f"  {tool.name} ended by itself", file=sys.stderr)
        return Cost(
            cpu_percent=100 * (after - before) / took,
            memory_mib=memory / MIB,
            bytes_per_s=written / took,
            calls_per_gpu_and_refresh=calls / GPUS / (took / INTERVAL_S),
            first_paint_s=paint,
            first_number_s=number,
            quit_s=terminal.close(),
        )


def first_times(terminal: Terminal, tool: Tool) -> tuple[float | None, float | None]:
    """Seconds from exec to the first non-blank cell and to the first number; `None` when it took over 10 s."""
    times: list[float] = []
    pattern = re.compile(tool.number)

    def is_painted() -> bool:
        return bool(terminal.text().strip())

    def has_number() -> bool:
        return bool(pattern.search(terminal.text()))

    for claim in (is_painted, has_number):
        if not claim() and not terminal.pump(10, claim):
            break
        times.append(time.monotonic() - terminal.started_at)
    return times[0] if times else None, times[1] if len(times) > 1 else None


def median(values: list[float | None]) -> float | None:
    """The median of what is known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def side_by_side(bench: Bench, chosen: list[Tool], runs: int) -> dict[str, dict[str, float | None]]:
    """Medians over runs in turns, so that a slow moment of the machine meets every tool."""
    costs: dict[str, list[Cost]] = {tool.name: [] for tool in chosen}
    for turn in range(runs):
        for tool in chosen if turn % 2 == 0 else chosen[::-1]:
            print(f"  turn {turn + 1}/{runs}: {tool.name}", file=sys.stderr)
            costs[tool.name].append(bench.cost(tool))
    return {
        name: {key: median([asdict(cost)[key] for cost in found]) for key in asdict(found[0])}
        for name, found in costs.items()
    }


COLUMNS = (
    ("cpu_percent", "CPU %", 2),
    ("memory_mib", "PSS MiB", 1),
    ("bytes_per_s", "bytes/s", 0),
    ("calls_per_gpu_and_refresh", "calls/GPU/2s", 1),
    ("first_paint_s", "paint s", 2),
    ("first_number_s", "numbers s", 2),
    ("quit_s", "quit s", 2),
)


def table(medians: dict[str, dict[str, float | None]]) -> str:
    """The numbers, and each as a ratio to nvitop's."""
    base = medians.get("nvitop", {})
    lines = ["tool     " + "".join(f"{title:>20}" for _, title, _ in COLUMNS)]
    for name, row in medians.items():
        cells = []
        for key, _, digits in COLUMNS:
            value, other = row[key], base.get(key)
            text = "-" if value is None else f"{value:,.{digits}f}"
            cells.append(text + (f" ({value / other:.2f}x)" if value is not None and other else ""))
        lines.append(f"{name:9}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def start_times(bench: Bench, chosen: list[Tool], runs: int) -> dict[str, dict[str, float | None]]:
    """Median seconds to the first cell and the first number over `runs` starts of each, in turns."""
    times: dict[str, list[tuple[float | None, float | None]]] = {tool.name: [] for tool in chosen}
    for _ in range(runs):
        for tool in chosen:
            terminal = bench.start(tool)
            times[tool.name].append(first_times(terminal, tool))
            terminal.close()
    return {
        name: {"paint": median([pair[0] for pair in found]), "numbers": median([pair[1] for pair in found])}
        for name, found in times.items()
    }


def once_times(chosen: list[Tool], bench: Bench, runs: int) -> dict[str, float]:
    """Median seconds of one snapshot as text."""
    times: dict[str, list[float]] = {tool.name: [] for tool in chosen if tool.once}
    for _ in range(runs):
        for tool in chosen:
            if tool.once:
                settings, _ = bench.environment(tool)
                start = time.monotonic()
                subprocess.run(tool.once, env=settings, capture_output=True, timeout=60)
                times[tool.name].append(time.monotonic() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def still_screen(bench: Bench, mltop: Tool, seconds: float) -> dict[str, float]:
    """Bytes of a paused screen, and of a tick when only the host moves, after the first ten seconds."""
    bench.play("8xh100")
    terminal = bench.start(mltop)
    terminal.pump(10)
    terminal.byte_count = 0
    terminal.pump(seconds)
    tick = terminal.byte_count / seconds * INTERVAL_S
    terminal.keys(b"Z")
    terminal.pump(INTERVAL_S * 2)
    terminal.byte_count = 0
    before, start = terminal.cpu_s(), time.monotonic()
    terminal.pump(seconds)
    result = {
        "bytes a tick, GPUs still": tick,
        "bytes/s, paused": terminal.byte_count / seconds,
        "CPU %, paused": 100 * (terminal.cpu_s() - before) / (time.monotonic() - start),
    }
    terminal.close()
    bench.play("8xh100-moving")
    return result


def stalled_terminal(bench: Bench, mltop: Tool, seconds: float) -> dict[str, float]:
    """A terminal that does not read: does sampling go on, does memory grow, does `q` still end it?"""
    terminal = bench.start(mltop)
    terminal.pump(8)
    bench.fake.reset_calls()
    before = terminal.memory_bytes()
    time.sleep(seconds)
    calls = bench.fake.calls()["nvmlDeviceGetPowerUsage"]
    grown = (terminal.memory_bytes() - before) / MIB
    return {
        "power calls a GPU and 2 s, stalled": calls / GPUS / (seconds / INTERVAL_S),
        "MiB grown, stalled": grown,
        "quit s, after the stall": terminal.close(),
    }


@contextmanager
def sleepers(directory: Path, count: int) -> Iterator[None]:
    """`count` more processes on the box."""
    program = directory / "sleeper"
    subprocess.run([shutil.which("cc") or "gcc", "-O2", "-o", str(program), str(HERE / "sleeper.c")], check=True)
    child = subprocess.Popen([str(program), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    try:
        yield
    finally:
        child.communicate(b"\n")


def main() -> int:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one turn of 10 s")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tools", help="only these, by comma")
    parser.add_argument("--processes", type=int, default=5000, help="for the crowded box; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--peers", type=Path, default=cache / "mltop-bench", help="the venv of the peers, made once")
    options = parser.parse_args()
    seconds = float(os.environ.get("MLTOP_BENCH_SECONDS") or (10 if options.quick else 60))
    runs = 1 if options.quick else options.runs
    install_peers(options.peers)
    chosen, missing = tools(options.peers)
    if options.tools:
        chosen = [tool for tool in chosen if tool.name in options.tools.split(",")]
    for name in missing:
        print(f"skipped: {name} is not installed")
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="mltop-bench-") as folder:
        bench = Bench(Path(folder), seconds)
        try:
            report = measure(bench, chosen, runs, options.processes)
        finally:
            bench.close()
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 0


def _pair(found: dict[str, float | None]) -> str:
    return "/".join("-" if value is None else f"{value:.2f}" for value in found.values())


def measure(bench: Bench, chosen: list[Tool], runs: int, processes: int) -> dict[str, object]:
    """All parts, printed as they come."""
    bench.play("8xh100-moving")
    print(f"8 GPUs, moving values, 120x40, 2 s, windows of {bench.seconds:.0f} s, medians of {runs}; (ratio to nvitop)")
    report: dict[str, object] = {"side by side": (medians := side_by_side(bench, chosen, runs))}
    print(table(medians), flush=True)
    report["start"] = start = start_times(bench, chosen, 3 if runs == 1 else 9)
    print(
        "start, s to the first cell and number: " + ", ".join(f"{name} {_pair(found)}" for name, found in start.items())
    )
    report["once"] = once = once_times(chosen, bench, 3 if runs == 1 else 7)
    print("one snapshot, s: " + ", ".join(f"{name} {value:.2f}" for name, value in once.items()), flush=True)
    mltop = next((tool for tool in chosen if tool.name == "mltop"), None)
    if mltop:
        for name, part in (("still", still_screen), ("stalled", stalled_terminal)):
            report[name] = found = part(bench, mltop, max(bench.seconds, 10))
            print("mltop: " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()), flush=True)
    if processes:
        with sleepers(bench.directory, processes):
            print(f"with {processes} more processes:")
            report["crowded"] = medians = side_by_side(bench, chosen, 1)
            print(table(medians))
    return report


if __name__ == "__main__":
    sys.exit(main())
