"""One GPU as its owner knows it: the last answers, their ages, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mltop.model.gpu_facts import GpuFacts
from mltop.model.snapshot import Gpu, GpuProcess, Mig, Status
from mltop.sampling.gpu.answer import FAST, FOR_VERDICT, ONCE, SLOW_CADENCE_S, Answer, GpuSaid, overdue_s
from mltop.sampling.xid import Xid

_CORE = ("temperature", "memory", "utilization", "power")
"""Facts that every reader looks for: their absence is explained even where the card just does not have them."""
_OF_CARD = ("identity", "temperature", "memory", "utilization", "power")
_PROCESS_LISTS = ("compute", "graphics", "mps")
_NOT_FIELDS = frozenset({*_PROCESS_LISTS, "shares", "mig"})
_FOR_VERDICT_ONLY = frozenset(GpuFacts.__struct_fields__)
_KEPT = frozenset({*_OF_CARD, "compute", *(fact for fact, cadence in SLOW_CADENCE_S.items() if cadence == ONCE)})
"""Facts that are shown however old they are: the group's age is theirs, or they do not change."""
_IDLE_HELD_SHARE = 0.1
"""M22: over 10 % of its memory at 0 % utilisation."""
_XID_FALLEN_OFF_BUS = 79
_XID_BEFORE_LOSS_S = 60.0
"""An Xid older than this at the last good reading did not cause the loss."""


class Trouble(msgspec.Struct, frozen=True):
    """Why a GPU that is not lost has no new values."""

    status: Status
    reason: str


