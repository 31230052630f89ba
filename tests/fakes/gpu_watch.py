"""Watches a `GpuProbe` that runs in a process of its own, where the fake driver is in LD_LIBRARY_PATH."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from mltop.model.snapshot import Driver, Gpu

SCRIPT = Path(__file__).with_name("gpu_probe_script.py")
REPOSITORY = SCRIPT.parents[2]
SHOWN_TIMEOUT_S = 20.0


class Readings(msgspec.Struct):
    """One tick of the script."""

    fresh: bool
    took: float
    driver: Driver
    gpus: list[Gpu]
    modules: bool


class Watch:
    """The script's process; `until` reads ticks until one is as wanted."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "MLTOP_KMSG": os.devnull, **environment},
        )
        self._decoder = msgspec.json.Decoder(Readings)
        self._pending = b""

    def until(self, wanted: Callable[[Readings], bool], what: str = "") -> Readings:
        """The first tick that is as wanted; fails with the last one where none comes in time."""
        deadline = time.monotonic() + SHOWN_TIMEOUT_S
        last: Readings | None = None
        while time.monotonic() < deadline:
            last = self._next(deadline)
            assert last.took < 1, "reading blocked"  # what hangs does so for longer
            if wanted(last):
                return last
        raise AssertionError(f"never {what}: {last}")

    def whole(self) -> Readings:
        """The first tick with a whole answer."""
        return self.until(lambda readings: readings.fresh, "fresh")

    def _next(self, deadline: float) -> Readings:
        stdout = self.process.stdout
        assert stdout is not None
        while b"\n" not in self._pending:
            assert select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0], "the script is silent"
            chunk = os.read(stdout.fileno(), 1 << 16)
            assert chunk, "the script ended"
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return self._decoder.decode(line)

    def probes(self) -> dict[int, str]:
        """Its probes: pid and state."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    line = (entry / "stat").read_text()
                except OSError:
                    continue
                head, _, fields = line.rpartition(") ")
                if head.endswith("(mltop-probe") and fields.split()[1] == str(self.process.pid):
                    found[int(entry.name)] = fields.split()[0]
        return found

    def close(self) -> float:
        """Close the script's input; how long it took to end, in seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        started = time.monotonic()
        self.process.stdin.close()
        try:
            while self.process.poll() is None and time.monotonic() < started + 10:
                if select.select([self.process.stdout], [], [], 0.02)[0]:  # a line that nobody reads may fill the pipe
                    os.read(self.process.stdout.fileno(), 1 << 16)
            self.process.wait(0)
        finally:
            self.process.kill()
            self.process.wait(10)
            self.process.stdout.close()
        return time.monotonic() - started
