"""The processes of the host, from `/proc/PID/stat` alone, within a budget of time (M12, M31).

A tick reads what is on the screen (the processes with a GPU and the last list), then what is new, then as many of the
rest as fit into its budget, in turn. So thousands of processes cost a tick no more than a few hundred, and each share
of a CPU is over the time since that process's own last reading.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from mltop.model.snapshot import Process, Processes, Status
from mltop.sampling.host.entry import PAGE_BYTES, TICKS_PER_S, Entry
from mltop.sampling.host.proc_stat import parse_stat, read_command, read_container
from mltop.sampling.host.selection import Selection, first, matching
from mltop.sampling.host.user import Users
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, why_not

BUDGET_S = 0.025
"""For reading new processes and the rest in turn, a tick."""
FIRST_BUDGET_S = 0.045
_ALWAYS_READ = 200
"""As many processes are read each tick; of more than twice as many, one half."""
_KERNEL_SHARE = 10
"""Of kernel threads, one in so many is read a tick: they are counted, hardly ever shown."""
_COMMAND_AGAIN_S = 60.0
_BOOT_TIME_AGAIN_S = 60.0
_BOOT_TIME_HAIR_S = 1.0
"""The kernel works the boot time out in whole seconds, and may give one more or less."""
_MOST_COMMANDS_ASKED = 256
_COMMAND = "command"
_STAT_BYTES = 1024
_FIRST_PID = 1
"""Every pid namespace has it, for as long as it is."""


class ProcessTable:
    """Every process that can be seen, as of its last reading."""

    def __init__(self, roots: Roots, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._roots = roots
        self._proc = str(roots.proc)
        self._reader = reader
        self._clock = clock
        reader.learn(_COMMAND, lambda key: read_command(roots, key[0], key[1]))
        self._users = Users(reader)
        self._names: set[str] = set()
        self._pids: set[int] = set()
        self._entries: dict[int, Entry] = {}
        self._refused: set[int] = set()
        self._rota: deque[int] = deque()
        self._kernel_rota: deque[int] = deque()
        self._shown: list[int] = []
        self._booted_at: float | None = None
        self._boot_time_at: float | None = None
        self._uptime: float | None = None
        self._is_first = True

    def read(
        self, now: float, selection: Selection, gpu_pids: Mapping[int, tuple[int, ...]], uptime_s: float | None = None
    ) -> Processes:
        """The list and the counts; never raises. `gpu_pids` are pids of this namespace only (D16)."""
        try:
            pids = self._list()
        except OSError as fault:
            failed, why = why_not(fault, "/proc")
            return Processes(status=failed, reason=why)
        self._uptime = uptime_s
        self._follow_clock(now)
        self._users.refresh(now)
        self._take_commands(now)
        self._forget_gone(pids)
        self._read_stats(now, pids, gpu_pids)
        entries = self._chosen(now, selection, gpu_pids)
        self._shown = [entry.pid for entry in entries]
        states = Counter(entry.state for entry in self._entries.values())
        status, reason = self._state()
        return Processes(
            status=status,
            reason=reason,
            age_s=0.0,
            total=len(pids),
            running=states["R"],
            blocked=states["D"],
            zombies=states["Z"],
            top=tuple(self._process(entry) for entry in entries),
        )

    def describe(self, pid: int) -> Process | None:
        """What is known of a process, for the driver's pids; `None` for one that is not there."""
        entry = self._entries.get(pid)
        return None if entry is None else self._process(entry)

    def container(self, pid: int) -> str | None:
        """The container that a process is in, looked up once."""
        entry = self._entries.get(pid)
        if entry is None:
            return None
        if entry.has_container is None:
            entry.container = read_container(self._roots, pid)
            entry.has_container = entry.container is not None
        return entry.container

    def _state(self) -> tuple[Status, str | None]:
        """Some that may not be read are no failure, but the counts are without them."""
        if self._refused:
            status = Status.OK if self._entries else Status.NO_PERMISSION
            return status, f"{len(self._refused)} processes may not be read (hidepid)"
        if self._entries and _FIRST_PID not in self._pids:
            return Status.OK, "the processes of others are hidden (hidepid)"
        return (Status.OK, None) if self._entries else (Status.UNSUPPORTED, "no process is to be seen in /proc")

    def _list(self) -> set[int]:
        """All pids there are; only names that were not there at the last look are looked at. Raises OSError."""
        names = set(os.listdir(self._proc))  # noqa: PTH208 - speed
        self._pids.difference_update(int(name) for name in self._names - names if name.isdigit())
        self._pids.update(int(name) for name in names - self._names if name.isdigit())
        self._names = names
        return self._pids

    def _forget_gone(self, pids: set[int]) -> None:
        for pid in self._entries.keys() - pids:
            del self._entries[pid]
        self._refused &= pids

    def _read_stats(self, now: float, pids: set[int], gpu_pids: Mapping[int, tuple[int, ...]]) -> None:
        began = self._clock()
        done: set[int] = set()
        for pid in (*gpu_pids, *self._shown):
            if pid in pids and pid not in done:
                self._read_stat(pid, now + self._clock() - began)
                done.add(pid)
        began_rest = self._clock()
        budget = FIRST_BUDGET_S if self._is_first else BUDGET_S
        self._is_first = False
        for pid in self._rest(pids):
            at = self._clock()
            if pid not in done:
                self._read_stat(pid, now + at - began)
            if at - began_rest > budget:
                break

    def _rest(self, pids: set[int]) -> Iterator[int]:
        """New processes, then a part of the kernel threads in turn, then all others in turn."""
        yield from sorted(pids - self._entries.keys() - self._refused, reverse=True)
        yield from self._turn(self._kernel_rota, -(-len(self._kernel_rota) // _KERNEL_SHARE))
        yield from self._turn(self._rota, max(_ALWAYS_READ, len(self._rota) // 2))

    def _turn(self, rota: deque[int], count: int) -> Iterator[int]:
        for _ in range(min(count, len(rota))):
            pid = rota.popleft()
            if pid in self._entries:
                rota.append(pid)
                yield pid

    def _read_stat(self, pid: int, now: float) -> None:
        try:
            line = read_bytes(f"{self._proc}/{pid}/stat", _STAT_BYTES)
            digest = hash(line)
            entry = self._entries.get(pid)
            if entry is not None and entry.digest == digest:  # nothing has changed since, least of all the time it used
                entry.pass_time(now, 0, entry.cpu_ticks)
                return
            stat = parse_stat(line)
        except PermissionError:
            self._refused.add(pid)
            return
        except (OSError, ValueError, LookupError):  # it has just ended
            return
        if entry is None:
            (self._kernel_rota if stat.is_kernel else self._rota).append(pid)
        if entry is None or entry.start_ticks != stat.start_ticks:
            self._entries[pid] = Entry(pid, stat, digest, now)
        else:
            entry.update(stat, digest, now)

    def _chosen(self, now: float, selection: Selection, gpu_pids: Mapping[int, tuple[int, ...]]) -> list[Entry]:
        for entry in self._entries.values():
            entry.gpus = ()
        holders = [(self._entries[pid], gpus) for pid, gpus in gpu_pids.items() if pid in self._entries]
        for entry, gpus in holders:
            entry.gpus = gpus
        self._learn_about((entry for entry, _ in holders), now)
        entries: Iterable[Entry] = self._entries.values()
        if selection.is_filtered or selection.sort in {"user", "command"}:
            self._learn_about(entries, now)
            entries = matching(selection.filter, entries)
        chosen = first(entries, selection)
        self._learn_about(chosen, now)
        return chosen

    def _learn_about(self, entries: Iterable[Entry], now: float) -> None:
        """Users and command lines, where they are not known yet."""
        asked = 0
        for entry in entries:
            is_due = entry.asked_command_at is None or now - entry.asked_command_at >= _COMMAND_AGAIN_S
            if entry.uid is None or (is_due and not entry.is_kernel):
                entry.uid = self._uid(entry.pid)
            if entry.uid is not None:
                entry.user = self._users.name(entry.uid, now)
            if is_due and asked < _MOST_COMMANDS_ASKED and entry.has_command():
                self._reader.ask(_COMMAND, (entry.pid, entry.start_ticks))
                entry.asked_command_at = now
                asked += 1

    def _uid(self, pid: int) -> int | None:
        try:
            return os.stat(f"{self._proc}/{pid}").st_uid  # noqa: PTH116 - speed
        except OSError:
            return None

    def _take_commands(self, now: float) -> None:
        for key, answer in self._reader.take(_COMMAND).items():
            if not isinstance(key, tuple):
                continue
            entry = self._entries.get(key[0])
            if entry is not None and entry.start_ticks == key[1]:
                entry.command = answer.value or entry.command
                entry.asked_command_at = now

    def _process(self, entry: Entry) -> Process:
        if entry.started_at is None:
            entry.started_at = self._started_at(entry.start_ticks)
        return Process(
            pid=entry.pid,
            ppid=entry.ppid,
            name=entry.name,
            command=entry.command or entry.name,
            user=entry.user,
            cpu_percent=entry.cpu_percent,
            rss_bytes=entry.rss_pages * PAGE_BYTES,
            state=entry.state,
            running_s=None
            if self._uptime is None
            else round(max(0.0, self._uptime - entry.start_ticks / TICKS_PER_S), 1),
            started_at=entry.started_at,
            gpus=entry.gpus,
        )

    def _follow_clock(self, now: float) -> None:
        """Name start times anew after the clock was set: a signal is bound to them, by the clock of its moment."""
        if self._boot_time_at is not None and now - self._boot_time_at < _BOOT_TIME_AGAIN_S:
            return
        self._boot_time_at = now
        booted_at = read_boot_time(self._roots)
        if booted_at is None or (self._booted_at is not None and abs(booted_at - self._booted_at) <= _BOOT_TIME_HAIR_S):
            return
        self._booted_at = booted_at
        for entry in self._entries.values():
            entry.started_at = None

    def _started_at(self, start_ticks: int) -> str | None:
        if self._booted_at is None:
            return None
        moment = datetime.fromtimestamp(self._booted_at + start_ticks / TICKS_PER_S, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_boot_time(roots: Roots) -> float | None:
    """When the host was started, in seconds since 1970 (`btime` of /proc/stat)."""
    try:
        words = read_bytes(Path(roots.proc) / "stat").rpartition(b"\nbtime ")[2].split(None, 1)
        return float(words[0])
    except (OSError, ValueError, IndexError):
        return None
