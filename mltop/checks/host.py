"""CPU and memory: what a snapshot says of them (ids and sources: the table of limits)."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import NOT_READ, Case, judgement, skip
from mltop.checks.fact import facts, steady, unread
from mltop.checks.heat import thermal
from mltop.checks.judgement import Judgement
from mltop.checks.memory_health import health
from mltop.model.finding import Level
from mltop.model.host_facts import Stall
from mltop.model.snapshot import Cpu, Memory, Reading, Status

_HALF_MINUTE = 0.39


def cpu(case: Case) -> Iterator[Judgement]:
    """`cpu.load`, `cpu.psi`, `cpu.thermal`.

    Load is held against the CPUs over which it is counted: the kernel's is the whole box's, also for a group that is
    given fewer of them, and lxcfs, which counts a container's own, shows it its own CPUs alone.
    """
    now = case.snapshot.cpu
    if len(now.load) == 3 and now.count:
        percent = 100.0 * now.load[2] / now.count
        summary, action = f"load {now.load[2]:.1f} on {now.count} CPUs", "more runs than the CPUs can carry"
        yield case.measured("cpu.load", percent, summary, action, name="CPU", group=now)
    else:
        yield _missing(case, "cpu.load", now, "load", "CPU")
    if now.status in NOT_READ and case.surroundings is None:
        return
    stall = facts(case).cpu_stall
    if stall is not None and stall.some_avg300 is not None and stall.status is Status.OK:
        summary = f"pressure {stall.some_avg300:.0f} % (some, 5 min)"
        yield steady(case, "cpu.psi", stall.some_avg300, summary, "more runs than the CPUs can carry", name="CPU")
    elif stall is not None:
        yield unread("cpu.psi", stall, name="CPU")
    elif now.psi_some_avg10 is not None:
        yield case.measured("cpu.psi", now.psi_some_avg10, f"pressure {now.psi_some_avg10:.0f} %", name="CPU")
    else:
        yield case.unread("cpu.psi", now, "pressure in this kernel", name="CPU")
    heat = facts(case).thermal
    yield _thermal(case, now) if heat is None else thermal(case, heat)


def _thermal(case: Case, now: Cpu) -> Judgement:
    """The CPU's own word for too hot, its throttling; a temperature where the config sets a limit."""
    action = "check fans and air flow"
    if now.throttled:
        level = case.settled("cpu.thermal", "", Level.WARNING)
        return judgement("cpu.thermal", level, "slowed down by heat", action, name="CPU", value=now.temperature_c)
    if now.temperature_c is not None and case.limits.is_configured("cpu.thermal"):
        return case.measured("cpu.thermal", now.temperature_c, f"{now.temperature_c:.0f} C", action, name="CPU")
    level = case.settled("cpu.thermal", "", Level.OK)
    if now.throttled is None:
        return skip("cpu.thermal", "its throttling is not told", name="CPU", reason="unsupported")
    return judgement("cpu.thermal", level, "not slowed down by heat", action, name="CPU", value=now.temperature_c)


def memory(case: Case) -> Iterator[Judgement]:
    """`mem.available`, `mem.psi`, `mem.swap`, `mem.oom`, `mem.edac`."""
    yield from health(case)
    now = case.snapshot.memory
    if now.available_bytes is not None and now.total_bytes:
        percent, whose = _available(case, *_on_host(now.available_bytes, now.total_bytes, now.huge_pages_bytes or 0))
        # full, and nothing waits for it: well enough
        most = Level.WARNING if now.psi_some_avg10 == 0 else Level.CRITICAL
        summary, action = f"{percent:.1f} % available{whose}", "end or move a process, or add swap"
        told = case.measured("mem.available", percent, summary, action, name="memory", most=most, group=now)
        group = facts(case).memory_group
        is_told = group is None or group.status in (Status.OK, Status.ABSENT, Status.UNSUPPORTED)
        # what the host has left is nothing to a group that is full
        yield told if is_told or told.level else unread("mem.available", group or now, name="memory")
    else:
        yield _missing(case, "mem.available", now, "number of available memory", "memory")
    if now.status in NOT_READ and case.surroundings is None:
        return
    stall = facts(case).memory_stall
    if stall is not None:
        yield _stall(case, stall)
    elif now.psi_full_avg10 is not None:
        summary = f"pressure {now.psi_full_avg10:.0f} %"
        yield case.measured("mem.psi", now.psi_full_avg10, summary, "processes wait for memory", name="memory")
    else:
        yield case.unread("mem.psi", now, "pressure in this kernel", name="memory")
    yield _swap(case, now)


def _on_host(available: int, total: int, huge: int) -> tuple[float, str]:
    """Of what huge pages leave: those are set aside for who asks for them, and no process is short of them."""
    if not 0 < huge < total:
        return 100.0 * available / total, ""
    return min(100.0, 100.0 * available / (total - huge)), " beside huge pages"


def _available(case: Case, percent: float, whose: str) -> tuple[float, str]:
    """The host's, or what the control group leaves where that is less."""
    group = facts(case).memory_group
    if group is None or not group.limit_bytes or group.used_bytes is None:
        return percent, whose
    left = 100.0 * max(0, group.limit_bytes - group.used_bytes) / group.limit_bytes
    return (left, " within its control group") if left < percent else (percent, whose)


def _stall(case: Case, stall: Stall) -> Judgement:
    """WARNING by the average of a minute; CRITICAL where the last 10 s are that bad, and have been for 30 s.

    After 30 s at a level the average of a minute has come 0.39 (1 - 1/sqrt(e)) of the way to it.
    """
    now, minute = stall.full_avg10, stall.full_avg60
    if stall.status is not Status.OK or now is None or minute is None:
        return unread("mem.psi", stall, name="memory")
    value = now if now > minute and minute >= _HALF_MINUTE * now else minute
    limit = case.limits["mem.psi"]
    worst = limit.level(value) if limit.level(value) is Level.CRITICAL else None
    summary = f"pressure {minute:.0f} % (full, 60 s), {now:.0f} % (10 s)"
    return steady(case, "mem.psi", value if worst else minute, summary, "processes wait for memory", name="memory")


def _swap(case: Case, now: Memory) -> Judgement:
    if now.swap_total_bytes is None or now.swap_used_bytes is None:
        return _missing(case, "mem.swap", now, "number of swap", "swap")
    if not now.swap_total_bytes:
        return skip("mem.swap", "no swap", name="swap", reason="unsupported")
    percent = 100.0 * now.swap_used_bytes / now.swap_total_bytes
    most = Level.CRITICAL if _is_swapping_in(case, now) else Level.WARNING  # full of what nobody asks back
    return case.measured("mem.swap", percent, f"{percent:.0f} % used", name="swap", most=most)


def _is_swapping_in(case: Case, now: Memory) -> bool:
    """Whether pages were taken back since the last run; on a first one, whether anything waits for memory."""
    swapping = facts(case).swapping
    if swapping is not None and swapping.pages_in is not None:
        growth = case.growth("mem.swap", "", swapping.pages_in)
        if growth is not None:
            return growth.amount > 0
    return bool(now.psi_some_avg10)


def _missing(case: Case, check: str, group: Reading, what: str, name: str) -> Judgement:
    """Why there is no number that every Linux has: not read, whatever became of the rest of its group."""
    if group.status in (Status.OK, Status.ABSENT, Status.UNSUPPORTED):
        words = f"not read: {group.reason or f'no {what}'}"
        return judgement(check, Level.UNKNOWN, words, name=name, reason="error", is_quiet=True)
    return case.unread(check, group, what, name=name)
