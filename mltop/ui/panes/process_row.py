"""The rows of the process list: host processes joined with what the driver says; filtered, sorted, as tree, by user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mltop.model.snapshot import Gpu, GpuProcess, Process, Snapshot, Status
from mltop.ui.format import plain
from mltop.ui.view import ProcessView, View

OTHER_CONTAINER = "other container"


@dataclass(slots=True, frozen=True)
class Row:
    """What the cursor stands on. Only a row with a `pid` can be signalled, bound to its `started_at`."""

    id: int
    """What `view.processes.cursor` and `tagged` hold: the pid, or a number below 0 where no pid is of this host."""
    pid: int | None = None
    """The pid in this namespace; `None` for other containers' processes and for users."""
    ppid: int | None = None
    user: str | None = None
    command: str | None = None
    name: str | None = None
    container: str | None = None
    gpus: tuple[int, ...] = ()
    gpu_memory_bytes: int | None = None
    sm_percent: float | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    running_s: float | None = None
    started_at: str | None = None
    state: str | None = None
    status: Status = Status.OK
    """`absent`: another container's; `lost`: last known on a lost GPU."""
    depth: str = ""
    """The tree's lines before the command."""
    count: int = 1
    """Processes in the row: more than one for a user."""


class _Last:
    """The rows that were asked for last: a screen asks several times for the same ones."""

    snapshot: Snapshot | None = None
    order: tuple[object, ...] = ()
    rows: list[Row]


def rows(view: View) -> list[Row]:
    """What the process list shows, from the first row to the last; not to be changed by the caller."""
    if view.snapshot is None:
        return []
    shown = view.processes
    order = (shown.filter, shown.sort, shown.invert, shown.tree, shown.by_user)
    if _Last.snapshot is not view.snapshot or _Last.order != order:
        _Last.rows = _listed(view.snapshot, shown)
        _Last.snapshot, _Last.order = view.snapshot, order
    return _Last.rows


def _listed(snapshot: Snapshot, shown: ProcessView) -> list[Row]:
    found = [row for row in joined(snapshot) if matches(row, shown.filter)]
    if shown.by_user:
        return _sorted(by_user(found), shown)
    found = _sorted(found, shown)
    return tree(found) if shown.tree else found


def joined(snapshot: Snapshot) -> list[Row]:
    """The host's processes, each with its GPUs, then what only the driver knows."""
    held = _held(snapshot.gpus)
    found = []
    for process in snapshot.processes.top:
        on = held.pop(process.pid, None)
        found.append(_row(process, on) if on else _plain_row(process))
    found += [_gpu_row(pid, on) for pid, on in held.items() if _is_local(on[0][1])]
    unknown = {pid for pid, on in held.items() if not _is_local(on[0][1])}
    return found + list(_foreign(snapshot.gpus, unknown))


_On = list[tuple[Gpu, GpuProcess]]


def _is_local(process: GpuProcess) -> bool:
    """Whether the pid was found in this namespace: a lost GPU's last processes do not say so any more."""
    return process.status is not Status.LOST or process.started_at is not None


def _held(gpus: Iterable[Gpu]) -> dict[int, _On]:
    """Which GPUs each of this namespace's pids holds."""
    held: dict[int, _On] = {}
    for gpu in gpus:
        for process in gpu.processes:
            if process.pid is not None and process.status is not Status.ABSENT:
                held.setdefault(process.pid, []).append((gpu, process))
    return held


def _plain_row(process: Process) -> Row:
    return Row(
        id=process.pid, pid=process.pid, ppid=process.ppid, user=process.user, command=process.command,
        name=process.name, gpus=process.gpus, cpu_percent=process.cpu_percent, rss_bytes=process.rss_bytes,
        running_s=process.running_s, started_at=process.started_at, state=process.state,
    )  # fmt: skip


def _row(process: Process, on: _On) -> Row:
    mine = on[0][1]
    return replace(
        _plain_row(process),
        gpus=_indices(on) or process.gpus,
        container=mine.container,
        gpu_memory_bytes=_total(on),
        sm_percent=_mean_sm(on),
        status=mine.status,
    )


def _gpu_row(pid: int, on: _On) -> Row:
    mine = on[0][1]
    return Row(
        id=pid, pid=pid, user=mine.user, command=mine.command, name=mine.name, container=mine.container,
        gpus=_indices(on), gpu_memory_bytes=_total(on), sm_percent=_mean_sm(on), cpu_percent=mine.cpu_percent,
        rss_bytes=mine.rss_bytes, running_s=mine.running_s, started_at=mine.started_at, status=mine.status,
    )  # fmt: skip


