"""The driver's processes meet the box's: names, users and CPU time for the pids that NVML lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from mltop.model.snapshot import Gpu, GpuProcess, Process, Status

Describe = Callable[[int], Process | None]
Container = Callable[[int], str | None]


def gpu_pids(gpus: Iterable[Gpu]) -> Mapping[int, tuple[int, ...]]:
    """Which GPUs (by NVML's index) each pid holds; processes of a lost GPU count, they still hold it."""
    held: dict[int, tuple[int, ...]] = {}
    for gpu in gpus:
        if gpu.index is None:
            continue
        for process in gpu.processes:
            if process.pid is not None:
                held[process.pid] = (*held.get(process.pid, ()), gpu.index)
    return held


def joined(gpus: tuple[Gpu, ...], describe: Describe, container: Container) -> tuple[Gpu, ...]:
    """The same GPUs with their processes described; one that is not of this pid namespace is `absent` (M23)."""
    return tuple(
        msgspec.structs.replace(
            gpu, processes=tuple(_described(process, describe, container) for process in gpu.processes)
        )
        if gpu.processes
        else gpu
        for gpu in gpus
    )


def _described(listed: GpuProcess, describe: Describe, container: Container) -> GpuProcess:
    found = None if listed.pid is None else describe(listed.pid)
    if found is None:
        gone = listed.status if listed.status is Status.LOST else Status.ABSENT
        return msgspec.structs.replace(listed, status=gone)
    return msgspec.structs.replace(
        listed,
        name=found.name,
        command=found.command,
        user=found.user,
        container=container(found.pid),
        cpu_percent=found.cpu_percent,
        rss_bytes=found.rss_bytes,
        running_s=found.running_s,
        started_at=found.started_at,
    )
