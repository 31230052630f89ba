"""The backup engine beside the tools that people use: time, CPU and bytes, alternated on one source.

    python tests/bench/backup.py [--rounds 3] [--megabytes 700 | --source DIR] [--folder DIR] [--files 100000]

The source is made like a model tree: bf16 and fp32 weights, optimizer moments, quantised bytes, logs, small files.
The gate is the ratio in one run, not the seconds: of the wall's medians, and beside it of the CPU's, which a box that
has other work to do disturbs less. The memory of a backup must not grow with its files. Needs tar, gzip, zstd and
sha256sum.
"""

from __future__ import annotations

import argparse
import array
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB = 1 << 20
_BLOCKS = 8
"""Different blocks of a kind; they repeat farther apart than any compressor here looks back."""


def _floats(generator: random.Random, kind: str) -> bytes:
    gauss = generator.gauss
    if kind == "bf16":
        wide = array.array("f", [gauss(0, 0.02) for _ in range(MIB // 2)])
        return array.array("H", wide.tobytes())[1::2].tobytes()
    scale = 0.02 if kind == "fp32" else 1e-4
    return array.array("f", [gauss(0, scale) for _ in range(MIB // 4)]).tobytes()


def make_source(root: Path, megabytes: int) -> None:
    """Write a model tree of about `megabytes`."""
    generator = random.Random(1)
    kinds = {kind: [_floats(generator, kind) for _ in range(_BLOCKS)] for kind in ("bf16", "fp32", "adam")}
    shares = [
        ("llama/model-1.safetensors", "bf16", 45),
        ("vit/model.bin", "fp32", 18),
        ("llama/optimizer.bin", "adam", 17),
    ]
    for name, kind, percent in shares:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for index in range(megabytes * percent // 100):
                file.write(kinds[kind][index % _BLOCKS])
    with (root / "llama" / "q8.gguf").open("wb") as file:
        for _ in range(megabytes * 7 // 100):
            file.write(generator.randbytes(MIB))
    lines = [
        f"{step} INFO loss={generator.gauss(2, 0.3):.6f} tok/s={generator.randint(9000, 11000)}\n"
        for step in range(20000)
    ]
    for index in range(max(1, megabytes * 7 // 100)):
        path = root / "logs" / f"run{index}.log"
        path.parent.mkdir(exist_ok=True)
        generator.shuffle(lines)
        path.write_text("".join(lines))
    for index in range(4000):
        path = root / "small" / f"d{index % 80:02d}" / f"cfg{index}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str([generator.random() for _ in range(generator.randint(20, 700))]))


def measure(command: str | list[str]) -> tuple[float, float]:
    """Run a command; return wall and CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(command, shell=isinstance(command, str), check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


_CREATE = """
import resource, sys
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
from mltop.tasks.archive import fill
write, written = fill.Filling.write, []
def timed(self, at_work):
    began = cpu()
    try:
        return write(self, at_work)
    finally:
        written.append(cpu() - began)
fill.Filling.write = timed
from mltop.tasks.archive.backup import create
from mltop.tasks.archive.job import BackupJob
source, target, compression = sys.argv[1:4]
report = create(BackupJob(job="bench", sources=(source,), target=target, compression=compression, settle_s=0))
assert report.exit_code == 0, report
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with open(sys.argv[4], "a") as file:
    print(compression, report.scan_s + report.write_s, sum(written), peak, file=file)
"""
_VERIFY = """
import sys
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.verify import verify
from mltop.tasks.archive import shelf
from mltop.tasks.outcome import Control
with Target(sys.argv[1]) as target:
    newest = shelf.archives(target)[-1]
    assert verify(target, newest.id, Control(), int(sys.argv[2])).exit_code == 0
"""
_RESTORE = """
import sys
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive import shelf
with Target(sys.argv[1]) as target:
    newest = shelf.archives(target)[-1]
    report = restore(target, RestoreJob(archive_id=newest.id, to=sys.argv[2]))
    assert report.exit_code == 0, report
"""


def commands(source: Path, work: Path) -> dict[str, str | list[str]]:
    """Return what to run, in order; each may use what those before it made."""
    tree = f"-C {source.parent} {source.name}"
    out = work / "mltop"
    python = [sys.executable, "-c"]
    return {
        "tar -czf": f"tar -czf {work}/a.tar.gz {tree}",
        "tar -tzf": f"tar -tzf {work}/a.tar.gz",
        "tar -xzf": f"mkdir {work}/x1 && tar -xzf {work}/a.tar.gz -C {work}/x1",
        "tar | zstd -T0 -3": f"tar -I 'zstd -T0 -3' -cf {work}/a3.tar.zst {tree}",
        "tar | zstd -T0 -1": f"tar -I 'zstd -T0 -1' -cf {work}/a1.tar.zst {tree}",
        "sha256sum": f"find {source} -type f -print0 | xargs -0 sha256sum",
        "tar -I zstd -xf": f"mkdir {work}/x2 && tar -I zstd -xf {work}/a1.tar.zst -C {work}/x2",
        "mltop gzip": [*python, _CREATE, str(source), f"{out}-gz", "gzip", f"{work}/phases"],
        "mltop create": [*python, _CREATE, str(source), str(out), "zstd", f"{work}/phases"],
        "mltop unchanged": [*python, _CREATE, str(source), str(out), "zstd", f"{work}/phases"],
        "mltop verify 1": [*python, _VERIFY, str(out), "1"],
        "mltop verify 2": [*python, _VERIFY, str(out), "2"],
        "mltop restore": [*python, _RESTORE, str(out), f"{work}/x3"],
    }


def run(source: Path, folder: Path, rounds: int) -> tuple[dict[str, list[tuple[float, float]]], dict[str, int]]:
    """Run everything `rounds` times in turn; return the times, and the sizes of the last round."""
    times: dict[str, list[tuple[float, float]]] = {}
    sizes: dict[str, int] = {}
    for _ in range(rounds):
        work = folder / "work"
        work.mkdir()
        for name, command in commands(source, work).items():
            times.setdefault(name, []).append(measure(command))
        for line in (work / "phases").read_text().splitlines():
            compression, write, cpu, peak = line.split()
            if float(cpu):  # not the run that was skipped
                print(f"{compression}: written in {float(write):.2f} s, peak {float(peak):.0f} MiB", file=sys.stderr)
                times.setdefault(f"mltop write {compression}", []).append((float(write), float(cpu)))
        sizes = {each.name: each.stat().st_size for each in work.rglob("*.tar*") if each.is_file()}
        shutil.rmtree(work)
    return times, sizes


def report(times: dict[str, list[tuple[float, float]]], sizes: dict[str, int]) -> None:
    """Print medians, and each ratio with its gate."""
    wall = {name: statistics.median(each[0] for each in runs) for name, runs in times.items()}
    cpu = {name: statistics.median(each[1] for each in runs) for name, runs in times.items()}
    for name in wall:
        print(f"{name:20} {wall[name]:8.2f} s wall {cpu[name]:8.2f} s cpu")
    for name, size in sorted(sizes.items()):
        print(f"{name:45} {size:14,} bytes")
    print()
    gates: list[tuple[str, tuple[str, ...], float]] = [
        # what, beside what, the most
        ("mltop write zstd", ("tar -czf",), 1 / 25),
        ("mltop create", ("tar -czf", "tar -tzf"), 1 / 15),
        ("mltop write zstd", ("tar | zstd -T0 -3",), 0.95),
        ("mltop write gzip", ("tar -czf",), 1 / 15),
        ("mltop verify 2", ("tar -tzf",), 0.30),
        ("mltop verify 1", ("tar -tzf",), 0.12),
        ("mltop restore", ("tar -xzf",), 0.35),
        ("mltop restore", ("tar -I zstd -xf",), 1.5),
    ]
    for what, beside, gate in gates:
        ratio = wall[what] / sum(wall[each] for each in beside)
        of_cpu = cpu[what] / sum(cpu[each] for each in beside)
        name = f"{what} / {' + '.join(beside)}"
        print(f"{'ok  ' if ratio <= gate else 'MISS'} {name:44} {ratio:7.3f}  (gate {gate:.3f})  cpu {of_cpu:7.3f}")
    print(
        f"{'ok  ' if wall['mltop unchanged'] <= 0.5 else 'MISS'} unchanged {wall['mltop unchanged']:.2f} s  (gate 0.5)"
    )
    ratio = wall["mltop create"] / wall["tar | zstd -T0 -3"]
    print(f"     mltop create, with its read-back / tar | zstd -T0 -3: {ratio:.3f}")


def memory(folder: Path, files: int) -> None:
    """Print what a backup of many small files takes, and one of few."""
    for count in (1000, files):
        source = folder / f"small-{count}"
        for number in range(count // 100):
            below = source / f"d{number}"
            below.mkdir(parents=True)
            for each in range(100):
                (below / f"f{each}.json").write_bytes(b"x" * 200)
        log = folder / "phases"
        subprocess.run(
            [sys.executable, "-c", _CREATE, str(source), str(folder / f"out-{count}"), "zstd", str(log)], check=True
        )
        peak = float(log.read_text().split()[-1])
        print(f"{'ok  ' if peak <= 100 else 'MISS'} {count} files: peak {peak:.0f} MiB  (gate 100)")


def main() -> None:
    """Parse, make the source, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=700)
    parser.add_argument("--source", type=Path, help="a tree that is there already")
    parser.add_argument("--files", type=int, default=100_000, help="for the memory; 0: not")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.files:
            memory(Path(folder), options.files)
        source = options.source.resolve() if options.source else Path(folder, "models")
        if not options.source:
            make_source(source, options.megabytes)
        report(*run(source, Path(folder), options.rounds))


if __name__ == "__main__":
    main()
