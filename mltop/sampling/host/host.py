"""Everything that is read of the host, a tick at a time; no source that fails takes another one with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mltop.model.snapshot import Cpu, Disk, Memory, Network, Process, Processes
from mltop.sampling.host.cpu import CpuReading
from mltop.sampling.host.disk import DiskReading
from mltop.sampling.host.memory import MemoryReading
from mltop.sampling.host.network import NetworkReading
from mltop.sampling.host.proc_stat import is_first_pid_namespace
from mltop.sampling.host.process import ProcessTable
from mltop.sampling.host.selection import Selection
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.text import clean

__all__ = ["Host", "HostReadings", "Selection"]


class HostReadings(msgspec.Struct, frozen=True):
    """One tick of the host."""

    cpu: Cpu
    memory: Memory
    disks: tuple[Disk, ...]
    network: tuple[Network, ...]
    processes: Processes


class Host:
    """Reads the host. Single-threaded, never waits: what may hang is asked of `reader` and shown once it is there."""

    def __init__(self, roots: Roots, reader: Reader) -> None:
        self._roots = roots
        self._reader = reader
        self._cpu = CpuReading(roots, reader)
        self._memory = MemoryReading(roots)
        self._disks = DiskReading(roots, reader)
        self._network = NetworkReading(roots)
        self._processes = ProcessTable(roots, reader)
        self.name = _line(roots.proc / "sys" / "kernel" / "hostname") or clean(os.uname().nodename, 256)
        self.boot_id = _line(roots.proc / "sys" / "kernel" / "random" / "boot_id")
        self.is_first_pid_namespace = is_first_pid_namespace(roots)
        """Whether the driver's pids are the pids here (D16)."""

    def read(self, now: float, selection: Selection, gpu_pids: Mapping[int, tuple[int, ...]]) -> HostReadings:
        """Read all; `now` is `time.monotonic()`, `gpu_pids` are the GPUs of each pid that the driver lists.

        Outside the first pid namespace those pids are somebody else's, and are left alone.
        """
        self._reader.poll(now)
        readings = HostReadings(
            disks=self._disks.read(now),
            cpu=self._cpu.read(now),
            memory=self._memory.read(now),
            network=self._network.read(now),
            processes=self._processes.read(
                now, selection, gpu_pids if self.is_first_pid_namespace else {}, self.uptime_s()
            ),
        )
        self._reader.poll(now)
        return readings

    def describe(self, pid: int) -> Process | None:
        """A process of this pid namespace by the driver's pid; `None` where it is another's (D16, M23)."""
        return self._processes.describe(pid) if self.is_first_pid_namespace else None

    def container(self, pid: int) -> str | None:
        """The container of a process of this pid namespace, by its control groups."""
        return self._processes.container(pid) if self.is_first_pid_namespace else None

    def uptime_s(self) -> float | None:
        """Seconds since the boot."""
        try:
            return float(read_bytes(self._roots.proc / "uptime", 64).split()[0])
        except (OSError, ValueError, IndexError):
            return None


def _line(path: Path) -> str | None:
    try:
        return clean(read_bytes(path, 256).strip()) or None
    except OSError:
        return None
