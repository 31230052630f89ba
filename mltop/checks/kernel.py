"""What the kernel keeps: processes that stand still, tables that fill up, the clock, the network's ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mltop.checks.case import Case, judgement, skip
from mltop.checks.fact import DAY_S, facts, unread
from mltop.checks.judgement import Judgement
from mltop.checks.link import links
from mltop.model.finding import Level
from mltop.model.host_facts import Clock, Handles, HostFacts, Pids, Pool, Tasks, Waiting
from mltop.model.snapshot import Status

LOST_S = 16.0
"""From this error on nobody has kept the clock for hours (NTP_PHASE_LIMIT of the kernel; node mixin)."""
SETTLED_S = 1020.0
"""So long after the boot a clock may still be on its way: Netdata, 17 minutes."""
_NO_LIMIT = 1 << 60
"""A maximum that is none, as that of open files is since Linux 5.11."""


def kernel(case: Case) -> Iterator[Judgement]:
    """`proc.*`, `time.sync` and `net.link`; nothing where only a snapshot is known."""
    here = facts(case)
    for judge in _JUDGES:
        yield from judge(case, here)


def _tasks(case: Case, here: HostFacts) -> Iterator[Judgement]:
    if here.tasks is None:
        return
    if here.tasks.status is not Status.OK:
        yield unread("proc.dstate", here.tasks, name="processes")
        yield unread("proc.zombie", here.tasks, name="processes")
        return
    waiting = [_waiting(case, one) for one in here.tasks.waiting]
    stuck = [one for one in waiting if one.level]
    yield from stuck
    if not stuck:
        summary = f"no process stands still ({len(waiting)} wait for a device now)"
        yield judgement("proc.dstate", Level.OK, summary, name="processes", value=0)
    yield _zombies(case, here.tasks)


def _waiting(case: Case, one: Waiting) -> Judgement:
    """One that was in state D in an earlier run too, and has not been on a CPU since: it stands still.

    Busy with a disk it would be found in state D as often, but has used its CPU a little in between.
    """
    target = f"{one.pid}.{one.start_ticks}"
    since = case.growth("proc.dstate", target, one.cpu_ticks, over_s=DAY_S)
    last = case.growth("proc.dstate", target, one.cpu_ticks, name="last")
    still_s = since.seconds if since is not None and since.amount == 0 else 0.0
    if last is not None and last.amount == 0:
        still_s = max(still_s, last.seconds)
    level = case.level("proc.dstate", target, still_s)
    if level is Level.WARNING and one.is_of_gpu:
        level = Level.CRITICAL
    summary = f"in uninterruptible sleep for {still_s / 60:.0f} min"
    action = "the GPU's driver hangs: drain and reboot" if one.is_of_gpu else "see what it waits for: its disk or mount"
    return judgement(
        "proc.dstate",
        level,
        summary,
        action,
        target=target,
        name=f"{one.name} ({one.pid})",
        reason="stuck",
        value=still_s,
        limit=case.limits["proc.dstate"],
        data={"pid": one.pid, "is_of_gpu": one.is_of_gpu},
    )


def _zombies(case: Case, tasks: Tasks) -> Judgement:
    """By their number, and by their share of the pids that there can be."""
    level = case.level("proc.zombie", "", tasks.zombies)
    if tasks.most:
        share = 100.0 * tasks.zombies / tasks.most
        level = max(level, case.level("proc.zombie", "share", share, row="proc.zombie.share"))
    whose = f", most of {tasks.worst_parent}" if tasks.worst_parent and tasks.zombies > 1 else ""
    return judgement(
        "proc.zombie",
        level,
        f"{tasks.zombies} zombies of {tasks.total} processes{whose}",
        "restart their parent: it does not collect its children",
        name="processes",
        value=tasks.zombies,
        limit=case.limits["proc.zombie"],
    )


def _tables(case: Case, here: HostFacts) -> Iterator[Judgement]:
    if here.handles is not None:
        yield from _handles(case, here.handles)
    if here.pids is not None:
        yield from _pids(case, here.pids)


def _handles(case: Case, handles: Handles) -> Iterator[Judgement]:
    if handles.status is not Status.OK or handles.files is None:
        yield unread("proc.fds", handles, name="files")
    else:
        yield _pool(case, "proc.fds", handles.files, "open files", "raise fs.file-max, or find who leaks them")


def _pids(case: Case, pids: Pids) -> Iterator[Judgement]:
    if pids.status is not Status.OK or not pids.pools:
        yield unread("proc.pids", pids, name="threads")
        return
    worst: dict[str, Pool] = {}
    for pool in pids.pools:  # of the groups above each other the fullest
        if pool.name not in worst or pool.used / pool.most > worst[pool.name].used / worst[pool.name].most:
            worst[pool.name] = pool
    for pool in worst.values():
        yield _pool(case, "proc.pids", pool, "threads", "raise the limit, or find who starts so many")


def _pool(case: Case, check: str, pool: Pool, what: str, action: str) -> Judgement:
    percent = 100.0 * pool.used / pool.most
    target = "" if pool.name == "system" else pool.name
    of = f" of {pool.most}" if pool.most < _NO_LIMIT else ""
    return case.measured(check, percent, f"{pool.used}{of} {what}", action, target=target, name=pool.name)


def _time(case: Case, here: HostFacts) -> Iterator[Judgement]:
    if here.clock is not None:
        yield _clock(case, here.clock, here.tasks)


def _clock(case: Case, clock: Clock, tasks: Tasks | None) -> Judgement:
    """At most a WARNING, and only where something keeps the clock, or kept it in an earlier run."""
    if clock.status is not Status.OK or clock.is_synchronised is None:
        return unread("time.sync", clock, name="clock")
    memory = case.memory
    if clock.is_synchronised:
        offset_s = abs(clock.offset_s or 0.0)
        level = min(case.level("time.sync", "", offset_s), Level.WARNING)
        if memory is not None:
            memory.keep("time.sync", "kept", Level.OK)
        summary, limit = f"{1000 * offset_s:.1f} ms off", case.limits["time.sync"]
        return judgement("time.sync", level, summary, "see its time service", name="clock", value=offset_s, limit=limit)
    was_kept = memory is not None and memory.is_known("time.sync", "kept", Level.OK)
    if was_kept and memory is not None:
        memory.keep("time.sync", "kept", Level.OK)
    uptime_s = case.snapshot.uptime_s
    if uptime_s is not None and uptime_s < SETTLED_S:
        return skip("time.sync", "not kept yet, so soon after the boot", name="clock", reason="unsupported")
    service = tasks.time_service if tasks is not None else None
    if service is None and not was_kept:
        words = "no time service: install chrony or systemd-timesyncd"
        return skip("time.sync", words, name="clock", reason="facility")
    words = f"{service} does not keep the clock" if service else "nothing keeps the clock any more"
    action = "see its time service (chronyc tracking, timedatectl)"
    if service is not None and clock.max_error_s is not None and clock.max_error_s < LOST_S:
        # chrony without rtcsync: it steers the clock, and says how far off it may be, but not that it is kept
        summary = f"kept by {service}, {clock.max_error_s:.1f} s off at most"
        return judgement("time.sync", Level.OK, summary, name="clock", data={"max_error_s": clock.max_error_s})
    return judgement("time.sync", Level.WARNING, words, action, name="clock", reason="unsynchronised")


def _network(case: Case, here: HostFacts) -> Iterator[Judgement]:
    if here.links is not None:
        yield from links(case, here.links)


_JUDGES: tuple[Callable[[Case, HostFacts], Iterator[Judgement]], ...] = (_tasks, _tables, _time, _network)
