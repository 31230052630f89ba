"""Everything about one process, read on request, for as long as somebody looks at it (`mltop process`).

The process is bound by its start time: its number may be given away. Of a process in state D nothing is read that could
hang with it (M12), and no part that takes long is read so often that it slows the process or the box down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import psutil

from mltop.model.process_detail import ProcessDetail
from mltop.model.snapshot import Status
from mltop.sampling.host.entry import PAGE_BYTES, TICKS_PER_S
from mltop.sampling.host.proc_stat import Stat, parse_stat
from mltop.sampling.host.process import read_boot_time
from mltop.sampling.process_part import PARTS, Part, Seen, Values
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.target import is_same_start
from mltop.system.text import clean

_REST = 20.0
"""A part rests for so many times as long as it took: it has at most a twentieth of a CPU and of the process's locks."""
_OLD_S = 6.0
"""Three refreshes: what was read earlier is shown with its age (D5)."""
_RATES = ("read_bytes", "written_bytes", "switches_voluntary", "switches_involuntary")
_BLOCKED = "not read while it waits in the kernel (state D): that could hang"
_BURIED = "it has ended, and its parent has not collected it yet"
_KERNEL = "a kernel thread has none"
_ENDED = "it has ended"
_OTHER = "it has ended, and another process has its number now"
_CAN_TRACE = 1 << 19  # CAP_SYS_PTRACE of capabilities(7)
_FAULTS = (OSError, ValueError, LookupError, RuntimeError, psutil.Error)


class _EndedError(Exception):
    """It is not there any more; says how that is known."""


