"""The fake NVIDIA driver, for tests and for people: builds it, hands it scenarios, reads its call counts.

For people, from the repository's root (its clock starts with `env`; edit the file that it names to change the driver)::

    eval "$(python tests/fakes/driver.py env 8xh100-moving)"
    mltop
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "nvml"
SCENARIOS = SOURCE / "scenarios"
LIBRARY = "libnvidia-ml.so.1"
_HEADER = struct.Struct("=4I")
_MAGIC = 0x4C564D46

DGX_BUS_IDS = tuple(f"0000:{bus}:00.0" for bus in ("1b", "43", "52", "61", "9d", "c3", "d1", "df"))
"""The bus ids that `gpus = 8 h100` has, as sysfs writes them."""


class NoCompilerError(RuntimeError):
    """The machine has no C compiler."""


def build(directory: Path, hide: Sequence[str] = ()) -> Path:
    """Build the library in `directory` and return its path; the functions in `hide` are not exported at all.

    Raises `NoCompilerError` without a compiler and `subprocess.CalledProcessError` when it fails.
    """
    target = directory / LIBRARY
    options = ["-fPIC", "-shared", "-fvisibility=hidden"]
    if hide:
        script = directory / "exports.map"
        script.write_text(f"{{ global: nvml*; mltop_fake_nvml_check; local: {'; '.join(hide)}; *; }};\n")
        options.append(f"-Wl,--version-script={script}")
    sources = [str(SOURCE / name) for name in ("nvml.c", "call.c", "scenario.c")]
    compiled([*options, f"-Wl,-soname,{LIBRARY}", "-o", str(target), *sources, "-lm", "-lpthread"])
    return target


def compiled(arguments: Sequence[str]) -> None:
    """Run the C compiler. Raises `NoCompilerError`, and `subprocess.CalledProcessError` when it fails."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise NoCompilerError("no C compiler")
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


def scenario_names() -> list[str]:
    """The packaged scenarios."""
    return sorted(path.stem for path in SCENARIOS.glob("*.conf"))


def scenario_text(name: str) -> str:
    """The text of a packaged scenario, its `include = NAME` lines replaced by what they name."""
    lines = []
    for line in (SCENARIOS / f"{name}.conf").read_text().splitlines():
        key, _, value = line.partition("=")
        lines.append(scenario_text(value.strip()) if key.strip() == "include" else line)
    return "\n".join(lines) + "\n"


