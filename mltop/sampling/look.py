"""One look at the box for a verdict: reads only what is asked for, once, and ends by a deadline whatever hangs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mltop import __version__
from mltop.model.snapshot import Cpu, Disk, Driver, Gpu, Memory, Snapshot, Status
from mltop.model.surroundings import NOT_IN_TIME, Gap, Surroundings
from mltop.sampling.gpu.answer import Answer
from mltop.sampling.gpu.owner import GpuProbe, GpuReadings
from mltop.sampling.gpu.patience import one_look
from mltop.sampling.gpu.pci import is_container
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.sampling.host.cpu import CpuReading
    from mltop.sampling.host.facts import FactReading
    from mltop.sampling.host.memory import MemoryReading

DRIVER_S = 8.0
"""How long a driver may take for one round: a card without persistence mode needs seconds to start."""
MOUNT_S = 2.0
"""A mount that takes longer than this does not answer: node_exporter and gpud have 5 s, and repeat."""
_LAST_S = 0.3
"""Kept back of a run's time for judging and printing."""
_OF_MOUNTS = frozenset({
    "disk.space", "disk.inodes", "disk.eta", "disk.shm", "disk.readonly", "disk.mount_stuck", "disk.mount_missing",
})  # fmt: skip
"""The checks of its family for which every mount is asked."""
_DEVICES = "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg"


class Other(Protocol):
    """Something else that is asked at the same time."""

    def filenos(self) -> list[int]: ...  # noqa: D102
    def is_done(self) -> bool: ...  # noqa: D102
    def poll(self) -> None: ...  # noqa: D102


