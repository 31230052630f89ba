"""`mltop --check` beside a shell script that makes the same checks: wall time, CPU and memory, alternated in one run.

    python tests/bench/check.py [--rounds 15] [--gpus 8]

The script is the usual kind: df, free, uptime, nvidia-smi, systemctl, and bc for each comparison. Its nvidia-smi is a C
program that starts NVML over the same fake driver as mltop does and asks for what the script wants (a real one does
more); its systemctl is the real one where that is installed. The gate is the ratio in one run, not the seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))
import driver

SCRIPT = r"""#!/bin/bash
status=0
above() { [ "$(echo "$1 > $2" | bc)" = 1 ]; }
alert() { echo "WARNING $*"; status=1; }
cores=$(nproc)
load=$(uptime | sed 's/.*load average: //' | cut -d, -f3 | tr -d ' ')
above "$(echo "scale=2; $load * 100 / $cores" | bc)" 200 && alert "load $load"
total=$(free -b | awk '/^Mem:/ {print $2}'); left=$(free -b | awk '/^Mem:/ {print $7}')
above 10 "$(echo "scale=2; $left * 100 / $total" | bc)" && alert "memory $left"
while read -r used mount; do above "${used%\%}" 85 && alert "disk $mount $used"; done \
  < <(df -P -x squashfs -x devtmpfs | awk 'NR > 1 {print $5, $6}')
while read -r used mount; do [ "$used" = - ] || above "${used%\%}" 90 && alert "inodes $mount $used"; done \
  < <(df -Pi -x squashfs -x devtmpfs | awk 'NR > 1 {print $5, $6}')
[ "$(nvidia-smi --query-gpu=count --format=csv,noheader | head -1)" = "$1" ] || alert "GPUs"
while IFS=', ' read -r index temp used all ecc throttle; do
  above "$temp" 85 && alert "GPU $index $temp C"
  above "$(echo "scale=2; $used * 100 / $all" | bc)" 99 && alert "GPU $index memory"
  [ "$ecc" = 0 ] || alert "GPU $index ECC"
  [ "$throttle" = "Not" ] || alert "GPU $index throttled"
done < <(nvidia-smi --query-gpu=index,temperature.gpu,memory.used,memory.total,ecc,throttle \
  --format=csv,noheader,nounits)
for unit in docker ssh; do [ "$(systemctl is-active $unit)" = active ] || alert "$unit"; done
exit $status
"""


def make_tools(folder: Path) -> Path:
    """The script, and what it calls that is not here, in a folder for PATH."""
    files = {"health.sh": SCRIPT}
    if shutil.which("systemctl") is None:
        files["systemctl"] = "#!/bin/sh\necho active\n"
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    driver.compiled(["-o", str(folder / "nvidia-smi"), str(Path(__file__).with_name("nvidia_smi.c")), "-ldl"])
    return folder / "health.sh"


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Seconds of wall and of CPU, and the peak of resident KiB, of one run with its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    null = subprocess.DEVNULL  # systemctl has something to say where there is no systemd
    # without a time limit: to wait with one means to look now and then, which rounds the wall time up to 50 ms
    code = subprocess.run(command, env=environment, stdout=null, stderr=null, check=False).returncode
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code > 2:
        raise SystemExit(f"{command[0]} exited {code}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, after.ru_maxrss


def peak_kib(command: list[str], environment: dict[str, str]) -> int:
    """The peak of resident KiB of one run in a process that had no other child."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *command], env=environment, capture_output=True, check=True)
    return int(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gpus", type=int, choices=(0, 8), default=8)
    options = parser.parse_args()
    for program in ("bash", "bc", "df", "free", "uptime"):
        if shutil.which(program) is None:
            raise SystemExit(f"no {program}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fake = driver.FakeNvml(driver.build(folder), folder)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": name}
        environment["MLTOP_STATE_DIR"] = str(folder / "state")
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed mltop has its bytecode
        script = [str(make_tools(folder)), str(options.gpus)]
        gpus = fake.env if options.gpus else {}
        runs = {
            "shell script": (script, {**environment, **gpus}),
            "mltop --check": ([sys.executable, "-m", "mltop", "--check"], {**environment, **gpus}),
        }
        taken: dict[str, list[tuple[float, float, int]]] = {tool: [] for tool in runs}
        for number in range(options.rounds + 1):
            for tool, (command, variables) in runs.items():
                took = measured(command, variables)
                if number:  # the first warms the caches
                    taken[tool].append(took)
        rows = {
            tool: (
                statistics.median(wall for wall, _, _ in taken[tool]),
                statistics.median(cpu for _, cpu, _ in taken[tool]),
                peak_kib(command, variables) / 1024,
            )
            for tool, (command, variables) in runs.items()
        }
    for tool, (wall_s, cpu_s, peak_mib) in rows.items():
        print(f"{tool:14} {wall_s * 1000:7.1f} ms wall  {cpu_s * 1000:7.1f} ms CPU  {peak_mib:6.1f} MiB peak")
    ours, theirs = rows["mltop --check"], rows["shell script"]
    print(f"ratio          {ours[0] / theirs[0]:7.2f}          {ours[1] / theirs[1]:7.2f}")


if __name__ == "__main__":
    main()