class Card:
    """Takes what the probe says of one GPU and makes the snapshot's record of it."""

    def __init__(self, index: int | None, pci_bus_id: str | None = None) -> None:
        self.index = index
        self.uuid: str | None = None
        self.name: str | None = None
        self.pci_bus_id = pci_bus_id
        self.lost: Answer | None = None
        self.heard_in = 0
        """The generation of NVML that spoke of it last."""
        self._answers: dict[str, Answer] = {}
        self._good_at: float | None = None
        self._idle_since: float | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the driver had it and lost it; `lost` may also say why it never had it."""
        return self.lost is not None and self.lost.status is Status.LOST

    @property
    def is_read(self) -> bool:
        """Whether its fast facts were ever asked."""
        return not self._answers.keys().isdisjoint(FAST)

    def take(self, said: GpuSaid) -> None:
        """Take over new answers."""
        if said.lost is not None:
            if not self.is_lost or said.lost.status is Status.LOST:  # no handle any more is no news of a lost one
                self.lost = said.lost
            self._idle_since = None
            return
        self.lost = None
        self._answers.update(said.answers)
        if (identity := said.answers.get("identity")) is not None:
            self.uuid = identity.values.get("uuid") or self.uuid
            self.name = identity.values.get("name") or self.name
            self.pci_bus_id = identity.values.get("pci_bus_id") or self.pci_bus_id
        good = [answer.at for fact, answer in said.answers.items() if fact in FAST and answer.status is Status.OK]
        if good:
            self._good_at = max(good)
            self._note_idle(self._good_at)

    def facts(self) -> GpuFacts:
        """What no record shows and only a verdict wants."""
        told = {key: value for answer in self._answers.values() for key, value in answer.values.items()}
        reasons = self._answers.get("event_reasons")
        has_reasons = None if reasons is None else "clock_event_reasons" in reasons.values
        return GpuFacts(has_event_reasons=has_reasons, **{key: told[key] for key in _FOR_VERDICT_ONLY & told.keys()})

    def gaps(self, facts: Sequence[str]) -> dict[str, Answer | None]:
        """Facts that the card may have and that are not told: refused, failed, not credible; `None`: not asked yet."""
        asked = {fact: self._answers.get(fact) for fact in facts}
        return {
            fact: answer
            for fact, answer in asked.items()
            if answer is None or (answer.reason is not None and answer.status is not Status.UNSUPPORTED)
        }

    def _note_idle(self, at: float) -> None:
        total, used = self._value("memory", "memory_total_bytes"), self._value("memory", "memory_used_bytes")
        is_held = bool(total) and used is not None and used > _IDLE_HELD_SHARE * total
        if not is_held or self._value("utilization", "utilization_percent") != 0:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = at

    def _value(self, fact: str, key: str) -> Any:
        answer = self._answers.get(fact)
        return None if answer is None else answer.values.get(key)

    def read(self, now: float, interval_s: float, trouble: Trouble | None, xid: Xid | None) -> Gpu:
        """The record at `now`; `trouble` is what keeps new values from coming, if it is known."""
        common: dict[str, Any] = {
            "index": self.index,
            "uuid": self.uuid,
            "name": self.name,
            "pci_bus_id": self.pci_bus_id,
            "age_s": None if self._good_at is None else max(0.0, now - self._good_at),
            "xid_last": None if xid is None else xid.code,
            "xid_last_age_s": None if xid is None else max(0.0, now - xid.at),
        }
        if self.lost is not None:
            return self._read_lost(self.lost, common, xid)
        status, reason = self._status(now, interval_s, trouble)
        values = self._values(now, interval_s)
        processes = self._processes(now, interval_s)
        compute = self._answers.get("compute")
        return Gpu(
            **{**values, **common},
            status=status,
            reason=reason,
            mig=tuple(self._migs(now, interval_s)),
            processes=processes,
            processes_status=Status.OK if compute is None else compute.status,
            unattributed_bytes=self._unattributed(values, processes),
            idle_held_s=None if self._idle_since is None else max(0.0, (self._good_at or now) - self._idle_since),
        )

    def _read_lost(self, lost: Answer, common: dict[str, Any], xid: Xid | None) -> Gpu:
        is_lost = lost.status is Status.LOST
        processes = self._processes(lost.at, ONCE) if is_lost else ()
        return Gpu(
            **common,
            status=lost.status,
            reason=self._why_lost(lost, xid) if is_lost else lost.reason,
            memory_total_bytes=self._value("memory", "memory_total_bytes"),
            memory_is_unified=self._value("memory", "memory_is_unified"),
            processes=tuple(msgspec.structs.replace(process, status=Status.LOST) for process in processes),
            processes_status=lost.status,
        )

    def _why_lost(self, lost: Answer, xid: Xid | None) -> str:
        reason = lost.reason or "lost"
        if xid is None or (self._good_at is not None and xid.at < self._good_at - _XID_BEFORE_LOSS_S):
            return reason
        return f"{'fallen off the bus' if xid.code == _XID_FALLEN_OFF_BUS else reason}; Xid {xid.code}"

    def _status(self, now: float, interval_s: float, trouble: Trouble | None) -> tuple[Status, str | None]:
        """The group's status, and everything that needs words."""
        if trouble is not None and trouble.status is Status.TIMEOUT:
            return trouble.status, trouble.reason
        fast = [self._answers[fact] for fact in _CORE if fact in self._answers]
        if not fast:
            return (trouble.status, trouble.reason) if trouble else (Status.STALE, "not read yet")
        if all(answer.status is not Status.OK for answer in fast):
            return fast[0].status, fast[0].reason
        if now - (self._good_at or 0.0) > overdue_s(FAST[0], interval_s):
            return (trouble.status, trouble.reason) if trouble else (Status.STALE, "no new values")
        return Status.OK, "; ".join(self._remarks()) or None

    def _remarks(self) -> dict[str, None]:
        """In words, each once, in order: what was not credible, and what is missing and should not be."""
        remarks: dict[str, None] = {}
        for fact, answer in self._answers.items():
            if answer.status is Status.OK:
                remarks |= {answer.reason: None} if answer.reason else {}
            elif answer.status is not Status.UNSUPPORTED or fact in _CORE:
                what = "processes" if fact in (*_PROCESS_LISTS, "shares") else fact.replace("_", " ")
                remarks |= {f"{what}: {answer.reason}": None}
        return remarks

    def _fresh(self, fact: str, now: float, interval_s: float) -> Answer | None:
        """The answer, unless it is a slow one that is overdue (D5)."""
        answer = self._answers.get(fact)
        if answer is None or fact in _KEPT:
            return answer
        return answer if now - answer.at <= overdue_s(fact, interval_s) else None

    def _values(self, now: float, interval_s: float) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for fact, answer in self._answers.items():
            if fact in _NOT_FIELDS or fact in FOR_VERDICT:
                continue
            if fact in _KEPT or now - answer.at <= overdue_s(fact, interval_s):
                values.update(answer.values)
        for key in _FOR_VERDICT_ONLY & values.keys():
            del values[key]
        reasons = values.get("clock_event_reasons")
        return values if reasons is None else {**values, "clock_event_reasons": tuple(reasons)}

    def _processes(self, now: float, interval_s: float) -> tuple[GpuProcess, ...]:
        """The three lists as one: a process that is in two of them holds its memory once."""
        memory: dict[int, int | None] = {}
        for fact in _PROCESS_LISTS:
            for pid, used in self._by_pid(fact, now, interval_s).items():
                known = memory.get(pid)
                memory[pid] = known if used is None else max(used, known or 0)
        shares = self._by_pid("shares", now, interval_s)
        return tuple(
            GpuProcess(pid=pid, gpu_memory_bytes=used, sm_percent=shares.get(pid)) for pid, used in memory.items()
        )

    def _by_pid(self, fact: str, now: float, interval_s: float) -> dict[int, Any]:
        answer = self._fresh(fact, now, interval_s)
        # JSON made the pids strings
        return {} if answer is None else {int(pid): value for pid, value in answer.values.get(fact, {}).items()}

    def _unattributed(self, values: Mapping[str, Any], processes: tuple[GpuProcess, ...]) -> int | None:
        """Not known where a process's part is not, nor where "used" holds more: the reserved part, or the host's."""
        used, reserved = values.get("memory_used_bytes"), values.get("memory_reserved_bytes")
        compute = self._answers.get("compute")
        if used is None or reserved is None or compute is None or compute.status is not Status.OK:
            return None
        parts = [process.gpu_memory_bytes for process in processes]
        return None if None in parts else max(0, used - sum(part for part in parts if part is not None))

    def _migs(self, now: float, interval_s: float) -> Iterator[Mig]:
        answer = self._answers.get("mig")
        if answer is None:
            return
        age_s = max(0.0, now - answer.at)
        is_stale = age_s > overdue_s("mig", interval_s)
        for instance in answer.values.get("mig", ()):
            mig = msgspec.convert(instance, Mig)
            is_stale_now = is_stale and mig.status is Status.OK
            yield msgspec.structs.replace(mig, age_s=age_s, status=Status.STALE if is_stale_now else mig.status)