class ProcessWatch:
    """One process, read again and again. For one thread, which may hang in it: it has to be a process of its own."""

    def __init__(
        self,
        pid: int,
        started_at: str | None = None,
        roots: Roots | None = None,
        *,
        parts: Sequence[Part] = PARTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`started_at` is what was shown of it (RFC 3339): whatever was started at another time is another process."""
        self._pid = pid
        self._shown_start = started_at
        self._roots = roots or Roots.from_environment()
        self._parts = parts
        self._clock = clock
        self._seen: Seen | None = None
        self._start_ticks: int | None = None
        self._is_kernel = False
        self._values: Values = {"pid": pid}
        self._missing: dict[str, str] = {}
        self._read_at: dict[str, float] = {}
        self._due_at: dict[str, float] = {}
        self._before: dict[str, tuple[float, float]] = {}
        self._blocked_at: float | None = None
        psutil.PROCFS_PATH = str(self._roots.proc)

    def readings(self) -> Iterator[ProcessDetail]:
        """One round: a reading before each part that could hang, and one when all is done. Never raises."""
        try:
            for part in self._parts:
                now = self._clock()
                self._look(now)
                if self._due_at.get(part.words, now) > now:
                    continue
                if part.is_guarded and part.words not in self._due_at:
                    yield self._detail(doing=part.words)
                self._read(part, now)
                self._due_at[part.words] = self._clock() + _REST * (self._clock() - now)
            self._look(self._clock())
        except _EndedError as ended:
            yield self._detail(status=Status.ABSENT, reason=str(ended))
            return
        yield self._detail()

    # -- who it is ---------------------------------------------------------------------------------------------

    def _look(self, now: float) -> Stat:
        """Its `stat` line, the one file that never hangs. Raises `_EndedError`."""
        try:
            stat = parse_stat(read_bytes(f"{self._roots.proc}/{self._pid}/stat", 1024))
        except (OSError, ValueError, IndexError):
            raise _EndedError(_ENDED) from None
        if self._start_ticks is None:
            self._bind(stat)
        elif stat.start_ticks != self._start_ticks:
            raise _EndedError(_OTHER)
        if stat.state != "D":
            self._blocked_at = None
        elif self._blocked_at is None:
            self._blocked_at = now
        self._values |= {
            "name": f"[{clean(stat.name, 62)}]" if stat.is_kernel else clean(stat.name, 64),
            "state": stat.state,
            "rss_bytes": stat.rss_pages * PAGE_BYTES,
            "blocked_s": None if self._blocked_at is None else round(now - self._blocked_at, 1),
            "waits_in": self._waits_in() if stat.state == "D" else None,
        }
        self._count("cpu", stat.cpu_ticks / TICKS_PER_S, now, "cpu_percent", scale=100.0)
        return stat

    def _bind(self, stat: Stat) -> None:
        booted_at = read_boot_time(self._roots)
        if booted_at is not None:
            started = booted_at + stat.start_ticks / TICKS_PER_S
            if self._shown_start is not None and not is_same_start(self._shown_start, started):
                raise _EndedError(_OTHER)
            self._values["started_at"] = _utc(started)
        self._start_ticks, self._is_kernel = stat.start_ticks, stat.is_kernel
        try:
            self._seen = Seen(self._roots, psutil.Process(self._pid), self._pid)
        except psutil.Error:
            raise _EndedError(_ENDED) from None

    def _waits_in(self) -> str | None:
        try:
            return clean(read_bytes(f"{self._roots.proc}/{self._pid}/wchan", 128), 64).strip("0 ") or None
        except OSError:
            return None

    # -- parts -------------------------------------------------------------------------------------------------

    def _read(self, part: Part, now: float) -> None:
        assert self._seen is not None
        state = self._values["state"]
        if part.is_guarded and self._is_kernel:
            self._refuse(part, _KERNEL, forget=True)
            return
        if part.is_guarded and state in ("D", "Z", "X", "x"):
            self._refuse(part, _BLOCKED if state == "D" else _BURIED, forget=state != "D")
            return
        try:
            values = part.read(self._seen)
        except (ProcessLookupError, psutil.NoSuchProcess):
            self._refuse(part, _BURIED, forget=False)  # or it has ended, which the next look tells
            return
        except _FAULTS as fault:
            self._refuse(part, _why(fault), forget=True)
            return
        for key in part.keys:
            self._missing.pop(key, None)
            self._read_at[key] = now
        self._values |= values
        for key in _RATES:
            if key in values:
                self._count(key, float(values[key]), now, f"{key}_per_s")

    def _refuse(self, part: Part, why: str, *, forget: bool) -> None:
        for key in part.keys:
            self._missing[key] = why
            if forget:
                self._values.pop(key, None)
                self._values.pop(f"{key}_per_s", None)
                self._read_at.pop(key, None)

    def _count(self, name: str, total: float, now: float, key: str, scale: float = 1.0) -> None:
        """Work out a rate of what only grows; within a round the last one stands."""
        at, before = self._before.get(name, (now, total))
        if name not in self._before or now - at >= 0.5:
            self._before[name] = now, total
            if now > at:
                self._values[key] = round(max(0.0, total - before) * scale / (now - at), 1)

    # -- the answer --------------------------------------------------------------------------------------------

    def _detail(
        self, *, doing: str | None = None, status: Status = Status.OK, reason: str | None = None
    ) -> ProcessDetail:
        now = self._clock()
        old = {key: round(now - at, 1) for key, at in self._read_at.items() if now - at > _OLD_S}
        return ProcessDetail(
            **self._values,
            time=_utc(time.time()),
            status=status,
            reason=reason,
            doing=doing,
            missing=dict(self._missing),
            ages_s=old,
        )


def _why(fault: Exception) -> str:
    """Why a part could not be read, with the remedy."""
    if isinstance(fault, PermissionError | psutil.AccessDenied):
        return refusal()
    if isinstance(fault, OSError):
        return f"cannot be read: {fault.strerror or fault}"
    if isinstance(fault, LookupError) and fault.args:
        return clean(str(fault.args[0]), 200)
    return f"cannot be made sense of: {clean(str(fault), 120)}"


def refusal() -> str:
    """Why the kernel refuses to show another's process: ptrace(2), "Ptrace access mode checking"."""
    if os.geteuid() != 0:
        return "not permitted: run mltop as root, or as the user it belongs to"
    return "not permitted, not even to root" + ("" if _may_trace() else ": mltop runs without CAP_SYS_PTRACE here")


def _may_trace() -> bool:
    try:
        line = next(each for each in read_bytes("/proc/self/status").splitlines() if each.startswith(b"CapEff:"))
        return bool(int(line.split()[1], 16) & _CAN_TRACE)
    except (OSError, ValueError, IndexError, StopIteration):
        return True


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