def replace_file(path: Path, text: str) -> None:
    """Write `text` to `path` at once: a reader sees the old file or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def read_calls(path: Path) -> Counter[tuple[str, int | None]]:
    """Calls begun since the last reset, by function and GPU (`None`: a call without one)."""
    return _read_counts(path, 0)


def read_calls_ended(path: Path) -> Counter[tuple[str, int | None]]:
    """Calls that returned; the difference to `read_calls` is stuck, or was killed."""
    return _read_counts(path, 1)


def _read_counts(path: Path, which: int) -> Counter[tuple[str, int | None]]:
    counts: Counter[tuple[str, int | None]] = Counter()
    data = path.read_bytes() if path.exists() else b""
    if len(data) < _HEADER.size:
        return counts
    magic, functions, columns, name_size = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        return counts
    row = struct.Struct(f"={columns}I")
    table = _HEADER.size + functions * name_size
    for number in range(functions):
        start = _HEADER.size + number * name_size
        name = data[start : start + name_size].split(b"\0")[0].decode()
        for column, count in enumerate(row.unpack_from(data, table + (2 * number + which) * row.size)):
            if count:
                counts[name, column - 1 if column else None] += count
    return counts


class FakeNvml:
    """One scenario file and its call counts, in a directory of its own."""

    def __init__(self, library: Path, directory: Path) -> None:
        self.library = library
        self.path = directory / "scenario.conf"
        self.calls_path = directory / "calls"
        self.scenario("8xh100")

    @property
    def env(self) -> dict[str, str]:
        """What a child needs in its environment to meet this driver."""
        return {
            "LD_LIBRARY_PATH": str(self.library.parent),
            "MLTOP_FAKE_NVML": str(self.path),
            "MLTOP_FAKE_NVML_CALLS": str(self.calls_path),
        }

    def scenario(self, name: str, pids: Iterable[int] = (), extra: str = "") -> None:
        """Play a packaged scenario; `pids` are its `@0`, `@1` ..., `extra` is text put after it."""
        known = " ".join(str(pid) for pid in pids)
        self.write((f"pids = {known}\n" if known else "") + scenario_text(name) + extra)

    def write(self, text: str) -> None:
        """Play this text from now on; raises `ValueError` with the line where it is wrong."""
        check = ctypes.CDLL(str(self.library)).mltop_fake_nvml_check
        check.restype = ctypes.c_char_p
        fault = check(text.encode())
        if fault:
            raise ValueError(fault.decode())
        replace_file(self.path, text)

    def calls(self) -> Counter[str]:
        """Calls begun by function, over all GPUs and processes; see `read_calls` for each GPU."""
        total: Counter[str] = Counter()
        for (name, _gpu), count in read_calls(self.calls_path).items():
            total[name] += count
        return total

    def reset_calls(self) -> None:
        """Set all counts to zero, also for processes that run."""
        if not self.calls_path.exists():
            return
        with self.calls_path.open("r+b") as file:
            data = file.read(_HEADER.size)
            if len(data) == _HEADER.size:
                _magic, functions, columns, name_size = _HEADER.unpack(data)
                file.seek(_HEADER.size + functions * name_size)
                file.write(bytes(functions * 2 * columns * 4))


def make_sysfs(root: Path, bus_ids: Iterable[str], driver: str = "nvidia", pci_class: str = "0x030200") -> Path:
    """Make `root` a sysfs whose PCI bus has these NVIDIA functions (`0000:1b:00.0`), bound to `driver`."""
    devices = root / "bus/pci/devices"
    devices.mkdir(parents=True, exist_ok=True)
    if driver:
        (root / "bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
    for bus_id in bus_ids:
        device = devices / bus_id.lower()
        device.mkdir()
        files = {"vendor": "0x10de", "device": "0x2330", "class": pci_class, "numa_node": "0", "enable": "1"}
        for name, text in files.items():
            (device / name).write_text(text + "\n")
        if driver:
            (device / "driver").symlink_to(f"../../drivers/{driver}")
    return root


def make_driver_version(procfs: Path, version: str) -> Path:
    """Write `driver/nvidia/version` under `procfs`, as the loaded kernel module does."""
    path = procfs / "driver/nvidia/version"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Feb 22 01:44:30 UTC 2024\n"
        "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
    )
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line for people."""
    parser = argparse.ArgumentParser(description="The fake NVIDIA driver.")
    commands = parser.add_subparsers(dest="command", required=True)
    build_parser = commands.add_parser("build", help="build the library in DIR")
    build_parser.add_argument("directory", type=Path)
    env_parser = commands.add_parser("env", help="print export lines that play SCENARIO")
    env_parser.add_argument("scenario", choices=scenario_names())
    env_parser.add_argument("--directory", type=Path, help="where to keep it (default: a new temporary directory)")
    env_parser.add_argument("--pids", type=int, nargs="*", default=[], help="what @0, @1 ... stand for")
    commands.add_parser("list", help="list the scenarios")
    calls_parser = commands.add_parser("calls", help="print the counts in FILE")
    calls_parser.add_argument("file", type=Path)
    chosen = parser.parse_args(arguments)
    if chosen.command == "build":
        chosen.directory.mkdir(parents=True, exist_ok=True)
        print(build(chosen.directory))
    elif chosen.command == "env":
        directory = chosen.directory or Path(tempfile.mkdtemp(prefix="fake-nvml-"))
        directory.mkdir(parents=True, exist_ok=True)
        fake = FakeNvml(build(directory), directory)
        fake.scenario(chosen.scenario, chosen.pids)
        for name, value in fake.env.items():
            print(f"export {name}={shlex.quote(value)}")
    elif chosen.command == "list":
        print("\n".join(scenario_names()))
    else:
        for (name, gpu), count in sorted(read_calls(chosen.file).items(), key=str):
            print(f"{count:8} {name} {'-' if gpu is None else gpu}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