class Look:
    """Reads the families `gpu`, `disk`, `memory` and `cpu`, those of them that are wanted. Single-threaded."""

    def __init__(
        self,
        roots: Roots,
        families: Collection[str],
        expected_gpus: int | None,
        limit_s: float,
        checks: Collection[str] = frozenset(),
    ) -> None:
        """`checks` are those for which more is read than the snapshot has."""
        self._roots = roots
        self._started = time.monotonic()
        self._limit_s = max(0.05, limit_s - _LAST_S)
        self._reader = Reader()
        self._probe: GpuProbe | None = None
        self._driver_s: float | None = None
        self._driven: GpuReadings | None = None
        """Once it is whole: it does not age while slower things are waited for."""
        self._families = families
        self._memory = self._ask_memory()
        self._cpu = self._ask_cpu()  # all that the reader's child has to know it has to know before it is forked
        self._stuck: frozenset[str] = frozenset()
        self._disks = None
        self._waits_for_mounts = False
        if "disk" in families and (not checks or not _OF_MOUNTS.isdisjoint(checks)):
            from mltop.sampling.host.disk import DiskReading
            from mltop.sampling.host.stuck_mount import read_space_by_name

            self._disks = DiskReading(roots, self._reader, read_space_by_name, self._find_stuck)
            self._disks.read(time.monotonic())
            self._waits_for_mounts = True
        self._facts = self._ask_facts(checks)
        if "gpu" in families:  # right before the reader: with both at once each page of this process is copied once
            patience = one_look(min(DRIVER_S, self._limit_s))
            self._probe = GpuProbe(roots, expected_gpus, patience, for_verdict=True)
            self._probe.request(time.monotonic())
        self._reader.poll(time.monotonic())

    def take(self, other: Other) -> tuple[Snapshot, Surroundings]:
        """Read everything; waits for what is slow, and for `other`, as long as each of them may take."""
        memory = Memory() if self._memory is None else self._memory.read(time.monotonic())
        disks = self._wait(other)
        driver, gpus = Driver(), tuple[Gpu, ...]()
        if self._probe is not None:
            driven = self._driven or self._probe.read(time.monotonic(), is_last=True)
            driver, gpus = driven.driver, driven.gpus
        snapshot = Snapshot(
            host=self._line("sys/kernel/hostname") or clean(os.uname().nodename, 256),
            boot_id=self._line("sys/kernel/random/boot_id"),
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            uptime_s=self._uptime_s(),
            version=__version__,
            cpu=Cpu() if self._cpu is None else self._cpu.read(time.monotonic()),
            memory=memory,
            disks=disks,
            driver=driver,
            gpus=gpus,
        )
        return snapshot, self._surroundings()

    def close(self) -> None:
        """End the children; waits for none that is stuck."""
        if self._probe is not None:
            self._probe.close()
        self._reader.close()

    def _ask_cpu(self) -> CpuReading | None:
        if "cpu" not in self._families:
            return None
        from mltop.sampling.host.cpu import CpuReading

        reading = CpuReading(self._roots, self._reader)
        reading.ask(time.monotonic())
        return reading

    def _ask_memory(self) -> MemoryReading | None:
        if "memory" not in self._families:
            return None
        from mltop.sampling.host.memory import MemoryReading

        return MemoryReading(self._roots)

    def _wait(self, other: Other) -> tuple[Disk, ...]:
        """Poll until all is there or its time is up: a mount's 2 s, the driver's 8, the run's own."""
        import select

        disks: tuple[Disk, ...] = ()
        while True:
            now = time.monotonic()
            if self._probe is not None:
                self._probe.poll(now)
                self._follow(self._probe, now)
            self._reader.poll(now)
            if self._disks is not None and self._waits_for_mounts:
                self._waits_for_mounts = self._disks.is_waiting(now)
                if not self._waits_for_mounts:
                    disks = self._disks.read(now)  # now: it does not age while others are waited for
            self._facts.poll()
            self._reader.hand_out(now)  # what was asked for since: nothing would wake this loop for it
            other.poll()
            left = self._left_s(other, now)
            if left <= 0:
                return self._disks.read(now) if self._disks is not None and self._waits_for_mounts else disks
            poller = select.poll()
            for fd in (*self._reader.filenos(), *(self._probe.filenos() if self._probe else ()), *other.filenos()):
                poller.register(fd, select.POLLIN)
            due = self._reader.due_s(now)
            step = left if due is None else min(left, due)
            if self._probe is not None and self._driver_s is None:
                step = min(step, self._probe_due_s(self._probe, now))
            poller.poll(1000 * max(0.001, step))

    def _probe_due_s(self, probe: GpuProbe, now: float) -> float:
        """When to look after it though it says nothing: a call is overdue, or another one is started."""
        wake_at = probe.wake_at(now)
        return math.inf if wake_at is None else wake_at - now

    def _follow(self, probe: GpuProbe, now: float) -> None:
        """Ask on until every fact of every GPU was asked: a round of a slow driver ends before."""
        if self._driver_s is None and probe.is_fresh():
            if not probe.is_whole():
                probe.request(now)
            else:
                self._driver_s = now - self._started
                self._driven = probe.read(now)
                self._facts.ask_for_containers(self._driven.gpus, now)

    def _left_s(self, other: Other, now: float) -> float:
        """How long there is still something to wait for, in seconds."""
        run = self._limit_s - (now - self._started)
        mounts = MOUNT_S - (now - self._started)
        wanted = self._facts.left_s(now)
        if self._waits_for_mounts:
            wanted = max(wanted, mounts)
        if self._probe is not None and self._driver_s is None and self._probe.is_waited_for(now):
            wanted = max(wanted, DRIVER_S - (now - self._started))
        if not other.is_done():
            wanted = run
        return min(run, wanted)

    def _ask_facts(self, checks: Collection[str]) -> FactReading:
        from mltop.sampling.host.facts import FactReading, item, wanted
        from mltop.sampling.host.stuck_mount import stuck_readers

        names = [item(name) for name in wanted(checks)]
        stuck = stuck_readers(self._roots, names) if names else {}
        return FactReading(self._roots, self._reader, checks, time.monotonic(), stuck)

    def _surroundings(self) -> Surroundings:
        host = self._facts.facts(time.monotonic())
        return Surroundings(
            mounts=self._mounts() if "disk" in self._families else None,
            stuck_before=self._stuck,
            is_container=is_container(self._roots),
            has_device_nodes=any(os.path.exists(path) for path in _DEVICES),  # noqa: PTH110
            kernel_log=None if host.kernel_log is None else host.kernel_log.reason,
            host=host,
            driver_s=self._driver_s,
            waited_s=time.monotonic() - self._started,
            gaps={} if self._probe is None else {gpu: _gaps(gaps) for gpu, gaps in self._probe.gaps().items()},
            gpus={} if self._probe is None else self._probe.facts(),
        )

    def _find_stuck(self, paths: list[bytes]) -> Mapping[bytes, int]:
        from mltop.sampling.host.stuck_mount import stuck_readers

        found = stuck_readers(self._roots, paths)
        self._stuck = frozenset(clean(path) for path in found)
        return found

    def _mounts(self) -> frozenset[str] | None:
        from mltop.sampling.host.mount import parse

        try:
            mounts = parse(read_bytes(self._roots.proc / "self" / "mountinfo"))
        except OSError:
            return None
        if not mounts:  # no such table
            return None
        return frozenset(clean(os.fsencode(mount.path)) for mount in mounts)

    def _line(self, path: str) -> str | None:
        try:
            return clean(read_bytes(self._roots.proc / path, 256).strip()) or None
        except OSError:
            return None

    def _uptime_s(self) -> float | None:
        try:
            return float(read_bytes(self._roots.proc / "uptime", 64).split()[0])
        except (OSError, ValueError, IndexError):
            return None


def _gaps(gaps: Mapping[str, Answer | None]) -> dict[str, Gap]:
    return {
        fact: Gap(Status.TIMEOUT, NOT_IN_TIME) if answer is None else Gap(answer.status, answer.reason or "")
        for fact, answer in gaps.items()
    }
