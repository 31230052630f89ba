"""The sampler: host readings and GPU readings joined into snapshots, on one thread that waits for nobody."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from mltop import __version__
from mltop.model.request import Request
from mltop.model.snapshot import Snapshot
from mltop.sampling.gpu.join import gpu_pids, joined
from mltop.sampling.gpu.owner import GpuProbe
from mltop.sampling.gpu.patience import Patience
from mltop.sampling.host.host import Host, Selection
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots
from mltop.system.process import reap_children

ONCE_GAP_S = 0.25
"""Between the two host readings of `--once` (D8)."""
DRIVER_PATIENCE_S = 3.0
"""How long the first snapshot of a script waits for the driver; M8 calls it not answering from then on."""


class Sampler:
    """Reads one box. Not thread-safe; owns a GPU probe and a reader, both of which it can abandon."""

    def __init__(self, roots: Roots, *, expected_gpus: int | None = None, patience: Patience | None = None) -> None:
        """`patience` is that with the GPU driver, where it is not a dashboard's."""
        self._reader = Reader()
        self._host = Host(roots, self._reader)
        self._probe = GpuProbe(roots, expected_gpus, patience)
        self.interval_s: float | None = None
        self.selection = Selection()
        self.wants_pcie = False

    def begin(self) -> None:
        """Ask the driver for new values; `is_ready` says when they are there."""
        self._probe.request(time.monotonic(), self.wants_pcie)

    def is_ready(self) -> bool:
        """Whether the driver has answered the last `begin` whole."""
        return self._probe.is_fresh()

    def is_settled(self) -> bool:
        """Whether every mount and every name asked for has answered or counts as stuck."""
        return self._reader.is_idle()

    def filenos(self) -> list[int]:
        """What to wait for before `poll`."""
        return [*self._probe.filenos(), *self._reader.filenos()]

    def due_s(self) -> float:
        """Seconds until a poll is due though nothing can be read (something does not answer); infinity for never."""
        now = time.monotonic()
        wake_at = self._probe.wake_at(now)
        reader = self._reader.due_s(now)
        return min(math.inf if reader is None else reader, math.inf if wake_at is None else wake_at - now)

    def is_silent(self) -> bool:
        """Whether the driver counts as not answering."""
        return self._probe.is_silent(time.monotonic())

    def poll(self) -> None:
        """Take what the probe and the readers have said, without waiting."""
        now = time.monotonic()
        self._probe.poll(now)
        self._reader.poll(now)

    def wait(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for the probe or a reader, then poll."""
        poller = select.poll()
        for fd in self.filenos():
            poller.register(fd, select.POLLIN)
        poller.poll(max(0.0, min(timeout_s, self.due_s())) * 1000)
        self.poll()

    def snapshot(self) -> Snapshot:
        """Read the host now, take the driver's last answer, and join them."""
        now = time.monotonic()
        driven = self._probe.read(now)
        pids: Mapping[int, tuple[int, ...]] = gpu_pids(driven.gpus)
        host = self._host.read(now, self.selection, pids)
        return Snapshot(
            host=self._host.name,
            boot_id=self._host.boot_id,
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            interval_s=self.interval_s,
            uptime_s=self._host.uptime_s(),
            version=__version__,
            cpu=host.cpu,
            memory=host.memory,
            disks=host.disks,
            driver=driven.driver,
            gpus=joined(driven.gpus, self._host.describe, self._host.container),
            processes=host.processes,
            network=host.network,
        )

    def apply(self, request: Request) -> None:
        """Take over what the request names of what is sampled; pacing is the stream's."""
        if request.pcie is not msgspec.UNSET:
            self.wants_pcie = request.pcie
        changed = {
            name: value
            for name, value in (
                ("filter", request.filter),
                ("sort", request.sort),
                ("invert", request.invert),
                ("limit", request.limit),
            )
            if value is not msgspec.UNSET
        }
        if changed:
            self.selection = msgspec.structs.replace(self.selection, **changed)

    def close(self) -> None:
        """End the probe and the readers, as the last act of a process; waits for none that is stuck."""
        self._probe.close()
        self._reader.close()
        reap_children()


def once(sampler: Sampler, patience_s: float = DRIVER_PATIENCE_S) -> Snapshot:
    """One whole snapshot: two host readings `ONCE_GAP_S` apart, and every answer that comes within `patience_s`."""
    started = time.monotonic()
    sampler.begin()
    sampler.snapshot()
    while (waited := time.monotonic() - started) < patience_s:
        if waited >= ONCE_GAP_S and sampler.is_ready() and sampler.is_settled():
            break
        sampler.wait((ONCE_GAP_S if waited < ONCE_GAP_S else patience_s) - waited)
    return sampler.snapshot()
