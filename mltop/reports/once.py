"""The text of `--once`: one snapshot in ASCII, 80 columns, each line's first word a fixed label to grep for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Disk, Gpu, GpuProcess, Process, Reading, Snapshot, Status
from mltop.reports.plain import UNKNOWN, WIDTH, cut, number, part, rate, size, span, wrapped

TOP = 10
"""Processes that are listed."""
FOREIGN_TOP = 4
"""Processes of other containers that are listed of each GPU."""
_NO_STATE = frozenset({"gpu-idle", "app-clocks", "display-clocks", "sync-boost"})
"""Clock-event reasons that are the usual course."""
_WORDS = {
    Status.NO_PERMISSION: "not permitted",
    Status.UNSUPPORTED: "not supported",
    Status.TIMEOUT: "no answer",
}


def text(snapshot: Snapshot, findings: Sequence[Finding]) -> str:
    """The whole text, ending with a newline."""
    lines = [
        *_host(snapshot),
        *_health(findings),
        *_cpu(snapshot),
        *_memory(snapshot),
        *(line for disk in snapshot.disks for line in _disk(disk)),
        *_network(snapshot),
        *_driver(snapshot),
        *(line for gpu in snapshot.gpus for line in _gpu(gpu, len(_names(snapshot)) > 1)),
        *_processes(snapshot),
    ]
    return "".join(f"{line}\n" for line in lines)


def _host(snapshot: Snapshot) -> Iterator[str]:
    time = snapshot.time[:19].replace("T", " ") + "Z" if snapshot.time else UNKNOWN
    yield cut(f"host {snapshot.host or UNKNOWN} up {span(snapshot.uptime_s)} at {time} mltop {snapshot.version}")


def _health(findings: Sequence[Finding]) -> Iterator[str]:
    counts = Counter(one.level for one in findings)
    worst = max(counts, default=Level.OK)
    told = ", ".join(f"{counts[level]} {level.name.lower()}" for level in sorted(counts, reverse=True))
    yield f"health {worst.name}{' ' + told if told else ''}"
    for one in findings:
        yield from wrapped(f"alert {one.level.name}", f"{one.target_name}: {one.summary}")
        if one.action:
            yield from wrapped("action", f"{one.target_name}: {one.action}")


def _cpu(snapshot: Snapshot) -> Iterator[str]:
    cpu = snapshot.cpu
    if cpu.count is None and cpu.usage_percent is None and cpu.status is not Status.OK:
        yield from _unread("cpu", cpu)
        return
    load = " ".join(f"{one:.2f}" for one in cpu.load) or UNKNOWN
    heat = f" temp {number(cpu.temperature_c, 'C')}" if cpu.temperature_c is not None else ""
    slow = " slowed-by-heat" if cpu.throttled else ""
    yield cut(
        f"cpu {number(cpu.usage_percent, '%', 1)} of {number(cpu.count)} CPUs load {load}"
        f" iowait {number(cpu.iowait_percent, '%', 1)} psi {number(cpu.psi_some_avg10, '%', 1)}{heat}{slow}{_old(cpu)}"
    )


def _memory(snapshot: Snapshot) -> Iterator[str]:
    memory = snapshot.memory
    if memory.total_bytes is None and memory.status is not Status.OK:
        yield from _unread("memory", memory)
        return
    limit = f" limit {size(memory.limit_bytes)}" if memory.limit_bytes is not None else ""
    yield cut(
        f"memory {part(memory.used_bytes, memory.total_bytes)} {_share(memory.used_bytes, memory.total_bytes)}"
        f" available {size(memory.available_bytes)} psi {number(memory.psi_some_avg10, '%', 1)}{limit}{_old(memory)}"
    )
    if memory.swap_total_bytes == 0:
        yield "swap none"
    else:
        used, total = memory.swap_used_bytes, memory.swap_total_bytes
        yield cut(f"swap {part(used, total)} {_share(used, total)}{_old(memory)}")


def _disk(disk: Disk) -> Iterator[str]:
    label = f"disk {disk.mount}"
    if disk.total_bytes is None:
        yield from _unread(label, disk)
        return
    inodes = f" inodes {disk.inodes_used_percent:.0f}%" if (disk.inodes_used_percent or 0) >= 80 else ""
    flags = " read-only" if disk.is_readonly else ""
    numbers = (
        f"{number(disk.used_percent, '%')} {part(disk.used_bytes, disk.total_bytes)}"
        f" free {size(disk.available_bytes)}{inodes}{flags}{_old(disk)}"
    )
    yield cut(f"{label[: max(WIDTH - len(numbers) - 1, 12)]} {numbers}")


def _network(snapshot: Snapshot) -> Iterator[str]:
    for one in snapshot.network:
        received, sent = rate(one.receive_bytes_per_s), rate(one.transmit_bytes_per_s)
        yield cut(f"net {one.interface} receive {received} transmit {sent}{_old(one)}")


def _driver(snapshot: Snapshot) -> Iterator[str]:
    driver = snapshot.driver
    if driver.status is Status.ABSENT:
        yield from wrapped("driver none", driver.reason or "no NVIDIA GPU on this box")
        return
    names = _names(snapshot)
    name = f" {names[0]}" if len(names) == 1 else ""
    yield cut(
        f"driver {_status(driver.status)} version {driver.version or UNKNOWN} cuda {driver.cuda_version or UNKNOWN}"
        f" GPUs {number(driver.gpu_count)}{name}"
    )
    if driver.reason:
        yield from wrapped("driver reason", driver.reason)


def _gpu(gpu: Gpu, is_mixed: bool) -> Iterator[str]:
    label = f"gpu {gpu.index if gpu.index is not None else gpu.pci_bus_id or UNKNOWN}"
    if gpu.status is Status.LOST:
        reason = gpu.reason or "no reason known"
        xid = f", Xid {gpu.xid_last}" if gpu.xid_last is not None and "Xid" not in reason else ""
        yield from wrapped(label, f"LOST {reason}{xid}")
    elif gpu.temperature_c is None and gpu.memory_total_bytes is None and gpu.status is not Status.OK:
        yield from _unread(label, gpu)
    else:
        yield from _gpu_numbers(label, gpu)
    if is_mixed and gpu.name:
        yield cut(f"{label} name {gpu.name}")
    for instance in gpu.mig:
        used = part(instance.memory_used_bytes, instance.memory_total_bytes)
        yield cut(f"{label} mig {instance.profile or instance.uuid or UNKNOWN} memory {used}{_old(instance)}")
    if gpu.processes_status not in (Status.OK, Status.LOST) and gpu.status is Status.OK:
        yield f"{label} processes {_status(gpu.processes_status)}"
    yield from _foreign(label, gpu.processes)


def _gpu_numbers(label: str, gpu: Gpu) -> Iterator[str]:
    memory = part(gpu.memory_used_bytes, gpu.memory_total_bytes) + (" unified" if gpu.memory_is_unified else "")
    power = number(gpu.power_w, "W") if gpu.power_limit_w is None else f"{number(gpu.power_w)}/{gpu.power_limit_w:.0f}W"
    line = (
        f"{label:<6} temp {number(gpu.temperature_c, 'C'):>4} util {number(gpu.utilization_percent, '%'):>4}"
        f" memory {memory:>13} power {power}{_old(gpu)}"
    )
    states = ", ".join(_states(gpu))
    if not states:
        yield cut(line)
    elif len(line) + len(states) + 1 <= WIDTH:
        yield f"{line} {states}"
    else:
        yield cut(line)
        yield from wrapped(f"{label} state", states)


def _states(gpu: Gpu) -> Iterator[str]:
    """What is not as it should be, or explains the numbers, in words."""
    if gpu.ecc_uncorrected_volatile:
        yield f"ECC {gpu.ecc_uncorrected_volatile}"
    if gpu.remap_failed:
        yield "remap failed"
    if gpu.remap_pending:
        yield "remap pending"
    for reason in gpu.clock_event_reasons:
        if reason not in _NO_STATE:
            yield "power-cap" if reason == "sw-power-cap" else reason
    if (gpu.pcie_width or 0) < (gpu.pcie_width_max or 0) and gpu.pcie_width and not gpu.memory_is_unified:
        yield f"x{gpu.pcie_width} of x{gpu.pcie_width_max}"
    if gpu.nvlinks_active is not None and gpu.nvlinks_total is not None and gpu.nvlinks_active < gpu.nvlinks_total:
        yield f"links {gpu.nvlinks_active}/{gpu.nvlinks_total}"
    if gpu.idle_held_s is not None and gpu.idle_held_s >= 1800:
        yield f"idle {span(gpu.idle_held_s)}"
    if gpu.xid_last is not None and (gpu.xid_last_age_s or 0) <= 86400:
        yield f"Xid {gpu.xid_last}"


def _foreign(label: str, processes: Sequence[GpuProcess]) -> Iterator[str]:
    """What holds the GPU and is not among the processes of this pid namespace."""
    foreign = [one for one in processes if one.status is Status.ABSENT]
    for one in foreign[:FOREIGN_TOP]:
        yield cut(f"{label} process {one.pid} other container memory {size(one.gpu_memory_bytes)}")
    if len(foreign) > FOREIGN_TOP:
        yield f"{label} process +{len(foreign) - FOREIGN_TOP} more of other containers"


def _processes(snapshot: Snapshot) -> Iterator[str]:
    processes = snapshot.processes
    if processes.total is None and processes.status is not Status.OK:
        yield from _unread("processes", processes)
        return
    yield cut(
        f"processes {number(processes.total)} running {number(processes.running)} blocked {number(processes.blocked)}"
        f" zombies {number(processes.zombies)}{_old(processes)}"
    )
    if processes.reason:
        yield from wrapped("processes reason", processes.reason)
    held: Counter[int] = Counter()
    for gpu in snapshot.gpus:
        for one in gpu.processes:
            if one.pid is not None and one.status is not Status.ABSENT:
                held[one.pid] += one.gpu_memory_bytes or 0
    for process in processes.top[:TOP]:
        yield _process(process, held.get(process.pid))


def _process(process: Process, gpu_bytes: int | None) -> str:
    gpus = f" gpu {','.join(map(str, process.gpus))} {size(gpu_bytes)}" if process.gpus else ""
    user = (process.user or UNKNOWN)[:12]
    command = process.command or process.name or UNKNOWN
    return cut(
        f"process {process.pid} {user} cpu {number(process.cpu_percent, '%')} rss {size(process.rss_bytes)}"
        f"{gpus} {process.state or '-'} {span(process.running_s)} {command}"
    )


def _unread(label: str, group: Reading) -> Iterator[str]:
    reason = f": {group.reason}" if group.reason else ""
    yield from wrapped(label, f"{_status(group.status)}{reason}")


def _old(group: Reading) -> str:
    """The mark of values that were not read just now."""
    if group.status is Status.OK:
        return ""
    age = f" {span(group.age_s)}" if group.age_s is not None and group.age_s >= 1 else ""
    return f" {_status(group.status)}{age}"


def _status(status: Status) -> str:
    return _WORDS.get(status, str(status))


def _share(part_bytes: int | None, whole_bytes: int | None) -> str:
    return f"{100 * part_bytes / whole_bytes:.0f}%" if part_bytes is not None and whole_bytes else UNKNOWN


def _names(snapshot: Snapshot) -> list[str]:
    """The GPUs' names; where they differ, each GPU has a line with its own."""
    return sorted({gpu.name for gpu in snapshot.gpus if gpu.name})
