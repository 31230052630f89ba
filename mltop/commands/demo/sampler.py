"""What paces the demo's box: the same stream as a real one, over a sampler that reads nothing."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mltop.commands.demo.box import snapshot
from mltop.model.request import Request
from mltop.model.snapshot import Process, Snapshot

_ORDERS: dict[str, Callable[[Process], Any]] = {
    "gpu": lambda one: (one.gpus or (1 << 30,), -(one.cpu_percent or 0.0)),
    "cpu": lambda one: -(one.cpu_percent or 0.0),
    "memory": lambda one: -(one.rss_bytes or 0),
    "pid": lambda one: one.pid,
    "user": lambda one: (one.user, -(one.cpu_percent or 0.0)),
    "time": lambda one: -(one.running_s or 0.0),
    "command": lambda one: (one.command or "").casefold(),
}


class DemoSampler:
    """Answers like `sampling.sampler.Sampler`, at once and always."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        """The demo's files, which go when it ends."""
        self.interval_s: float | None = None
        self._filter = ""
        self._sort = "gpu"
        self._is_inverted = False

    def begin(self) -> None:
        """There is nobody to ask."""

    def poll(self) -> None:
        """There is nobody to hear."""

    def is_ready(self) -> bool:
        """It always is."""
        return True

    def is_silent(self) -> bool:
        """It never is."""
        return False

    def filenos(self) -> list[int]:
        """Nothing to wait for."""
        return []

    def due_s(self) -> float:
        """Never due."""
        return math.inf

    def snapshot(self) -> Snapshot:
        """The box now, with the processes that were asked for."""
        now = snapshot(time.time(), interval_s=self.interval_s)
        wanted = self._filter.removeprefix("!").strip().casefold()
        chosen = [one for one in now.processes.top if not wanted or _holds(one, wanted) != self._filter.startswith("!")]
        chosen.sort(key=_ORDERS.get(self._sort, _ORDERS["gpu"]), reverse=self._is_inverted)
        return msgspec.structs.replace(now, processes=msgspec.structs.replace(now.processes, top=tuple(chosen)))

    def apply(self, request: Request) -> None:
        """Which processes, in which order."""
        if request.filter is not msgspec.UNSET:
            self._filter = request.filter
        if request.sort is not msgspec.UNSET:
            self._sort = request.sort
        if request.invert is not msgspec.UNSET:
            self._is_inverted = request.invert

    def close(self) -> None:
        """Leave nothing behind."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _holds(one: Process, wanted: str) -> bool:
    return wanted in f"{one.pid} {one.user} {one.name} {one.command}".casefold()