def _foreign(gpus: Iterable[Gpu], unknown: set[int]) -> Iterable[Row]:
    """Processes of other containers: the driver's pid is not of this namespace: neither shown nor signalled."""
    number = -1
    for gpu in gpus:
        for process in gpu.processes:
            if process.status is Status.ABSENT or process.pid is None or process.pid in unknown:
                status = Status.LOST if process.status is Status.LOST else Status.ABSENT
                yield replace(_gpu_row(number, [(gpu, process)]), pid=None, ppid=None, started_at=None, status=status)
                number -= 1


def _indices(on: _On) -> tuple[int, ...]:
    return tuple(gpu.index for gpu, _ in on if gpu.index is not None)


def _total(on: _On) -> int | None:
    known = [process.gpu_memory_bytes for _, process in on if process.gpu_memory_bytes is not None]
    return sum(known) if known else None


def _mean_sm(on: _On) -> float | None:
    """The mean over its GPUs, so that it stays a percentage."""
    known = [process.sm_percent for _, process in on if process.sm_percent is not None]
    return sum(known) / len(known) if known else None


def matches(row: Row, text: str) -> bool:
    """Whether pid, user, name or command holds the text; a leading `!` inverts (as the sampler does)."""
    wanted = text.lower()
    inverted = wanted.startswith("!")
    wanted = wanted[1:] if inverted else wanted
    if not wanted:
        return True
    other = OTHER_CONTAINER if row.status is Status.ABSENT else ""
    texts = (str(row.pid or ""), row.user, row.name, row.command, row.container, other)
    return any(wanted in part.lower() for part in texts if part) is not inverted


_KEYS: dict[str, Callable[[Row], tuple[object, ...]]] = {
    "gpu": lambda row: (-(row.gpu_memory_bytes or 0), not row.gpus, -(row.cpu_percent or 0.0), -(row.rss_bytes or 0)),
    "cpu": lambda row: (-(row.cpu_percent or 0.0), -(row.rss_bytes or 0)),
    "memory": lambda row: (-(row.rss_bytes or 0),),
    "pid": lambda row: (row.id < 0, row.id),
    "user": lambda row: (row.user or "~", -(row.gpu_memory_bytes or 0), -(row.cpu_percent or 0.0)),
    "time": lambda row: (-(row.running_s or 0.0),),
    "command": lambda row: ((row.command or row.name or "~").lower(), row.id),
}
"""The orders by name; the first of each is the one that is wanted at the top."""


def _sorted(found: list[Row], shown: ProcessView) -> list[Row]:
    return sorted(found, key=_KEYS.get(shown.sort, _KEYS["gpu"]), reverse=shown.invert)


def by_user(found: Iterable[Row]) -> list[Row]:
    """GPU memory, GPUs and processes of each user, over all GPUs (M22)."""
    grouped: dict[str, list[Row]] = {}
    for row in found:
        name = row.user or (OTHER_CONTAINER if row.status is Status.ABSENT else "-")
        grouped.setdefault(name, []).append(row)
    return [_user(-1 - place, name, group) for place, (name, group) in enumerate(grouped.items())]


def _user(number: int, name: str, group: list[Row]) -> Row:
    memory = [row.gpu_memory_bytes for row in group if row.gpu_memory_bytes is not None]
    cpu = [row.cpu_percent for row in group if row.cpu_percent is not None]
    rss = [row.rss_bytes for row in group if row.rss_bytes is not None]
    return Row(
        id=number, user=name, count=len(group), gpus=tuple(sorted({gpu for row in group for gpu in row.gpus})),
        gpu_memory_bytes=sum(memory) if memory else None, cpu_percent=sum(cpu) if cpu else None,
        rss_bytes=sum(rss) if rss else None,
        running_s=max((row.running_s for row in group if row.running_s is not None), default=None),
        command=_programs(group),
    )  # fmt: skip


def _programs(group: list[Row]) -> str | None:
    """The names of a user's programs, those on a GPU first."""
    ranked = sorted(group, key=lambda row: not row.gpus)
    return ", ".join(dict.fromkeys(plain(row.name or row.command or "") for row in ranked)) or None


def tree(found: list[Row]) -> list[Row]:
    """Children under their parents; brothers in the order they came in; a row whose parent is not here is a root."""
    ids = {row.id for row in found}
    children: dict[int, list[Row]] = {}
    roots = []
    for row in found:
        if row.ppid is not None and row.ppid in ids and row.ppid != row.id:
            children.setdefault(row.ppid, []).append(row)
        else:
            roots.append(row)
    result: list[Row] = []
    pending = [(row, "", "") for row in reversed(roots)]
    while pending:
        row, lead, branch = pending.pop()
        result.append(replace(row, depth=lead + branch) if branch else row)
        below = lead + {"": "", "├ ": "│ ", "└ ": "  "}[branch]
        brothers = children.pop(row.id, [])
        pending += [(b, below, "└ " if b is brothers[-1] else "├ ") for b in reversed(brothers)]
    # What is its own ancestor (pids that were reused between two reads) has no root: it comes last, flat.
    return result + [row for group in children.values() for row in group]
