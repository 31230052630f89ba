"""What a verdict reads of the host beside the snapshot: a reading a fact, in a child that can be abandoned.

A fact is read where one of its checks is to be made, by a module that only the child imports; each fails by itself.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from mltop.model import host_facts as model
from mltop.model.host_facts import HostFacts, SharedMemory
from mltop.model.snapshot import Gpu, Reading, Status
from mltop.sampling.gpu.pci import is_container
from mltop.sampling.host.stuck_mount import call_reader
from mltop.sampling.reader import Answer, Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import why_not
from mltop.system.text import clean

PATIENCE_S = 2.0
"""A fact that takes longer is not told; smartctl and journalctl have their own deadlines."""
SLOW_S = 4.5
_SLOW = frozenset({"smart", "kernel_log"})
_FACT, _SHARED = "fact", "shared-memory"
_MOST_STUCK = 16
_MOST_CONTAINERS = 64
_FAULTS = (OSError, ValueError, LookupError, TypeError, ArithmeticError, msgspec.MsgspecError)


class _Source(msgspec.Struct, frozen=True):
    kind: type[Reading]
    module: str
    """Of `mltop.sampling.host`."""
    function: str
    what: str
    """In words, for why there is nothing."""
    checks: frozenset[str]
    arguments: tuple[str, ...] = ()


def _source(kind: type[Reading], place: str, what: str, checks: str, *arguments: str) -> _Source:
    module, _, function = place.partition(":")
    return _Source(kind, module, function, what, frozenset(checks.split()), arguments)


SOURCES: Mapping[str, _Source] = {
    "cpu_stall": _source(model.Stall, "pressure:read_stall", "/proc/pressure/cpu", "cpu.psi", "cpu"),
    "memory_stall": _source(model.Stall, "pressure:read_stall", "/proc/pressure/memory", "mem.psi", "memory"),
    "io_stall": _source(model.Stall, "pressure:read_stall", "/proc/pressure/io", "io.psi", "io"),
    "oom": _source(model.OomKills, "hardware:read_oom_kills", "the count of OOM kills", "mem.oom"),
    "memory_group": _source(model.MemoryGroup, "cgroup:read_memory_group", "the control group", "mem.available"),
    "swapping": _source(model.Swapping, "hardware:read_swapping", "/proc/vmstat", "mem.swap"),
    "edac": _source(model.Edac, "hardware:read_edac", "the memory controllers", "mem.edac"),
    "handles": _source(model.Handles, "task:read_handles", "/proc/sys/fs/file-nr", "proc.fds"),
    "pids": _source(model.Pids, "task:read_pids", "the number of threads", "proc.pids"),
    "mount_table": _source(
        model.MountTable,
        "mount_table:read_mount_table",
        "fstab and mountinfo",
        "disk.mount_missing disk.readonly disk.kernel_errors",
    ),
    "tasks": _source(model.Tasks, "task:read_tasks", "/proc", "proc.dstate proc.zombie time.sync"),
    "clock": _source(model.Clock, "clock:read_clock", "the state of the clock", "time.sync"),
    "thermal": _source(model.Thermal, "hardware:read_thermal", "the processors' sensors", "cpu.thermal"),
    "links": _source(model.Links, "link:read_links", "the network cards", "net.link"),
    "kernel_log": _source(
        model.KernelEvents,
        "kernel_log:read_kernel_log",
        "the kernel log",
        "disk.kernel_errors disk.readonly mem.oom mem.edac gpu.xid",
    ),
    "smart": _source(model.Smart, "smart:read_smart", "the drives' health", "disk.smart"),
}
"""In the order in which they are read: what cannot hang first, what asks other programs last."""


def wanted(checks: Collection[str]) -> list[str]:
    """The facts that these checks need."""
    return [name for name, source in SOURCES.items() if not source.checks.isdisjoint(checks)]


def item(name: str) -> bytes:
    """What a reader of a fact is called by (`stuck_mount`)."""
    return f"fact {name}".encode()


class FactReading:
    """Asks a reader for the facts that some checks need; never waits."""

    def __init__(
        self, roots: Roots, reader: Reader, checks: Collection[str], now: float, stuck: Mapping[bytes, int]
    ) -> None:
        """`stuck`: facts (as `item` names them) at which a reader of an earlier run hangs still, and its pid."""
        self._roots = roots
        self._reader = reader
        self._asked_at = now
        self._containers_at = now
        self._wants_containers = "disk.shm" in checks
        reader.learn(_FACT, lambda name: _read(roots, name), most_stuck=_MOST_STUCK)
        reader.learn(_SHARED, lambda pid: _read_shared(roots, pid), most_stuck=_MOST_STUCK)
        self._pending: set[str] = set()
        self._pids: set[int] = set()
        self._facts: dict[str, Reading] = {}
        self._shared: dict[str, SharedMemory] = {}
        for name in wanted(checks):
            if (pid := stuck.get(item(name))) is not None:
                reason = f"{SOURCES[name].what}: no answer since an earlier run (pid {pid} is stuck at it)"
                self._facts[name] = SOURCES[name].kind(status=Status.TIMEOUT, reason=reason)
            else:
                self._pending.add(name)
                reader.ask(_FACT, name)

    def ask_for_containers(self, gpus: Iterable[Gpu], now: float) -> None:
        """Ask for the shared memory of the containers in which a process holds a GPU, where the box's pids are known.

        Only root may look into another's.
        """
        if not self._wants_containers or os.geteuid() != 0 or is_container(self._roots):
            return  # in a container the driver's pids are other processes' (D16)
        self._wants_containers, self._containers_at = False, now
        one_of_each: dict[str, int] = {}
        for gpu in gpus:
            for process in gpu.processes:
                if process.pid is not None and process.status is Status.OK:
                    one_of_each.setdefault(process.container or f"pid {process.pid}", process.pid)
        for pid in list(one_of_each.values())[:_MOST_CONTAINERS]:
            self._pids.add(pid)
            self._reader.ask(_SHARED, pid)

    def poll(self) -> None:
        """Take what has come."""
        for name, answer in self._reader.take(_FACT).items():
            if isinstance(name, str):
                self._pending.discard(name)
                self._facts[name] = _fact(name, answer)
        for pid, answer in self._reader.take(_SHARED).items():
            if isinstance(pid, int):
                self._pids.discard(pid)
                self._take_shared(pid, answer)

    def left_s(self, now: float) -> float:
        """How long something may still come, in seconds; 0 when all is there."""
        waited_s = now - self._asked_at
        left_s = 0.0
        if self._pending:
            left_s = (SLOW_S if self._pending & _SLOW else PATIENCE_S) - waited_s
        if self._pids:
            left_s = max(left_s, PATIENCE_S - (now - self._containers_at))
        return max(0.0, left_s)

    def facts(self, now: float) -> HostFacts:
        """What there is; what has not come in time says so."""
        late = f"no answer in {now - self._asked_at:.1f} s"
        for name in self._pending:
            source = SOURCES[name]
            self._facts[name] = source.kind(status=Status.TIMEOUT, reason=f"{source.what}: {late}")
        for pid in self._pids:
            self._shared[f"pid {pid}"] = SharedMemory(
                status=Status.TIMEOUT, reason=late, container=f"pid {pid}", pid=pid
            )
        values: dict[str, Any] = dict(self._facts)
        return HostFacts(**values, shared_memory=tuple(self._shared.values()))

    def _take_shared(self, pid: int, answer: Answer) -> None:
        """Of several processes of one container the first; what is gone or refused has nothing to tell."""
        if answer.error is not None:
            return
        try:
            found = msgspec.convert(answer.value, SharedMemory)
        except msgspec.ValidationError:
            return
        if found.status is Status.OK:
            self._shared.setdefault(found.container, found)


def _read(roots: Roots, name: str) -> Reading:
    """For the child: the fact, or why there is none."""
    source = SOURCES[name]
    call_reader(item(name))
    try:
        function: Callable[..., Reading] = getattr(
            importlib.import_module(f"mltop.sampling.host.{source.module}"), source.function
        )
        return function(roots, *source.arguments)
    except _FAULTS as fault:
        status, reason = why_not(fault, source.what)
        return source.kind(status=status, reason=clean(reason, 200))


def _read_shared(roots: Roots, pid: int) -> SharedMemory:
    from mltop.sampling.host.shared_memory import read_shared_memory

    call_reader(f"shared memory {pid}".encode())
    return read_shared_memory(roots, pid)


def _fact(name: str, answer: Answer) -> Reading:
    """What came over the pipe, by its type."""
    source = SOURCES[name]
    if answer.error is not None:
        return source.kind(status=Status.ERROR, reason=f"{source.what}: {answer.error}")
    try:
        return msgspec.convert(answer.value, source.kind)
    except msgspec.ValidationError as fault:
        return source.kind(status=Status.ERROR, reason=clean(f"cannot make sense of {source.what}: {fault}", 200))
