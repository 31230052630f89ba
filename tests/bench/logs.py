"""A log of 1 GiB, and a history of 100,000 runs: how long a first look takes, and in how much memory.

`python tests/bench/logs.py [FOLDER]` makes both below FOLDER (default: a temporary folder; 1.1 GB) and prints medians.
Limits (the jobs page of the specification, 7): the log opens in under 1 s with bounded memory; the last run of every
job of such a history in under 100 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 9
LOG_BYTES = 1 << 30
RUNS = 100_000
JOBS = 40
OPEN_LIMIT_S = 1.0
LOG_LIMIT_MIB = 64.0
LAST_LIMIT_S = 0.1

_MEASURED = """
import sys, time
from pathlib import Path
{imports}
def memory(name):
    return int(Path("/proc/self/status").read_text().partition(name)[2].split()[0]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # the peak from here on (proc(5)): exec does not begin it anew
before = memory("VmRSS:")
began = time.perf_counter()
{work}
spent = time.perf_counter() - began
print(spent, memory("VmHWM:") - before)
"""
_PAGES = {
    "open at its end": 'Want("end", 50)',
    "go to its middle": f'Want("at", 50, top={LOG_BYTES // 2})',
    "first error, at its end": 'Want("error", 50, step=1)',
}


def make_log(path: Path) -> None:
    """Lines of 100 bytes, and an error as the last but nine."""
    line = b"2026-11-24T02:00:01Z step 000000 loss 1.2345 learning rate 0.0003 tokens 1048576 of 9999999 in epoch 3..\n"
    block = line * (4 * (1 << 20) // len(line))
    with path.open("wb") as file:
        while file.tell() < LOG_BYTES:
            file.write(block)
        file.write(b"RuntimeError: CUDA out of memory\n" + line * 9)


def make_history(state: Path) -> None:
    """Runs of many jobs, one of them long gone."""
    from mltop.jobs.history import table
    from mltop.jobs.history.entry import Entry
    from mltop.jobs.history.history import History
    from mltop.model.run_state import RunState

    History(state).finish(Entry("0", "gone", started_at="2020-01-01T00:00:00.000Z", state=RunState.OK))
    with table.writing(state / "history.db") as database:
        database.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RUNS})"
            " INSERT INTO runs (id, job, started_at, ended_at, state, exit_code, duration_s, log_path)"
            f" SELECT 'r' || i, 'job' || (i % {JOBS}),"
            " strftime('%Y-%m-%dT%H:%M:%f', 1800000000 + i * 60, 'unixepoch') || 'Z', '2026-11-24T00:00:00.000Z',"
            " CASE i % 7 WHEN 0 THEN 'skipped' ELSE 'ok' END, 0, 1.5, '/var/log/mltop/job/r.log' FROM n"
        )


def measured(imports: str, work: str) -> tuple[float, float]:
    """Seconds and MiB that some work adds to a fresh interpreter; medians."""
    code = _MEASURED.format(imports=imports, work=work)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    found = []
    for _ in range(ROUNDS):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
        found.append(tuple(map(float, done.stdout.split())))
    return statistics.median(one[0] for one in found), max(one[1] for one in found)


def command(words: list[str]) -> float:
    """Seconds of a command, whole; the median."""
    import time

    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> int:
    """Measure; 1 where a limit is passed."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    is_well = True
    with tempfile.TemporaryDirectory(dir=parent) as name:
        log, state = Path(name) / "big.log", Path(name) / "state"
        make_log(log)
        imports = "from mltop.ui.log_page import Want, read_page"
        for what, want in _PAGES.items():
            spent_s, mib = measured(imports, f"assert read_page(Path({str(log)!r}), {want}).lines")
            limit = f" (limits {OPEN_LIMIT_S:g} s, {LOG_LIMIT_MIB:g} MiB)" if what.startswith("open") else ""
            print(f"1 GiB log, {what:24} {spent_s * 1000:8.1f} ms  +{mib:5.1f} MiB{limit}")
            is_well &= mib <= LOG_LIMIT_MIB and (not limit or spent_s <= OPEN_LIMIT_S)
        make_history(state)
        imports = "from mltop.jobs.history.history import History"
        spent_s, mib = measured(imports, f"assert len(History(Path({str(state)!r})).lasts()) == {JOBS + 1}")
        is_well &= spent_s <= LAST_LIMIT_S
        print(f"{RUNS} runs, the last of {JOBS + 1} jobs    {spent_s * 1000:8.1f} ms  +{mib:5.1f} MiB (limit 100 ms)")
        words = [sys.executable, "-m", "mltop", "jobs", "history", "job7", "--json", "--state-dir", str(state)]
        print(f"mltop jobs history JOB, whole       {command(words) * 1000:8.1f} ms")
    return 0 if is_well else 1


if __name__ == "__main__":
    raise SystemExit(main())
